import { expect, test } from 'bun:test'
import { percentile, percentilesOf } from '../../bench/percentiles.ts'

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('a percentile is the value of the nearest rank', () => {
  expect(percentile(upTo(100), 0.99)).toBe(99)
  expect(percentile(upTo(1_000), 0.999)).toBe(999)
  expect(percentile(upTo(3), 0.5)).toBe(2)
  expect(percentile(upTo(10), 1)).toBe(10)
  expect(percentile([7], 0.001)).toBe(7)
  expect(percentile([], 0.5)).toBeNaN()
})

test('a share that has no exact number does not lose a rank', () => {
  // 0.07 × 100 is 7.000000000000001.
  expect(percentile(upTo(100), 0.07)).toBe(7)
})

test('values come in any order, and the greatest is not left out', () => {
  const shuffled = upTo(2_000).toSorted((a, b) => ((a * 7_919) % 2_003) - ((b * 7_919) % 2_003))
  expect(percentilesOf(shuffled)).toEqual({ p50: 1_000, p99: 1_980, p999: 1_998, max: 2_000 })
})
