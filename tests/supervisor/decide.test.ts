import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { usefulExecutors } from '../../supervisor/backlog.ts'
import { decide } from '../../supervisor/decide.ts'
import { emptyHistory, observe, scaling } from '../../supervisor/history.ts'
import type { Fleet } from '../../supervisor/reasons.ts'
import { changes, simulate, type Tick } from './simulation.ts'
import { fleet, measured } from './views.ts'

const waiting = (records: number, kafkaLag: number | null = 0) =>
  measured({
    waiting: records,
    kafkaLag,
    arrived: kafkaLag === null ? null : records + kafkaLag,
    entries: records,
    undelivered: records,
  })

const counts = (ticks: Tick[]) => ticks.map(({ decision }) => decision.to)
const at = (ticks: Tick[], seconds: number) =>
  ticks.find((tick) => tick.at === seconds * 1_000)!.decision.to

describe('one moment', () => {
  test('from 0, one record in the stream wakes one at once', () => {
    const history = observe(emptyHistory, fleet(), waiting(1))
    expect(decide('backlog', fleet(), history, 1_000)).toMatchObject({
      from: 0,
      to: 1,
      reason: 'wake',
      sentence: '0 → 1 executors: 1 record waits and nobody runs',
      inputs: { backlog: 1, policy: 'backlog', recordsPerExecutorSecond: null },
    })
  })

  test('from 0, a record that only Kafka holds wakes one; no news from Kafka does not', () => {
    const inKafka = observe(emptyHistory, fleet(), waiting(0, 1))
    expect(decide('backlog', fleet(), inKafka, 1_000)).toMatchObject({ to: 1, reason: 'wake' })
    const noNews = observe(emptyHistory, fleet(), waiting(0, null))
    expect(decide('backlog', fleet(), noNews, 1_000)).toMatchObject({ to: 0, reason: 'hold' })
  })

  test('unknown holds, whatever the count', () => {
    for (const target of [0, 1, 4]) {
      const history = observe(emptyHistory, fleet({ target }), { known: false, at: 1_000 })
      const decision = decide('backlog', fleet({ target }), history, 1_000)
      expect(decision).toMatchObject({ from: target, to: target, reason: 'unknown' })
    }
  })

  test('limits and pause count at once, measured or not', () => {
    const unknown = observe(emptyHistory, fleet(), { known: false, at: 1_000 })
    const now = (given: Partial<Fleet>) => decide('backlog', fleet(given), unknown, 1_000)
    expect(now({ target: 0, min: 2 })).toMatchObject({ to: 2, reason: 'minimum' })
    expect(now({ target: 4, max: 1 })).toMatchObject({ to: 1, reason: 'maximum' })
    expect(now({ target: 3, min: 2, paused: true })).toMatchObject({ to: 0, reason: 'paused' })
    const some = observe(emptyHistory, fleet(), waiting(5))
    expect(decide('backlog', fleet({ max: 0 }), some, 1_000)).toMatchObject({ to: 0 })
  })
})

test('one that was started elsewhere is wanted, as far as the maximum goes', () => {
  const unknown = observe(emptyHistory, fleet(), { known: false, at: 1_000 })
  const now = (given: Partial<Fleet>) => decide('backlog', fleet(given), unknown, 1_000)
  expect(now({ target: 1, joined: 1 })).toMatchObject({
    from: 1,
    to: 2,
    reason: 'joined',
    sentence: '1 → 2 executors: 1 was started elsewhere',
  })
  expect(now({ target: 3, joined: 3 })).toMatchObject({ to: 4, reason: 'joined' })
  expect(now({ target: 4, joined: 1 })).toMatchObject({ to: 4, reason: 'unknown' })
  expect(now({ target: 0, joined: 1, paused: true })).toMatchObject({ to: 0, reason: 'paused' })
})

describe('the demonstration', () => {
  /**
   *   records/s   10 ──────────┐ 40 ───────────────────────┐ 0
   *   executors   1            │ 1 → 2 → 4 ──10 s──→ 3     │ 3 ───10 s──→ 1 ─2 s→ 0
   *   seconds     0            30                          60           70      72
   */
  const demo = simulate({
    arrivals: (ms) => (ms < 30_000 ? 10 : ms < 60_000 ? 40 : 0),
    costMs: 70,
    untilMs: 90_000,
  })

  test('10 records/s of 70 ms keep one executor', () => {
    expect(new Set(counts(demo.filter((tick) => tick.at > 500 && tick.at <= 30_000)))).toEqual(
      new Set([1]),
    )
  })

  test('40 records/s bring four, in steps of a quarter of the allowed delay; three carry it then', () => {
    const climb = changes(demo).filter(([seconds]) => seconds > 30 && seconds < 60)
    expect(climb.map(([, from, to]) => [from, to])).toEqual([
      [1, 2],
      [2, 4],
      [4, 3],
    ])
    expect(climb[1]![0]).toBeLessThan(32.5)
    expect(climb[1]![0] - climb[0]![0]).toBeGreaterThanOrEqual(0.5)
  })

  test('stopped: 1, then 0, within 15 s', () => {
    const descent = changes(demo).filter(([seconds]) => seconds > 60)
    expect(descent.map(([, from, to]) => [from, to])).toEqual([
      [3, 1],
      [1, 0],
    ])
    expect(descent[0]![0]).toBeGreaterThanOrEqual(69.5)
    expect(descent[1]![0] - descent[0]![0]).toBeGreaterThanOrEqual(2)
    expect(descent[1]![0]).toBeLessThan(75)
  })
})

