/**
 * Aggregates and their cells. A group's state is a row of float64 slots, laid out by the job's
 * aggregates and merged slot by slot, in any order, with the same result: what an executor folds,
 * what Redis keeps (little-endian, 8 bytes a slot) and what a reader turns into values. Pure.
 *
 * Slot letters (`ops`), which commit.lua and close.lua merge by:
 *   n   a count: add
 *   h l a sum in fixed point, value = h × 2⁵² + l with 0 ≤ l < 2⁵²: add, carry
 *   m M the least, the greatest: ±Infinity while there is none
 * A sketch fits in as more slots of these letters (HyperLogLog registers: M; histogram bins: n).
 */

import { fieldReader } from '../fields.ts'

/** One aggregate over records of type Row. */
export interface Aggregate<in Row> {
  kind: 'count' | 'sum' | 'avg' | 'min' | 'max'
  /** The number of a record; null and undefined are left out. Absent for `count`. */
  of: ((record: Row) => number | null | undefined) | null
  /** Digits after the point that sums keep and averages are given with. */
  decimals: number
}

type Field<Name extends string> = { readonly [K in Name]?: number | null | undefined }
type Of<Row> = (record: Row) => number | null | undefined

/** Number of records. */
export const count = (): Aggregate<unknown> => ({ kind: 'count', of: null, decimals: 0 })

export interface Decimals {
  /** 0 to 9, 6 by default. A value is rounded to them, half away from zero. */
  decimals?: number
}

/** Exact sum in fixed point. |value| × 10^decimals must be less than 2⁵² (4.5 × 10⁹ with 6). */
export function sum<Name extends string>(field: Name, options?: Decimals): Aggregate<Field<Name>>
export function sum<Row>(of: Of<Row>, options?: Decimals): Aggregate<Row>
export function sum(of: string | Of<never>, options?: Decimals): Aggregate<never> {
  return { kind: 'sum', of: accessor(of), decimals: decimalsOf(options) }
}

/** Exact average: the exact sum divided when read, rounded to `decimals`, half away from zero. */
export function avg<Name extends string>(field: Name, options?: Decimals): Aggregate<Field<Name>>
export function avg<Row>(of: Of<Row>, options?: Decimals): Aggregate<Row>
export function avg(of: string | Of<never>, options?: Decimals): Aggregate<never> {
  return { kind: 'avg', of: accessor(of), decimals: decimalsOf(options) }
}

/** The least value; null for a group in which no record had one. */
export function min<Name extends string>(field: Name): Aggregate<Field<Name>>
export function min<Row>(of: Of<Row>): Aggregate<Row>
export function min(of: string | Of<never>): Aggregate<never> {
  return { kind: 'min', of: accessor(of), decimals: 0 }
}

/** The greatest value; null for a group in which no record had one. */
export function max<Name extends string>(field: Name): Aggregate<Field<Name>>
export function max<Row>(of: Of<Row>): Aggregate<Row>
export function max(of: string | Of<never>): Aggregate<never> {
  return { kind: 'max', of: accessor(of), decimals: 0 }
}

/** The aggregates for records of a known type. */
export interface AggregatesOf<Row> {
  count(): Aggregate<Row>
  sum(of: NumberOf<Row>, options?: Decimals): Aggregate<Row>
  avg(of: NumberOf<Row>, options?: Decimals): Aggregate<Row>
  min(of: NumberOf<Row>): Aggregate<Row>
  max(of: NumberOf<Row>): Aggregate<Row>
}
/** A record's number: the name of a field, or a function. */
export type NumberOf<Row> =
  | Extract<
      { [K in keyof Row]-?: Row[K] extends number | null | undefined ? K : never }[keyof Row],
      string
    >
  | Of<Row>

export const aggregatesOf = { count, sum, avg, min, max } as AggregatesOf<never>

const LIMB = 2 ** 52
const LIMB_BIG = 2n ** 52n

/** The slot letters of one aggregate. */
export function cellOps(aggregate: Aggregate<never>): string {
  switch (aggregate.kind) {
    case 'count':
      return 'n'
    case 'sum':
      return 'hl'
    case 'avg':
      return 'nhl'
    case 'min':
      return 'm'
    case 'max':
      return 'M'
    default:
      return aggregate.kind satisfies never
  }
}

/** Cells of a group that has no records yet. */
export function emptyCells(ops: string): Float64Array {
  const cells = new Float64Array(ops.length)
  for (let slot = 0; slot < ops.length; slot++) {
    if (ops[slot] === 'm') cells[slot] = Infinity
    if (ops[slot] === 'M') cells[slot] = -Infinity
  }
  return cells
}

