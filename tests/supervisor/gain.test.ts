import { describe, expect, test } from 'bun:test'
import {
  isRipe,
  limited,
  stepped,
  type Trial,
  trials,
  verdictOf,
  watched,
} from '../../supervisor/gain.ts'
import { changes, simulate, type Tick } from './simulation.ts'

const trial: Trial = {
  from: 1,
  before: 100,
  to: 4,
  at: 0,
  fullSince: null,
}
const done = (perSecond: number) => ({ records: perSecond * 5, ms: 5_000 })

describe('a verdict', () => {
  test('growth that did as much more as it is larger has paid', () => {
    expect(verdictOf(trial, done(400), 'x')).toBeNull()
    expect(verdictOf(trial, done(330), 'x')).toBeNull()
  })

  test('less than a tenth more: all of it is given back', () => {
    expect(verdictOf(trial, done(105), 'the CPU')).toEqual({
      enough: 1,
      because: '4 did 105/s where 1 did 100/s: the CPU is the limit',
    })
  })

  test('twice as much by four times as many: some of it is given back', () => {
    expect(verdictOf(trial, done(200), 'x')).toMatchObject({ enough: 3 })
  })

  test('less than before: all of it', () => {
    expect(verdictOf(trial, done(50), 'x')).toMatchObject({ enough: 1 })
  })
})

describe('a trial', () => {
  const done100 = { records: 100, ms: 1_000 }
  const step = { from: 1, to: 2, at: 0, done: done100, rate: null }

  test('begins with a step that knows what was done before it', () => {
    const begun = { from: 1, before: 100, to: 2, at: 0, fullSince: null }
    expect(stepped(null, step)).toEqual(begun)
    expect(stepped(null, { ...step, done: { records: 3, ms: 1_000 } })).toBeNull()
  })

  test('goes by the rate of one where too few were done to tell', () => {
    const few = { ...step, from: 2, done: { records: 3, ms: 1_000 }, rate: 14 }
    expect(stepped(null, few)).toMatchObject({ from: 2, before: 28 })
  })

  test('goes on with the next step of the same climb', () => {
    const second = { from: 2, to: 4, at: 500, done: { records: 1, ms: 1 }, rate: 1 }
    expect(stepped(trial, second)).toEqual({ ...trial, at: 500 })
  })

  test('is over when the fleet has caught up, not when it keeps up for a moment', () => {
    const at = 10_000
    expect(watched(trial, { at, behindAt: at - 3_000, running: 4 })).toBeNull()
    expect(watched(trial, { at, behindAt: at - 1_000, running: 3 })!.fullSince).toBeNull()
    expect(watched(trial, { at, behindAt: at, running: 4 })!.fullSince).toBe(at)
  })

  test('is ripe when the whole fleet was at work for a while and did enough', () => {
    const full = { ...trial, fullSince: 6_000 }
    expect(isRipe(full, done100, 11_000)).toBe(true)
    expect(isRipe(full, done100, 10_900)).toBe(false)
    expect(isRipe(full, { records: 19, ms: 5_000 }, 11_000)).toBe(false)
    expect(isRipe({ ...full, at: 2_000 }, done100, 11_000)).toBe(false)
    expect(isRipe(trial, done100, 99_000)).toBe(false)
  })
})

test('what was given back once is tried again later and later', () => {
  const verdict = { enough: 1, because: 'x' }
  const first = limited(verdict, null, 1_000)
  expect(first).toMatchObject({ executors: 1, until: 61_000 })
  const second = limited(verdict, first, 70_000)
  expect(second.until).toBe(190_000)
  expect(limited(verdict, { ...second, ms: trials.limitMaxMs }, 0).ms).toBe(trials.limitMaxMs)
})

describe('a fleet that more executors do not help', () => {
  const limits = (ticks: Tick[]) =>
    ticks.filter(({ decision }) => decision.reason === 'limit' && decision.to < decision.from)
  const meanTarget = (ticks: Tick[]) =>
    ticks.reduce((sum, { decision }) => sum + decision.to, 0) / ticks.length

  test('Redis does 100 records/s, whoever asks: one executor is enough', () => {
    const ticks = simulate({ arrivals: () => 200, ceiling: 100, costMs: 9, untilMs: 300_000 })
    const [first] = limits(ticks)
    expect(first!.decision.sentence).toMatch(
      /^4 → 1 executors: 4 did \d+\/s where 1 did \d+\/s: Redis, or what the work waits for, is the limit$/,
    )
    expect(first!.at).toBeLessThan(20_000)
    expect(meanTarget(ticks)).toBeLessThan(2)
  })

  test('Kafka or the bridge brings 15 records/s, and an executor would do 14', () => {
    const ticks = simulate({ arrivals: () => 60, bridge: 15, costMs: 70, untilMs: 120_000 })
    const [first] = limits(ticks)
    expect(first!.decision.to).toBeLessThanOrEqual(2)
    expect(first!.decision.sentence).toContain('Kafka or the bridge is the limit')
  })

  test('while that holds, the decision says so', () => {
    const ticks = simulate({ arrivals: () => 200, ceiling: 100, costMs: 9, untilMs: 60_000 })
    const held = ticks.filter(({ decision }) => decision.reason === 'limit').at(-1)!.decision
    expect(held.from).toBe(held.to)
    expect(held.sentence).toMatch(/^1 executor stays: .* needed; 4 did/)
  })

  test('growth that pays is kept, however long the backlog lasts', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 5_000 ? 2_000 : 0),
      costMs: 70,
      untilMs: 100_000,
    })
    expect(limits(ticks)).toEqual([])
    expect(changes(ticks).at(-1)![2]).toBe(4)
  })
})
