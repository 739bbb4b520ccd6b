/**
 * Cells: the part of a group's state that is a row of float64 slots, laid out by the job's aggregates
 * and merged slot by slot, in any order, with the same result: what an executor folds, what Redis
 * keeps (little-endian, 8 bytes a slot) and what a reader turns into values. Pure.
 *
 * Slot letters (`ops`), which cells.lua merges by:
 *   n   a count: add
 *   h l a sum in fixed point, value = h × 2⁵² + l with 0 ≤ l < 2⁵²: add, carry
 *   m M the least, the greatest: ±Infinity while there is none
 * What does not fit into slots is a sketch, whose bytes follow them (sketches.ts).
 */
import type { Aggregate, AggregateValue, Parts } from './kinds.ts'

const LIMB = 2 ** 52
const LIMB_BIG = 2n ** 52n
/** By exponent. Raising 10 to it would be a call for each number that is added. */
const powersOfTen = Float64Array.from({ length: 10 }, (_, exponent) => 10 ** exponent)

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
    case 'own':
      return Object.values(aggregate.own!.parts)
        .map((part) => partOps[part])
        .join('')
    case 'first':
    case 'last':
    case 'distinct':
    case 'quantiles':
    case 'topK':
      return ''
    default:
      return aggregate.kind satisfies never
  }
}

const partOps = { sum: 'hl', min: 'm', max: 'M' } as const

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
  const scaled = value * powersOfTen[decimals]!
  if (!(Math.abs(scaled) < LIMB)) return null
  const rounded = Math.round(scaled)
  if (Number.isInteger(value)) return rounded
  // The product is at most two roundings away from the true one: below 2⁴⁴ that is far less than
  // the distance to a tie that this guards. Near a tie, or above, the digits themselves decide.
  if (Math.abs(scaled) < 2 ** 44 && Math.abs(scaled - rounded) < 0.49) return rounded
  const exact = roundDecimal(value, decimals)
  return Math.abs(exact) < LIMB ? exact : null
}

/**
 * The value of one aggregate from its cells: null for the least or greatest of none, and for one whose
 * value is not in cells.
 */
export function readValue(
  aggregate: Aggregate<never>,
  cells: Float64Array,
  slot: number,
): AggregateValue {
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
    case 'own':
      return readOwn(aggregate, cells, slot)
    case 'first':
    case 'last':
    case 'distinct':
    case 'quantiles':
    case 'topK':
      return null
    default:
      return aggregate.kind satisfies never
  }
}

/** What the job's own code makes of the parts; null where it throws, so that other rows can be read. */
function readOwn(aggregate: Aggregate<never>, cells: Float64Array, first: number): AggregateValue {
  const { parts, value } = aggregate.own!
  const read: Parts = {}
  let slot = first
  for (const [name, part] of Object.entries(parts)) {
    read[name] = readValue({ ...aggregate, kind: part }, cells, slot) as number | null
    slot += partOps[part].length
  }
  try {
    return value(read)
  } catch {
    return null
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
