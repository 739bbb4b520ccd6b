import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Sample } from '../../supervisor/measurements.ts'
import { contest, settingOf } from '../../simulate/contest.ts'
import { costOf } from '../../simulate/cost.ts'
import { Arrivals } from '../../simulate/load.ts'
import { linesOf } from '../../simulate/recorded.ts'
import { holesText, replayOf } from '../../simulate/replay.ts'
import { scenarios } from '../../simulate/scenarios.ts'
import { recordingOf } from '../../simulate/trace.ts'
import { type Look, play } from '../../simulate/world.ts'
import { sampleAt } from '../supervisor/views.ts'

setDefaultTimeout(60_000)

const begin = 1_800_000_000_000
const terms = { min: 0, max: 4, maxResultDelayMs: 2_000, seed: 1, pricePerHour: 1 }

const sample = (seconds: number, given: Partial<Sample> = {}): Sample =>
  sampleAt(begin + seconds * 1_000, given)

const recording = (samples: Sample[]) => recordingOf('test', { samples, decisions: [] })!

describe('a recording', () => {
  /**
   *   seconds     0      1      2      3
   *   arrived   100    104    104    106     → 4, 0, 2 a second
   *   committed 100    102    104    106     → records 0 1 │ 2 3 │ 4 5
   *   busy ms     0     20     60     80     →     10 each │ 20  │ 10
   */
  test('gives arrivals by the second and costs by the records', () => {
    const { scenario, holes } = recording([
      sample(0, { arrived: 100, committed: 100 }),
      sample(1, { arrived: 104, committed: 102, busyUs: 20_000, waiting: 2 }),
      sample(2, { arrived: 104, committed: 104, busyUs: 60_000 }),
      sample(3, { arrived: 106, committed: 106, busyUs: 80_000 }),
    ])
    const arrivals = new Arrivals(scenario.load, 1)
    const times = Array.from({ length: 7 }, () => Math.round(arrivals.next()))
    // The first of the load's points is a burst of nothing, a millisecond long.
    expect(times).toEqual([251, 501, 750, 1_000, 2_500, 3_000, Infinity])
    const { ms } = costOf(scenario.cost, 1)
    expect([0, 1, 2, 3, 4, 5].map((record) => ms(record))).toEqual([10, 10, 20, 20, 10, 10])
    expect(scenario.seconds).toBe(3)
    expect(holes).toEqual([])
  })

  test('that begins with a backlog begins with it again', () => {
    const { scenario, warm } = recording([
      sample(0, { arrived: 50, committed: 40, waiting: 7, kafkaLag: 3, running: 2 }),
      sample(1, { arrived: 50, committed: 50, busyUs: 100_000 }),
    ])
    const arrivals = new Arrivals(scenario.load, 1)
    const times = Array.from({ length: 11 }, () => arrivals.next())
    expect(times[9]).toBeLessThanOrEqual(1.001)
    expect(times[10]).toBe(Infinity)
    expect(warm).toBe(2)
  })

  test('begins where Kafka’s end was first known, with what waited there', () => {
    const { scenario } = recording([
      sample(0, { arrived: null, kafkaLag: null }),
      sample(2, { arrived: null, kafkaLag: null }),
      sample(3, { arrived: 6, waiting: 4, kafkaLag: 2 }),
      sample(4, { arrived: 7, committed: 7, busyUs: 70_000 }),
    ])
    expect(scenario.seconds).toBe(1)
    const arrivals = new Arrivals(scenario.load, 1)
    const times = Array.from({ length: 8 }, () => arrivals.next())
    expect(times[5]).toBeLessThanOrEqual(1.001)
    expect(times[6]).toBeCloseTo(1_000, 6)
    expect(times[7]).toBe(Infinity)
  })

  test('counts executors and changes as they were', () => {
    const { account, changes } = recording([
      sample(0, { running: 1, target: 1 }),
      sample(1, { running: 1, target: 3, committed: 5, busyUs: 5_000 }),
      sample(2, { running: 3, target: 3 }),
      sample(4, { running: 0, target: 0, max: 2 }),
    ])
    expect(account).toMatchObject({ elapsedMs: 4_000, usedMs: 1_000 + 1_000 + 6_000 })
    expect(account.staticMs).toBe(16_000)
    expect(changes).toEqual([
      { at: begin + 1_000, from: 1, to: 3 },
      { at: begin + 4_000, from: 3, to: 0 },
    ])
  })

  test('with holes says so; a silence is none', () => {
    const silent = { arrived: 10, committed: 10, busyUs: 9_000, running: 0, target: 0 }
    const busy = { arrived: 10, committed: 10, busyUs: 9_000 }
    const whole = recording([
      sample(0, { arrived: 5, committed: 5 }),
      sample(1, silent),
      sample(61, silent),
      sample(121, silent),
    ])
    expect(whole.holes).toEqual([])
    expect(holesText(whole)).toBeNull()
    const torn = recording([
      sample(0, { arrived: 5, committed: 5 }),
      sample(1, busy),
      sample(31, { ...busy, arrived: 70 }),
      sample(231, silent),
    ])
    expect(torn.holes).toEqual([
      { fromMs: begin + 1_000, toMs: begin + 31_000, records: 60 },
      { fromMs: begin + 31_000, toMs: begin + 231_000, records: 0 },
    ])
    expect(holesText(torn)).toContain('2 holes, 230 s with 60 records')
  })

  test('survives counters that went back, Kafka’s end not known, and a look that was written twice', () => {
    const twice = sample(1, { arrived: 10, committed: 10, busyUs: 10_000 })
    const { scenario } = recording([
      sample(0, {}),
      twice,
      twice,
      sample(2, { arrived: null, kafkaLag: null, committed: 10, busyUs: 10_000 }),
      sample(3, { arrived: 4, committed: 4, busyUs: 4_000 }),
      sample(4, { arrived: 9, committed: 9, busyUs: 9_000 }),
    ])
    const arrivals = new Arrivals(scenario.load, 1)
    const times: number[] = []
    for (let at = arrivals.next(); at < Infinity; at = arrivals.next()) times.push(at)
    expect(times.length).toBe(15)
    expect(times.filter((at) => at > 1_001 && at <= 3_000)).toEqual([])
  })

  test('of nothing is refused', () => {
    for (const samples of [[], [sample(0, {})], [sample(0, {}), sample(1, {})]]) {
      expect(() => replayOf('mine', { samples, decisions: [] })).toThrow(
        'nothing to replay of mine',
      )
    }
  })
})

