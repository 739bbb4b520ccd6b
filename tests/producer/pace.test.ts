import { describe, expect, test } from 'bun:test'
import type { Clock } from '../../actors/clock.ts'
import { type Pace, sourcePace, steadyPace } from '../../actors/producer/pace.ts'
import { produce } from '../../actors/producer/produce.ts'

/** A clock that moves only when somebody sleeps, or by what the test adds to it. */
function fakeClock(startMs = 1_000_000): Clock & { pass(ms: number): void } {
  let at = 0
  return {
    now: () => startMs + Math.floor(at),
    elapsed: () => at,
    random: () => 0.5,
    sleep(ms) {
      at += ms
      return Promise.resolve()
    },
    turn: () => Promise.resolve(),
    pass(ms) {
      at += ms
    },
  }
}

/** Sizes of the batches and when each was sent, for `seconds` of the clock's time. */
async function run(pace: Pace, seconds: number, sendMs = 0) {
  const clock = fakeClock()
  const controller = new AbortController()
  const batches: { at: number; size: number }[] = []
  const sent = await produce({
    clock,
    pace,
    count: Number.POSITIVE_INFINITY,
    signal: controller.signal,
    make: () => ({ key: '', value: '' }),
    send(records) {
      batches.push({ at: clock.elapsed(), size: records.length })
      clock.pass(sendMs)
      if (clock.elapsed() >= seconds * 1_000) controller.abort()
      return Promise.resolve()
    },
  })
  return { sent, batches, elapsedMs: clock.elapsed() }
}

describe('a steady pace', () => {
  test.each([0.5, 10, 1_000, 200_000])('of %d/s does not drift', async (rate) => {
    const { sent, elapsedMs } = await run(steadyPace(rate), 60)
    expect(Math.abs(sent - (rate * elapsedMs) / 1_000)).toBeLessThanOrEqual(rate / 100 + 1)
  })

  test('is smooth: small batches often', async () => {
    const { batches } = await run(steadyPace(100_000), 10)
    expect(Math.max(...batches.map(({ size }) => size))).toBeLessThanOrEqual(1_000)
    const gaps = batches.slice(1).map(({ at }, i) => at - batches[i]!.at)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10)
  })

  test('makes up for slow sends', async () => {
    const { sent, elapsedMs } = await run(steadyPace(1_000), 30, 50)
    expect(Math.abs(sent - elapsedMs)).toBeLessThan(100)
  })

  test('gives up what is more than a second behind', () => {
    const pace = steadyPace(100)
    expect(pace.take(1_000, 1_000)).toBe(100)
    // Kafka was away for a minute: one second of it is made up for, a batch at a time.
    expect(pace.take(61_000, 10)).toBe(10)
    expect(pace.take(61_000, 1_000)).toBe(100)
    expect(pace.take(61_000, 1_000)).toBe(0)
    expect(pace.take(62_000, 1_000)).toBe(100)
  })
})

describe("the source project's pace", () => {
  test('is one record every 0.05 to 0.3 s', async () => {
    let seed = 1
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed / 2_147_483_647
    }
    const { batches } = await run(sourcePace(random), 300)
    const gaps = batches.slice(1).map(({ at }, i) => at - batches[i]!.at)
    expect(batches.every(({ size }) => size === 1)).toBe(true)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(49)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(301)
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    expect(mean).toBeGreaterThan(165)
    expect(mean).toBeLessThan(185)
  })
})

test('a count is kept exactly', async () => {
  const clock = fakeClock()
  let records = 0
  const sent = await produce({
    clock,
    pace: steadyPace(123_456),
    count: 10_007,
    signal: new AbortController().signal,
    make: () => ({ key: '', value: '' }),
    send(batch) {
      records += batch.length
      return Promise.resolve()
    },
  })
  expect([sent, records]).toEqual([10_007, 10_007])
})
