import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  addToSum,
  cellOps,
  emptyCells,
  mergeCells,
  readValue,
  toFixedPoint,
} from '../../../actors/windows/aggregates.ts'
import { type Aggregate, avg, count, max, min, sum } from '../../../actors/windows/kinds.ts'

const LIMB = 2n ** 52n

/** The decimal that JSON writes for a number as an integer and its power of ten, on its own terms. */
function decimalOf(value: number): { units: bigint; places: number } {
  const [mantissa = '', exponent = '0'] = JSON.stringify(value).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const places = fraction.length - Number(exponent)
  const units = BigInt(whole + fraction)
  return places < 0 ? { units: units * 10n ** BigInt(-places), places: 0 } : { units, places }
}

/** value × 10^decimals, half away from zero, in exact arithmetic. */
function exactly(value: number, decimals: number): bigint {
  const { units, places } = decimalOf(value)
  const scaled = units * 10n ** BigInt(decimals)
  const divisor = 10n ** BigInt(places)
  const magnitude = scaled < 0n ? -scaled : scaled
  const rounded = (2n * magnitude + divisor) / (2n * divisor)
  return scaled < 0n ? -rounded : rounded
}

const decimalDigits = fc.integer({ min: 0, max: 9 })

/** Numbers as records have them: short decimals, ties, any double, whole numbers. */
const numbers = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: -5e9, max: 5e9, noNaN: true }),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
  fc
    .tuple(fc.integer({ min: -1_000_000, max: 1_000_000 }), fc.integer({ min: 0, max: 12 }))
    .map(([units, places]) => Number(`${units}e-${places}`)),
  // One digit more than is kept, and that a 5: ties.
  fc
    .tuple(fc.integer({ min: -100_000_000, max: 100_000_000 }), decimalDigits)
    .map(([units, places]) => Number(`${units}5e-${places + 1}`)),
)

describe('fixed point', () => {
  test('is the number in decimals, rounded half away from zero', () => {
    fc.assert(
      fc.property(numbers, decimalDigits, (value, decimals) => {
        const expected = exactly(value, decimals)
        const size = expected < 0n ? -expected : expected
        // At the very limit the product's own rounding may refuse one that would just fit.
        if (size >= LIMB - 2n && size <= LIMB + 2n) return
        const actual = toFixedPoint(value, decimals)
        if (size >= LIMB) expect(actual).toBeNull()
        else expect(BigInt(actual!)).toBe(expected)
      }),
      { numRuns: 5_000 },
    )
  })

  test.each([
    [0.5, 0, 1],
    [-0.5, 0, -1],
    [2.5, 0, 3],
    [-2.5, 0, -3],
    [1.005, 2, 101], // the double is less than 1.005, the decimal that was written is not
    [1.0000005, 6, 1_000_001],
    [-1.0000005, 6, -1_000_001],
    [0.1 + 0.2, 6, 300_000],
    [1e-7, 6, 0],
    [5e-7, 6, 1],
    [4_503_599_627.370_495, 6, 4_503_599_627_370_495],
  ])('takes %p with %p decimals as %p', (value, decimals, expected) => {
    expect(toFixedPoint(value, decimals)).toBe(expected)
  })

  test.each([
    Number.NaN,
    Infinity,
    -Infinity,
    Number('1e400'),
    1e300,
    4_503_599_627.370_496,
    -4_503_599_627.370_496,
  ])('refuses %p with 6 decimals', (value) => {
    expect(toFixedPoint(value, 6)).toBeNull()
  })

  test('takes no decimals but 0 to 9', () => {
    for (const decimals of [-1, 10, 1.5, Number.NaN]) {
      expect(() => sum('x', { decimals })).toThrow('decimals must be a whole number from 0 to 9')
    }
  })
})

const aggregates = [count(), sum('x'), avg('x'), min('x'), max('x')] as Aggregate<never>[]
const ops = aggregates.map(cellOps).join('')