describe('work that computes', () => {
  const machine = { cores: 4, room: null }
  const computes = { busyMs: 1_000, cpuMs: 900 }
  const waits = { busyMs: 1_000, cpuMs: 100 }

  test('is given as many executors as there are cores; work that waits, as many as it needs', () => {
    expect(usefulExecutors([computes], machine)).toBe(4)
    expect(usefulExecutors([waits], machine)).toBeNull()
    expect(usefulExecutors([waits], { cores: 4, room: 0 })).toBeNull()
  })

  test('is given no more than the machine has room for', () => {
    expect(usefulExecutors([computes], { cores: 4, room: 0.1 })).toBe(1)
    expect(usefulExecutors([computes], { cores: 4, room: 1.2 })).toBe(2)
    expect(usefulExecutors([computes, computes], { cores: 4, room: 1.8 })).toBe(4)
    expect(usefulExecutors([computes], { cores: 4, room: 3.9 })).toBe(4)
  })

  test('says nothing before enough of it was done, but that a full machine has no room', () => {
    const little = { busyMs: 100, cpuMs: 100 }
    expect(usefulExecutors([], machine)).toBeNull()
    expect(usefulExecutors([little], machine)).toBeNull()
    expect(usefulExecutors([little], { cores: 4, room: 2 })).toBeNull()
    expect(usefulExecutors([little], { cores: 4, room: 0.3 })).toBe(1)
  })

  test('is not scaled out beyond what is useful, however much waits', () => {
    const backlogged = (useful: number | null) => {
      let history = emptyHistory
      const view = fleet({ target: 2, running: 2, useful })
      for (let at = 0; at <= 5_000; at += 250) {
        const observation = { ...waiting(100_000), at, committed: at / 100, busyUs: at * 2_000 }
        history = observe(history, view, observation)
      }
      return decide('backlog', view, history, 5_000).to
    }
    expect(backlogged(2)).toBe(2)
    expect(backlogged(null)).toBeGreaterThan(2)
  })
})

describe('scenarios', () => {
  test('a scale-in that was regretted makes the next one later', () => {
    // Twice a minute a few seconds of more than one executor can do.
    const ticks = simulate({
      arrivals: (ms) => (ms % 30_000 < 6_000 ? 25 : 8),
      costMs: 70,
      untilMs: 600_000,
    })
    const shrinks = changes(ticks).filter(([, from, to]) => to < from)
    const first = shrinks.filter(([seconds]) => seconds < 120).length
    const later = shrinks.filter(([seconds]) => seconds >= 300).length
    expect(first).toBeGreaterThan(1)
    expect(later).toBeLessThanOrEqual(1)
  })

  test('a trickle over four executors goes back to one (never idle, hardly used)', () => {
    const ticks = simulate({ arrivals: () => 10, costMs: 70, target: 4, untilMs: 30_000 })
    expect(changes(ticks).map(([, , to]) => to)).toEqual([1])
    expect(at(ticks, 30)).toBe(1)
  })

  test('half the load goes back to half the executors, not in steps of one', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 20_000 ? 50 : 25),
      costMs: 70,
      untilMs: 50_000,
    })
    expect(at(ticks, 19)).toBe(4)
    expect(at(ticks, 50)).toBe(2)
  })

  test('no scale-in while a large backlog is worked off, though nothing arrives any more', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 1_000 ? 2_000 : 0),
      costMs: 70,
      untilMs: 70_000,
    })
    const drained = ticks.find((tick) => tick.at > 1_000 && tick.backlog === 0)!.at
    const first = changes(ticks).find(([, from, to]) => to < from)!
    expect(first[0] * 1_000).toBeGreaterThan(drained + scaling.idleTimeoutMs - 1_250)
    expect(first[0] * 1_000).toBeLessThanOrEqual(drained + scaling.idleTimeoutMs + 1_000)
    expect(ticks.at(-1)!.decision.to).toBe(0)
  })

  test('cheap records: half a million a second need one', () => {
    const ticks = simulate({ arrivals: () => 500_000, costMs: 0.001, untilMs: 20_000 })
    expect(new Set(counts(ticks.slice(2)))).toEqual(new Set([1]))
  })

  test('a hole in the measurements holds, and the trailing time begins again', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 20_000 ? 40 : 0),
      costMs: 70,
      untilMs: 60_000,
      blind: (ms) => ms >= 25_000 && ms < 35_000,
    })
    const [first] = changes(ticks).filter(([seconds]) => seconds > 20)
    expect(first![0]).toBeGreaterThanOrEqual(45)
    expect(at(ticks, 60)).toBe(0)
  })

  test('a changed limit counts at the next tick; a pause is 0 and its end wakes one', () => {
    const ticks = simulate({
      arrivals: () => 40,
      costMs: 70,
      untilMs: 60_000,
      control: (ms) => (ms < 20_000 ? {} : ms < 30_000 ? { max: 2 } : { paused: ms < 40_000 }),
    })
    expect([at(ticks, 19), at(ticks, 20), at(ticks, 30), at(ticks, 39.75)]).toEqual([3, 2, 0, 0])
    expect(at(ticks, 40)).toBe(1)
    expect(at(ticks, 50)).toBe(4)
  })

  test('spark: 1, 2, 4 more a second by tasks alone, and each goes after 10 s idle', () => {
    const stopped = simulate({
      policy: 'spark',
      arrivals: (ms) => (ms < 20_000 ? 60 : 0),
      costMs: 70,
      untilMs: 60_000,
    })
    expect(changes(stopped).slice(0, 3)).toEqual([
      [1.25, 0, 1],
      [2.25, 1, 3],
      [3.25, 3, 4],
    ])
    expect(at(stopped, 60)).toBe(0)
  })
})

