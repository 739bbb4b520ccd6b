import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toFixedPoint } from '../../actors/windows/aggregates.ts'
import { ExactSum, meanOf, numberOf, scaler } from '../../verify/decimal.ts'

const runs = { numRuns: 5_000 }

describe('scaling', () => {
  test.each([
    [0, 6, 0],
    [-0, 6, 0],
    [1.5, 0, 2],
    [2.5, 0, 3],
    [-2.5, 0, -3],
    [0.5, 0, 1],
    [-0.5, 0, -1],
    [0.49999999999999994, 0, 0],
    // 1.005 is a little less in binary; the decimal that JSON writes is what counts.
    [1.005, 2, 101],
    [-1.005, 2, -101],
    [10.235, 2, 1024],
    [0.0000005, 6, 1],
    [0.00000049999, 6, 0],
    [5e-324, 9, 0],
    [1e-7, 7, 1],
    [1.5e-7, 7, 2],
    [0.1 + 0.2, 6, 300_000],
    [4_503_599_627.370_495, 6, 4_503_599_627_370_495],
    [123_456_789, 6, 123_456_789_000_000],
  ])('%d with %d decimals is %d', (value, decimals, units) => {
    expect(scaler(decimals)(value)).toBe(units)
  })

  test.each([
    [Number.NaN, 6],
    [Infinity, 0],
    [-Infinity, 0],
    [2 ** 52, 0],
    [-(2 ** 52), 0],
    [4_503_599_627.370_496, 6],
    [1e308, 0],
    [4.6e9, 6],
  ])('%d with %d decimals does not fit', (value, decimals) => {
    expect(scaler(decimals)(value)).toBeNull()
  })

  test('remembers without mixing numbers up', () => {
    const scale = scaler(2)
    for (let i = 0; i < 100_000; i++) scale(i / 7)
    expect(scale(1 / 7)).toBe(14)
    expect(scale(0.145)).toBe(15)
    expect(scale(0.145)).toBe(15)
  })

  test('agrees with a rational made digit by digit', () => {
    const numbers = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(
      fc.property(numbers, fc.integer({ min: 0, max: 9 }), (value, decimals) => {
        expect(scaler(decimals)(value)).toBe(byRational(value, decimals))
      }),
      runs,
    )
  })

  test('agrees with the pipeline, ties and nearly ties included', () => {
    const near = fc
      .tuple(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), fc.integer({ min: 0, max: 9 }))
      .map(([units, decimals]) => Number(`${units}5e-${decimals + 1}`))
    const neighbours = fc
      .tuple(near, fc.integer({ min: -2, max: 2 }))
      .map(([value, ulps]) => value * (1 + ulps * Number.EPSILON))
    const values = fc.oneof(near, neighbours, fc.double({ noNaN: true }))
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 9 }), (value, decimals) => {
        // The pipeline's zero may be negative before it is added up.
        const theirs = toFixedPoint(value, decimals)
        expect(scaler(decimals)(value)).toBe(theirs === null ? null : theirs + 0)
      }),
      runs,
    )
  })
})

describe('sums and means', () => {
  const units = fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 })

  test('are those of big integers, in any order and however they are split', () => {
    fc.assert(
      fc.property(fc.array(units), fc.nat(), (values, split) => {
        const left = new ExactSum()
        const right = new ExactSum()
        values.forEach((value, i) => (i < split % (values.length + 1) ? left : right).add(value))
        left.merge(right)
        expect(left.total()).toBe(values.reduce((sum, value) => sum + BigInt(value), 0n))
      }),
      runs,
    )
  })

  test.each([
    [1n, 2, 1n],
    [-1n, 2, -1n],
    [1n, 3, 0n],
    [2n, 3, 1n],
    [-5n, 2, -3n],
    [0n, 7, 0n],
    [10n, 4, 3n],
  ])('%p ÷ %p is %p, half away from zero', (total, count, mean) => {
    expect(meanOf(total, count)).toBe(mean)
  })

  test('become the nearest double', () => {
    expect(numberOf(1n, 1)).toBe(0.1)
    expect(numberOf(-123_456_789n, 6)).toBe(-123.456789)
    expect(numberOf(0n, 6)).toBe(0)
    expect(numberOf(2n ** 80n, 6)).toBe(Number('1208925819614629174.706176'))
  })
})

/** value × 10^decimals, rounded half away from zero, from the digits of toExponential. */
function byRational(value: number, decimals: number): number | null {
  const [mantissa = '', exponent = '0'] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const power = Number(exponent) - (digits.length - 1) + decimals
  const numerator = 2n * BigInt(digits) * 10n ** BigInt(Math.max(0, power))
  const denominator = 10n ** BigInt(Math.max(0, -power))
  const rounded = (numerator + denominator) / (2n * denominator)
  if (rounded >= 2n ** 52n) return null
  return value < 0 && rounded > 0n ? -Number(rounded) : Number(rounded)
}
