import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { backoffDelayMs } from '../../actors/backoff.ts'
import { seededRandom } from '../../actors/clock.ts'
import { executorRestarts } from '../../supervisor/restarts.ts'
import { settingOf } from '../../simulate/contest.ts'
import { costOf } from '../../simulate/cost.ts'
import { Arrivals, phases } from '../../simulate/load.ts'
import type { Scenario } from '../../simulate/scenario.ts'
import { type Look, play, type Setting } from '../../simulate/world.ts'

setDefaultTimeout(60_000)

const terms = { min: 0, max: 4, maxResultDelayMs: 2_000, seed: 1, pricePerHour: 1 }

const scenario = (given: Partial<Scenario>): Scenario => ({
  name: 'test',
  title: 'a test',
  about: 'a test',
  seconds: 10,
  load: phases([10, 1]),
  cost: { kind: 'constant', ms: 100 },
  startMs: 300,
  ...given,
})

/** A fleet that never scales and is there from the beginning. */
const always = (executors: number): Setting =>
  settingOf(scenario({}), 'fixed', { ...terms, max: executors })

const backlog: Setting = settingOf(scenario({}), 'backlog', terms)

const delaysOf = (given: Partial<Scenario>, setting: Setting) =>
  [...play(scenario(given), setting).delays].map((ms) => Math.round(ms * 1_000) / 1_000)

describe('first in, first out', () => {
  /**
   *   arrives   A(100)  B(200)  C(300)  D(400)
   *   works     A 100───350  B 350───600  C 600───850  D 850──1100      ms, 250 each
   */
  test('one executor works one record after the other', () => {
    const four = { load: phases([10, 0.4]), cost: { kind: 'constant', ms: 250 } } as const
    expect(delaysOf(four, always(1))).toEqual([250, 400, 550, 700])
  })

  /**
   *   first     A 100───350  C 350───600
   *   second       B 200───450  D 450───700
   */
  test('two share, whoever is free takes the next', () => {
    const four = { load: phases([10, 0.4]), cost: { kind: 'constant', ms: 250 } } as const
    expect(delaysOf(four, always(2))).toEqual([250, 250, 300, 300])
  })

  /**
   *   arrives   A(10) B(20) C(30) D(40) E(50)
   *   works     A 10──30   B C 30────70   D E 70────110     ms, 20 each, committed when in hand ends
   */
  test('cheap records are read ahead and committed together', () => {
    const five = { load: phases([100, 0.05]), cost: { kind: 'constant', ms: 20 } } as const
    expect(delaysOf(five, always(1))).toEqual([20, 40, 50, 60, 70])
  })

  test('any load, any costs: as the recursion of a queue with several servers says', () => {
    const worlds = fc.record({
      perSecond: fc.integer({ min: 1, max: 60 }),
      sigma: fc.constantFrom(0, 0.3),
      servers: fc.integer({ min: 1, max: 5 }),
      seed: fc.nat(1_000),
      poisson: fc.boolean(),
    })
    fc.assert(
      fc.property(worlds, ({ perSecond, sigma, servers, seed, poisson }) => {
        // Over 100 ms of work an executor reads nothing ahead.
        const cost = { kind: 'lognormal', ms: 400, sigma } as const
        const load = { ...phases([perSecond, 5]), poisson }
        const one = scenario({ load, cost })
        const played = play(one, { ...always(servers), seed })
        const expected = queue(one, servers, seed)
        expect(played.delays.length).toBe(expected.length)
        for (const [i, ms] of expected.entries()) expect(played.delays[i]).toBeCloseTo(ms, 6)
      }),
      { numRuns: 60 },
    )
  })
})

/** Delays of a queue: a record begins when it has come and the first of the servers is free. */
function queue(one: Scenario, servers: number, seed: number): number[] {
  const arrivals = new Arrivals(one.load, seed)
  const cost = costOf(one.cost, seed)
  const free = Array.from({ length: servers }, () => 0)
  const delays: number[] = []
  for (let at = arrivals.next(); at < Infinity; at = arrivals.next()) {
    const next = free.indexOf(Math.min(...free))
    const done = Math.max(at, free[next]!) + cost.ms(delays.length)
    free[next] = done
    delays.push(done - at)
  }
  return delays.sort((a, b) => a - b)
}

