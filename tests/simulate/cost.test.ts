import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Cost, costOf } from '../../simulate/cost.ts'

setDefaultTimeout(60_000)

const many = 200_000

function drawn(cost: Cost, seed = 1): number[] {
  const { ms } = costOf(cost, seed)
  return Array.from({ length: many }, (_, record) => ms(record))
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length

describe('what records cost', () => {
  test('has the mean that is asked for, however it is spread', () => {
    const pareto = drawn({ kind: 'pareto', ms: 70, shape: 1.5, mostMs: 10_000 })
    expect(mean(pareto)).toBeGreaterThan(60)
    expect(mean(pareto)).toBeLessThan(80)
    expect(Math.max(...pareto)).toBeLessThanOrEqual(10_000)
    const lognormal = drawn({ kind: 'lognormal', ms: 70, sigma: 1 })
    expect(mean(lognormal)).toBeGreaterThan(67)
    expect(mean(lognormal)).toBeLessThan(73)
  })

  test('a heavy tail: the costliest hundredth is a fifth of the work, and more', () => {
    const sorted = drawn({ kind: 'pareto', ms: 70, shape: 1.5, mostMs: 10_000 }).sort(
      (a, b) => b - a,
    )
    const top = sorted.slice(0, many / 100).reduce((sum, ms) => sum + ms, 0)
    expect(top / (mean(sorted) * many)).toBeGreaterThan(0.15)
  })

  test('hangs on the seed and the number alone, in whatever order it is asked for', () => {
    const cost: Cost = { kind: 'lognormal', ms: 70, sigma: 1 }
    const one = costOf(cost, 3)
    const backwards = [9, 8, 7].map((record) => one.ms(record))
    expect(backwards).toEqual([9, 8, 7].map((record) => costOf(cost, 3).ms(record)))
    expect(costOf(cost, 4).ms(9)).not.toBe(one.ms(9))
  })

  test('is what a recording says, from a number on', () => {
    const { ms } = costOf(
      {
        kind: 'recorded',
        points: [
          [0, 10],
          [5, 20],
          [8, 30],
        ],
      },
      1,
    )
    expect([0, 4, 5, 7, 8, 100, 4, 0].map((record) => ms(record))).toEqual([
      10, 10, 20, 20, 30, 30, 10, 10,
    ])
  })
})