/** Adds a fixed-point number (|scaled| < 2⁵²) to the sum whose `h` is at `slot`. */
export function addToSum(cells: Float64Array, slot: number, scaled: number): void {
  const low = cells[slot + 1]! + scaled
  if (low >= 0 && low < LIMB) {
    cells[slot + 1] = low
  } else {
    const carry = low < 0 ? -1 : 1
    cells[slot] = cells[slot]! + carry
    cells[slot + 1] = low - carry * LIMB
  }
}

/** Merges `from` into `into`, slot by slot. */
export function mergeCells(ops: string, into: Float64Array, from: Float64Array): void {
  for (let slot = 0; slot < ops.length; slot++) {
    const value = from[slot]!
    switch (ops.charAt(slot)) {
      case 'n':
        into[slot] = into[slot]! + value
        break
      case 'h':
        into[slot] = into[slot]! + value
        addToSum(into, slot, from[slot + 1]!)
        slot++
        break
      case 'm':
        if (value < into[slot]!) into[slot] = value
        break
      case 'M':
        if (value > into[slot]!) into[slot] = value
        break
      default:
        throw new Error(`unknown slot ${ops.charAt(slot)} in ${ops}`)
    }
  }
}

/**
 * A number in fixed point: the decimal that JSON writes for it, times 10^decimals, rounded half away
 * from zero. Null where it is not finite or its size is 2⁵² or more.
 */
export function toFixedPoint(value: number, decimals: number): number | null {
  const scaled = value * 10 ** decimals
  if (!(Math.abs(scaled) < LIMB)) return null
  const rounded = Math.round(scaled)
  if (Number.isInteger(value)) return rounded
  // The product is at most two roundings away from the true one: below 2⁴⁴ that is far less than
  // the distance to a tie that this guards. Near a tie, or above, the digits themselves decide.
  if (Math.abs(scaled) < 2 ** 44 && Math.abs(scaled - rounded) < 0.49) return rounded
  const exact = roundDecimal(value, decimals)
  return Math.abs(exact) < LIMB ? exact : null
}

/** The value of one aggregate from its cells: a number, or null for the least or greatest of none. */
export function readValue(
  aggregate: Aggregate<never>,
  cells: Float64Array,
  slot: number,
): number | null {
  switch (aggregate.kind) {
    case 'count':
      return cells[slot]!
    case 'sum':
      return decimalToNumber(sumOf(cells, slot), aggregate.decimals)
    case 'avg': {
      const count = cells[slot]!
      if (count === 0) return null
      const mean = divideHalfAway(sumOf(cells, slot + 1), BigInt(count))
      return decimalToNumber(mean, aggregate.decimals)
    }
    case 'min':
    case 'max':
      return Number.isFinite(cells[slot]!) ? cells[slot]! : null
    default:
      return aggregate.kind satisfies never
  }
}

const sumOf = (cells: Float64Array, slot: number): bigint =>
  BigInt(cells[slot]!) * LIMB_BIG + BigInt(cells[slot + 1]!)

function divideHalfAway(dividend: bigint, divisor: bigint): bigint {
  const magnitude = dividend < 0n ? -dividend : dividend
  const quotient = (2n * magnitude + divisor) / (2n * divisor)
  return dividend < 0n ? -quotient : quotient
}

/** The double nearest to units ÷ 10^decimals. */
function decimalToNumber(units: bigint, decimals: number): number {
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, '0')
  const point = digits.length - decimals
  const text = `${digits.slice(0, point)}.${digits.slice(point)}`
  return Number(units < 0n ? `-${text}` : text)
}

/** Shifts the shortest decimal form of a double by `decimals` digits and rounds half away. */
function roundDecimal(value: number, decimals: number): number {
  const [, digit = '0', fraction = '', exponent = '0'] =
    /^(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(Math.abs(value).toExponential()) ?? []
  const digits = digit + fraction
  const kept = 1 + Number(exponent) + decimals
  if (kept < 0) return 0
  const whole = Number(digits.slice(0, kept).padEnd(kept, '0') || '0')
  const up = (digits[kept] ?? '0') >= '5' ? 1 : 0
  return Math.sign(value) * (whole + up)
}

function accessor(of: string | Of<never>): Aggregate<never>['of'] {
  return typeof of === 'function' ? of : (fieldReader(of) as Of<never>)
}

function decimalsOf(options: Decimals | undefined): number {
  const decimals = options?.decimals ?? 6
  if (Number.isInteger(decimals) && decimals >= 0 && decimals <= 9) return decimals
  throw new RangeError('decimals must be a whole number from 0 to 9')
}