/** A load in phases of whole seconds, with moments at which measuring fails. */
const worlds = fc.record({
  phases: fc.array(
    fc.record({
      seconds: fc.integer({ min: 1, max: 25 }),
      perSecond: fc.constantFrom(0, 0, 1, 5, 10, 12, 20, 40, 55, 200),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  costMs: fc.constantFrom(5, 70, 90),
  startMs: fc.integer({ min: 50, max: 1_500 }),
  min: fc.integer({ min: 0, max: 2 }),
  max: fc.integer({ min: 2, max: 6 }),
  blindFrom: fc.integer({ min: 0, max: 100 }),
  blindSeconds: fc.integer({ min: 0, max: 15 }),
})
type Drawn = typeof worlds extends fc.Arbitrary<infer T> ? T : never

function run(drawn: Drawn): Tick[] {
  const ends = drawn.phases.map((_, i) =>
    drawn.phases.slice(0, i + 1).reduce((sum, { seconds }) => sum + seconds * 1_000, 0),
  )
  const total = drawn.phases.reduce((sum, { seconds, perSecond }) => sum + seconds * perSecond, 0)
  const drainMs = (total * drawn.costMs) / drawn.max
  return simulate({
    ...drawn,
    arrivals: (ms) => drawn.phases[ends.findIndex((end) => ms < end)]?.perSecond ?? 0,
    untilMs: ends.at(-1)! + Math.ceil(drainMs / 1_000) * 4_000 + 60_000,
    blind: (ms) =>
      ms >= drawn.blindFrom * 1_000 && ms < (drawn.blindFrom + drawn.blindSeconds) * 1_000,
  })
}

const property = (name: string, holds: (ticks: Tick[], drawn: Drawn) => void) =>
  test(name, () => {
    fc.assert(
      fc.property(worlds, (drawn) => holds(run(drawn), drawn)),
      { numRuns: 150 },
    )
  }, 60_000)

describe('for any load', () => {
  property('the count stays within min and max', (ticks, { min, max }) => {
    for (const { decision } of ticks) {
      expect(decision.to).toBeGreaterThanOrEqual(min)
      expect(decision.to).toBeLessThanOrEqual(max)
    }
  })

  property('what is unknown holds', (ticks, { min }) => {
    for (const { known, decision, fleet } of ticks) {
      if (!known && fleet.target >= min) expect(decision.to).toBe(decision.from)
    }
  })

  property('nothing is left unserved, and the end is the minimum', (ticks, { min }) => {
    for (const { known, backlog, decision } of ticks) {
      if (known && backlog > 0) expect(decision.to).toBeGreaterThan(0)
    }
    expect(ticks.at(-1)!.backlog).toBe(0)
    expect(ticks.at(-1)!.decision.to).toBe(min)
  })

  property('never in within 10 s of having grown, and 0 only from 1', (ticks) => {
    let grewAt = Number.NEGATIVE_INFINITY
    for (const { at, decision } of ticks) {
      if (decision.to > decision.from) grewAt = at
      if (decision.to < decision.from) {
        expect(at - grewAt).toBeGreaterThanOrEqual(scaling.idleTimeoutMs)
        if (decision.to === 0) expect(decision.from).toBe(1)
      }
    }
  })

  property('a steady load ends in a steady count', (ticks, { phases }) => {
    const lasting = phases[0]!
    if (lasting.seconds < 20) return
    const settled = ticks.filter(({ at }) => at > 15_000 && at < lasting.seconds * 1_000)
    let reversals = 0
    let direction = 0
    for (const { decision } of settled) {
      const now = Math.sign(decision.to - decision.from)
      if (now !== 0 && direction !== 0 && now !== direction) reversals++
      if (now !== 0) direction = now
    }
    expect(reversals).toBeLessThanOrEqual(1)
  })
})