/** What a supervisor would have recorded of a play, a sample a second. */
function recordingOfPlay(name: string): { samples: Sample[]; usedMs: number } {
  const scenario = scenarios.find((one) => one.name === name)!
  const samples: Sample[] = []
  const onLook = ({ atMs, fleet, measured, decision, over }: Look) => {
    if (over || !measured || atMs - ((samples.at(-1)?.at ?? -Infinity) - begin) < 1_000) return
    const { arrived, committed, busyUs, waiting, kafkaLag } = measured
    const { running, min, max } = fleet
    const counters = { arrived, committed, busyUs, waiting, kafkaLag }
    samples.push(sample(atMs / 1_000, { ...counters, running, target: decision.to, min, max }))
  }
  const { account } = play(scenario, settingOf(scenario, 'backlog', terms), onLook)
  return { samples, usedMs: account.usedMs }
}

describe('a back-test', () => {
  test('with the policy that ran then uses what was used then, within a twentieth', () => {
    for (const name of ['demo', 'spike', 'sawtooth']) {
      const { samples, usedMs } = recordingOfPlay(name)
      const { scenario, account, holes } = replayOf(name, { samples, decisions: [] })
      expect(holes).toEqual([])
      const again = contest(scenario, 'backlog', terms)
      expect(Math.abs(again.cost.executorSeconds * 1_000 - usedMs) / usedMs).toBeLessThan(0.05)
      // Starting and draining executors cost too, but are not at work.
      expect(Math.abs(account.usedMs - usedMs) / usedMs).toBeLessThan(0.05)
    }
  })

  test('keeps its lines', () => {
    const { samples } = recordingOfPlay('demo')
    const lines = linesOf({ samples, decisions: [] }).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(samples)
  })
})
