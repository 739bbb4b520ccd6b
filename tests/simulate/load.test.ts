import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { Arrivals, type Load, phases, rateAt, recordsOf } from '../../simulate/load.ts'

setDefaultTimeout(60_000)

function arrivalsOf(load: Load, seed = 1): number[] {
  const arrivals = new Arrivals(load, seed)
  const all: number[] = []
  for (let at = arrivals.next(); at < Infinity; at = arrivals.next()) all.push(at)
  return all
}

describe('records arrive', () => {
  /**
   *   records/s   2 ──────┐       4 ──────┐
   *               ·   ·   │ 0     · · · · │
   *   seconds     0       1       2       3
   */
  test('evenly at a steady rate, and not at all at 0', () => {
    expect(arrivalsOf(phases([2, 1], [0, 1], [4, 1]))).toEqual([
      500, 1_000, 2_250, 2_500, 2_750, 3_000,
    ])
  })

  /**
   *   records/s        ╱ 4          t²  records until t seconds: 1, 2, 3, 4 at their square roots
   *                  ╱
   *   seconds     0 ╱  2
   */
  test('ever faster on a ramp, ever more slowly on the way down', () => {
    const up = { points: [[0, 0] as const, [2, 4] as const] }
    const expected = [1, 2, 3, 4].map((records) => Math.sqrt(records) * 1_000)
    expect(arrivalsOf(up).map(Math.round)).toEqual(expected.map(Math.round))
    const down = { points: [[0, 4] as const, [2, 0] as const] }
    const mirrored = [3, 2, 1, 0].map((left) => 2_000 - Math.sqrt(left) * 1_000)
    expect(arrivalsOf(down).map(Math.round)).toEqual(mirrored.map(Math.round))
  })

  test('without drift: a day at 10 a second is 864,000, the last of them at its end', () => {
    const day = arrivalsOf(phases([10, 86_400]))
    expect(day.length).toBe(864_000)
    expect(day.at(-1)).toBeCloseTo(86_400_000, 3)
  })

  test('by chance: as many on the whole, in order, the same by the same seed', () => {
    const load = { ...phases([10, 100], [50, 100]), poisson: true }
    const some = arrivalsOf(load, 7)
    expect(recordsOf(load)).toBe(6_000)
    // Five standard deviations of a Poisson count of 6,000.
    expect(Math.abs(some.length - 6_000)).toBeLessThan(5 * Math.sqrt(6_000))
    expect(some).toEqual([...some].sort((a, b) => a - b))
    expect(arrivalsOf(load, 7)).toEqual(some)
    expect(arrivalsOf(load, 8)).not.toEqual(some)
    // Gaps between arrivals that come by chance vary as much as they are long.
    const gaps = some.slice(1).map((at, i) => at - some[i]!)
    const early = gaps.slice(0, 900)
    const mean = early.reduce((sum, gap) => sum + gap, 0) / early.length
    const spread = Math.sqrt(early.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / early.length)
    expect(spread / mean).toBeGreaterThan(0.8)
    expect(spread / mean).toBeLessThan(1.2)
  })

  test('at the rate that the curve says', () => {
    const load = {
      points: [[0, 0] as const, [10, 20] as const, [10, 5] as const, [20, 5] as const],
    }
    expect([0, 5, 10, 15, 20].map((second) => rateAt(load, second))).toEqual([0, 10, 5, 5, 0])
  })
})
