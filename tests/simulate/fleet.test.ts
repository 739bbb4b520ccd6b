/** Large fleets in virtual time: the fluid against the world of single records, and what courses show. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { pageTerms } from '../../simulate/capacity/page.ts'
import { quantile } from '../../simulate/contest.ts'
import type { Course } from '../../simulate/fleet/course.ts'
import { courses } from '../../simulate/fleet/courses.ts'
import { Delays } from '../../simulate/fleet/delays.ts'
import { type Glance, play, type Terms } from '../../simulate/fleet/fluid.ts'
import { phases, rateAt, rates } from '../../simulate/load.ts'
import { play as playRecords } from '../../simulate/world.ts'
import { executorRestarts } from '../../supervisor/restarts.ts'

setDefaultTimeout(60_000)

const course = (given: Partial<Course>): Course => ({
  name: 'test',
  title: 'a test',
  about: 'a test',
  seconds: 120,
  load: phases([8, 120]),
  startMs: [100, 500],
  warm: 10,
  max: 64,
  kind: 'elsewhere',
  ...given,
})
const terms: Terms = { recordsPerExecutor: 50, residenceMs: 30, maxResultDelayMs: 2_000, seed: 1 }

function played(given: Partial<Course>) {
  const glances: Glance[] = []
  const whole = course(given)
  return { ...play(whole, terms, (glance) => glances.push(glance)), glances }
}
const named = (name: string) => courses.find((one) => one.name === name)!

describe('where records are cheap, a fluid is the world of single records', () => {
  const steps = [
    [2, 60],
    [40, 120],
    [10, 60],
  ] as const
  const each = terms.recordsPerExecutor
  const fluid = played({ seconds: 240, load: phases(...steps), warm: 3 })
  const records = playRecords(
    {
      name: 'test',
      title: 'a test',
      about: 'a test',
      seconds: 240,
      startMs: [100, 500],
      load: phases(...steps.map(([worth, seconds]) => [worth * each, seconds] as const)),
      cost: { kind: 'constant', ms: 1_000 / each },
    },
    { policy: 'backlog', min: 0, max: 64, maxResultDelayMs: 2_000, seed: 1, warm: 3 },
  )
  const climb = ({ decisions }: Pick<typeof fluid, 'decisions'>) =>
    decisions.filter(({ from, to }) => to > from).map(({ at, to }) => [at, to])

  test('the same climb, at the same moments', () => {
    expect(climb(fluid)).toEqual(climb(records))
    expect(climb(fluid).length).toBeGreaterThan(4)
  })

  test('the same executor time, to 1 %, and delays, to 15 %', () => {
    const used = fluid.account.usedMs / records.account.usedMs
    expect(used).toBeWithin(0.99, 1.01)
    const delay = fluid.delays.quantile(0.99)! / quantile(records.delays, 0.99)!
    expect(delay).toBeWithin(0.85, 1.15)
  })

  test('all is done in the end', () => {
    expect(fluid.undone).toBeLessThan(each)
    expect(records.undone).toBe(0)
  })
})

describe('executors that end', () => {
  /** 40 do the work of 36, and 10 s on, before any could be sent away, some are gone. */
  const lost = (executors: number, kind: Course['kind']) =>
    played({ load: phases([36, 120]), warm: 40, losses: [{ atSeconds: 10, executors }], kind })
      .glances
  const at = (glances: readonly Glance[], seconds: number) =>
    glances.find(({ atMs }) => atMs >= seconds * 1_000)!.working

  test('processes are replaced at once, others when their silence is heard', () => {
    const kinds = ['processes', 'elsewhere', 'pods'] as const
    const all = kinds.map((kind) => lost(10, kind))
    const then = (seconds: number) => all.map((glances) => at(glances, seconds))
    expect(then(10)).toEqual([30, 30, 30])
    expect(then(12)).toEqual([40, 30, 30])
    expect(then(13.75)).toEqual([40, 40, 30])
    expect(then(15.5)).toEqual([40, 40, 40])
  })

  test('more crashes than the budget keep everybody from starting for as long as it says', () => {
    const many = executorRestarts.crashesMax + 1
    const glances = lost(many, 'processes')
    const until = 10 + executorRestarts.pauseMs / 1_000
    expect(at(glances, 12)).toBe(40 - many)
    expect(at(glances, until - 1)).toBe(40 - many)
    expect(at(glances, until + 2)).toBeGreaterThanOrEqual(40)
  })
})

describe('the courses', () => {
  test('10 executors become more than 300 within 5 s of a load that needs 240', () => {
    const climb = named('climb')
    const { decisions } = play(climb, pageTerms)
    const reached = decisions.find(({ to }) => to > 300)!
    expect(reached.at / 1_000 - climb.eventSeconds!).toBeLessThanOrEqual(5)
  })

  test('around a threshold it turns back never within 10 s, and more and more seldom', () => {
    const sawtooth = named('sawtooth')
    const { decisions } = play(sawtooth, pageTerms)
    const half = (sawtooth.seconds * 1_000) / 2
    const climbs = (from: number, to: number) =>
      decisions.filter(({ at, ...one }) => one.to > one.from && at >= from && at < to).length
    expect(climbs(half, 2 * half)).toBeLessThan(climbs(0, half))
  })
})

const loads = fc.array(
  fc.tuple(fc.constantFrom(0, 0.5, 3, 20, 60), fc.integer({ min: 1, max: 30 })),
  { minLength: 1, maxLength: 4 },
)

test('in any course: within limits, and what came is done or waits', () => {
  fc.assert(
    fc.property(loads, fc.nat(50), (steps, lost) => {
      const seconds = steps.reduce((sum, [, span]) => sum + span, 0)
      const losses = [{ atSeconds: 5, executors: lost }]
      const { glances, undone } = played({ seconds, load: phases(...steps), losses })
      for (const { wanted, working } of glances) {
        expect(wanted).toBeWithin(0, 65)
        expect(working).toBeLessThanOrEqual(64)
      }
      expect(undone).toBeGreaterThanOrEqual(-1e-6)
    }),
    { numRuns: 40 },
  )
})

test('delays: first in, first out, by amount', () => {
  const delays = new Delays()
  delays.step(0, 3, 1, 0)
  delays.step(1_000, 1, 2, 0)
  delays.step(2_000, 0, 1, 500)
  // 1 after 0 ms, 2 after 1 s, and the last 1 s after it came and half a second beside.
  expect([0.25, 0.5, 0.75, 1].map((share) => delays.quantile(share))).toEqual([
    0, 1_000, 1_000, 1_500,
  ])
  expect(delays.maxMs).toBe(1_500)
  expect(new Delays().quantile(0.5)).toBeNull()
})

test('rates are the curve’s, moment after moment', () => {
  const load = phases([5, 10], [20, 10], [0, 5], [7, 5])
  const rate = rates(load)
  for (let seconds = 0; seconds <= 32; seconds += 0.5)
    expect(rate(seconds)).toBe(rateAt(load, seconds))
})