/** One value's cells, laid out by hand: n, h l, n h l, m, M. */
function cellsOf(value: number): Float64Array {
  const cells = emptyCells(ops)
  const scaled = toFixedPoint(value, 6)!
  cells[0] = 1
  addToSum(cells, 1, scaled)
  cells[3] = 1
  addToSum(cells, 4, scaled)
  cells[6] = value
  cells[7] = value
  return cells
}

const merged = (parts: Float64Array[]): Float64Array => {
  const into = emptyCells(ops)
  for (const part of parts) mergeCells(ops, into, part)
  return into
}

// The fold makes -0 and 0 one value before either gets here.
const summands = fc
  .oneof(
    fc.double({ min: -4e9, max: 4e9, noNaN: true }),
    fc.constantFrom(4_503_599_627.370_495, -4_503_599_627.370_495, 0, 0.000001, -0.000001),
  )
  .map((value) => value + 0)

describe('cells', () => {
  test('come out the same, however values are split and in whatever order they are merged', () => {
    const splits = fc.array(fc.tuple(summands, fc.nat(4)), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(splits, fc.infiniteStream(fc.nat(1_000)), (values, dice) => {
        const whole = merged(values.map(([value]) => cellsOf(value)))
        const byExecutor = Map.groupBy(values, ([, executor]) => executor)
        const parts = [...byExecutor.values()].map((own) =>
          merged(own.map(([value]) => cellsOf(value)).toReversed()),
        )
        // Two at a time, wherever they stand, until one is left.
        while (parts.length > 1) {
          const into = parts.splice(dice.next().value! % parts.length, 1)[0]!
          mergeCells(ops, into, parts.splice(dice.next().value! % parts.length, 1)[0]!)
          parts.push(into)
        }
        expect([...parts[0]!]).toEqual([...whole])
      }),
      { numRuns: 500 },
    )
  })

  test('hold the exact sum, as wide as it gets', () => {
    fc.assert(
      fc.property(fc.array(summands, { minLength: 1, maxLength: 200 }), (values) => {
        const cells = merged(values.map(cellsOf))
        const exact = values.reduce((total, value) => total + exactly(value, 6), 0n)
        expect(cells[2]).toBeGreaterThanOrEqual(0)
        expect(cells[2]).toBeLessThan(Number(LIMB))
        expect(BigInt(cells[1]!) * LIMB + BigInt(cells[2]!)).toBe(exact)
      }),
      { numRuns: 500 },
    )
  })

  test('of an empty group are neutral and read as none', () => {
    const cells = cellsOf(-1.5)
    mergeCells(ops, cells, emptyCells(ops))
    expect([...cells]).toEqual([...cellsOf(-1.5)])
    const none = emptyCells(ops)
    expect(readValue(aggregates[1]!, none, 1)).toBe(0)
    expect(readValue(aggregates[2]!, none, 3)).toBeNull()
    expect(readValue(aggregates[3]!, none, 6)).toBeNull()
    expect(readValue(aggregates[4]!, none, 7)).toBeNull()
  })

  test('read as the double nearest to the exact sum and to the rounded average', () => {
    fc.assert(
      fc.property(fc.array(summands, { minLength: 1, maxLength: 50 }), (values) => {
        const cells = merged(values.map(cellsOf))
        const exact = values.reduce((total, value) => total + exactly(value, 6), 0n)
        expect(readValue(aggregates[1]!, cells, 1)).toBe(Number(`${exact}e-6`))
        const n = BigInt(values.length)
        const magnitude = exact < 0n ? -exact : exact
        const mean = (2n * magnitude + n) / (2n * n)
        const expected = Number(`${exact < 0n ? '-' : ''}${mean}e-6`)
        expect(Number(readValue(aggregates[2]!, cells, 3)) + 0).toBe(expected + 0)
        expect(readValue(aggregates[3]!, cells, 6)).toBe(Math.min(...values))
        expect(readValue(aggregates[4]!, cells, 7)).toBe(Math.max(...values))
      }),
      { numRuns: 500 },
    )
  })
})