describe('executors', () => {
  /**
   *   record at 1500 ─► woken at once ─► starts, 300 ms ─► works, 100 ms ─► done at 1900
   *   looks     0    1000 ─┘(pushed)                      nobody runs and nothing waits: once a second
   */
  test('from 0 the first record wakes one at once', () => {
    const { delays, decisions } = play(scenario({ load: phases([0, 1], [2, 0.5]) }), backlog)
    expect([...delays]).toEqual([400])
    expect(decisions[0]).toMatchObject({ at: 1_500, from: 0, to: 1, reason: 'wake' })
  })

  test('are paid from their start to their end, of which the last record is a part', () => {
    const alone = play(scenario({ seconds: 10, load: phases([0, 10]) }), always(3))
    expect(alone.account).toMatchObject({ elapsedMs: 10_000, usedMs: 30_000, staticMs: 30_000 })
    /**
     *   1 ────────────────────┐ planned until 2000, but a record from 1900 to 2400 is finished first
     *   0                     └─────────
     */
    const one = scenario({
      load: phases([0, 1.9 - 1 / 10], [10, 0.1]),
      cost: { kind: 'constant', ms: 500 },
    })
    const plan = [[0, 1] as const, [2, 0] as const]
    const played = play(one, { ...backlog, plan, warm: 1 })
    expect(played.account.usedMs).toBeCloseTo(2_400, 6)
    expect(played.delays[0]).toBeCloseTo(500, 6)
  })

  /**
   *   record at 950, in hand ─► dies at 1000 ─► backoff ─► a look ─► starts, 300 ms ─► 100 ms again
   */
  test('that die are started again after their backoff, and the record is worked on again', () => {
    const dies = { span: [1, 1.01] as const, afterMs: 0 }
    const one = scenario({ load: phases([0, 0.85], [10, 0.1]), crashes: [dies] })
    const backoffMs = backoffDelayMs(executorRestarts.backoff, 1, seededRandom(1)())
    const played = play(one, always(1))
    expect(played.delays[0]).toBeCloseTo(50 + backoffMs + 1 + 300 + 100, 6)
    expect(played.account.usedMs).toBeCloseTo(10_000 - backoffMs - 1, 6)
  })

  test('that can’t stay alive are given up for a while, and tried again', () => {
    const dies = { span: [0, 30] as const, afterMs: 100 }
    const starts: number[] = []
    const one = scenario({ seconds: 120, load: phases([1, 100]), crashes: [dies], startMs: 50 })
    play(one, always(1), ({ atMs, fleet }) => {
      if (fleet.executors.length > 0) starts.push(atMs)
    })
    const pause = starts.findIndex((at, i) => i > 0 && at - starts[i - 1]! >= 59_000)
    expect(pause).toBeGreaterThan(0)
    expect(starts.at(-1)).toBeGreaterThan(119_000)
  })

  /**
   *   e1  A 100──200          C 300──400
   *   e2       B 200 ─────────────────────────── 50 × 100 ───────────► 5200
   */
  test('that are slow hold up what they hold, and nothing else', () => {
    const three = { load: phases([10, 0.3]), slow: { 2: 50 } }
    expect(delaysOf(three, always(2))).toEqual([100, 100, 5_000])
  })
})

describe('what all executors share', () => {
  /**
   *   25 records a second from 4 executors of 14 each: as many get through as the ceiling lets, and
   *   whoever waits for it is busy meanwhile
   */
  test('lets no more through than it can, however many work', () => {
    const one = { seconds: 60, load: phases([40, 60]), cost: { kind: 'constant', ms: 70 } as const }
    const done = (given: Partial<Scenario>, executors: number) => {
      let committed = 0
      play(scenario({ ...one, ...given }), always(executors), ({ measured, over }) => {
        if (!over) committed = measured!.committed
      })
      return committed / 60
    }
    expect(done({ ceilingPerSecond: 25 }, 4)).toBeCloseTo(25, 0)
    expect(done({ ceilingPerSecond: 25 }, 1)).toBeCloseTo(1_000 / 70, 0)
    expect(done({}, 4)).toBeCloseTo(40, 0)
  })

  /**
   *   Kafka    A(100) B(200) C(300) D(400)       bridge: one every 250 ms
   *   stream   A 100  B 350  C 600  D 850        done 50 later; the delay begins in Kafka
   */
  test('a slow bridge keeps records in Kafka, where they wait as well', () => {
    const looks: Look[] = []
    const four = scenario({
      load: phases([10, 0.4]),
      cost: { kind: 'constant', ms: 50 },
      bridgePerSecond: 4,
    })
    const { delays } = play(four, always(2), (look) => looks.push(look))
    expect([...delays].map(Math.round)).toEqual([50, 200, 350, 500])
    const at = (ms: number) => looks.find(({ atMs }) => atMs === ms)!.measured
    expect(at(500)).toMatchObject({ arrived: 4, waiting: 0, kafkaLag: 2 })
    expect(at(1_000)).toMatchObject({ arrived: 4, waiting: 0, kafkaLag: 0 })
  })
})

describe('the supervisor', () => {
  test('looks every 250 ms, and once a second while there is nothing to look at', () => {
    const looks: number[] = []
    play(scenario({ seconds: 3, load: phases([0, 3]) }), backlog, ({ atMs }) => looks.push(atMs))
    expect(looks).toEqual([0, 1_000, 2_000, 3_000])
    const busy: number[] = []
    play(scenario({ seconds: 1, load: phases([0, 1]) }), always(1), ({ atMs }) => busy.push(atMs))
    expect(busy).toEqual([0, 250, 500, 750, 1_000])
  })

  test('knows nothing while measuring fails, and old things while it lags', () => {
    const looks: Look[] = []
    const one = scenario({ seconds: 6, load: phases([10, 6]), blind: [[2, 4]] })
    play(one, backlog, (look) => looks.push(look))
    for (const { atMs, measured } of looks) {
      expect(measured !== null).toBe(atMs < 2_000 || atMs >= 4_000)
    }

    const late: Look[] = []
    const lagging = scenario({ seconds: 6, load: phases([10, 6]), lagMs: 2_000 })
    play(lagging, backlog, (look) => late.push(look))
    const woken = late.find(({ decision }) => decision.to > 0)!
    expect(woken.atMs).toBeGreaterThanOrEqual(2_100)
    expect(woken.decision.inputs.backlog).toBeLessThan(woken.waiting)
  })

  test('a world is the same by the same seed, and another by another', () => {
    const one = scenario({ load: { ...phases([20, 10]), poisson: true }, startMs: [100, 500] })
    const twice = [1, 1, 2].map((seed) => play(one, { ...backlog, seed }))
    expect(twice[0]).toEqual(twice[1])
    expect(twice[0]!.delays).not.toEqual(twice[2]!.delays)
  })

  test('what nobody ever does is told, with how long it has waited', () => {
    const { undone, delays } = play(scenario({ load: phases([10, 1]) }), { ...always(0), max: 0 })
    expect(undone).toBe(10)
    expect(delays.length).toBe(10)
    expect(delays.at(-1)).toBeGreaterThan(3_600_000)
  })
})
