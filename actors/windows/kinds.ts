/**
 * The aggregates that a job can name, and what each promises. Every one is mergeable: what two parts of
 * the records give, in any order, is what all of them together give; so neither the number of executors
 * nor the cutting into panes shows in a result. How they are kept stands in aggregates.ts (numbers) and
 * sketches.ts (the rest). Pure.
 */
import { fieldReader } from '../fields.ts'
import type { GroupValue, Meta } from '../job.ts'

/** What a row says for one aggregate; JSON. */
export type AggregateValue = GroupValue | { [name: string]: number | null } | TopEntry[]

/** Of `topK`: the value came at least `count` and at most `count + error` times. */
export interface TopEntry {
  value: GroupValue
  count: number
  error: number
}

/** One aggregate over records of type Row. */
export interface Aggregate<in Row> {
  kind:
    | 'count'
    | 'sum'
    | 'avg'
    | 'min'
    | 'max'
    | 'first'
    | 'last'
    | 'distinct'
    | 'quantiles'
    | 'topK'
    | 'own'
  /** What it takes of a record; null and undefined are left out. Absent for `count`. */
  of: Of<Row, unknown> | null
  /** Digits after the point that sums keep and averages are given with. */
  decimals: number
  /** Of `quantiles`: which, in (0, 1]. */
  wanted?: readonly number[]
  /** Of `topK`: how many. */
  most?: number
  own?: { parts: Record<string, Part>; value: (parts: Parts) => AggregateValue }
}

/** How one number of an aggregate of one's own is put together. */
export type Part = 'sum' | 'min' | 'max'
export type Parts = Record<string, number | null>

type Of<Row, Value> = (record: Row, meta: Meta) => Value
type OfNumber<Row> = Of<Row, number | null | undefined>
type OfText<Row> = Of<Row, GroupValue | undefined>
type NumberField<Name extends string> = { readonly [K in Name]?: number | null | undefined }
type TextField<Name extends string> = { readonly [K in Name]?: GroupValue | undefined }

/** Number of records. */
export const count = (): Aggregate<unknown> => ({ kind: 'count', of: null, decimals: 0 })

export interface Decimals {
  /** 0 to 9, 6 by default. A value is rounded to them, half away from zero. */
  decimals?: number
}

/** Exact sum in fixed point. |value| × 10^decimals must be less than 2⁵² (4.5 × 10⁹ with 6). */
export function sum<Name extends string>(
  field: Name,
  options?: Decimals,
): Aggregate<NumberField<Name>>
export function sum<Row>(of: OfNumber<Row>, options?: Decimals): Aggregate<Row>
export function sum(of: string | OfNumber<never>, options?: Decimals): Aggregate<never> {
  return { kind: 'sum', of: accessor(of), decimals: decimalsOf(options) }
}

/** Exact average: the exact sum divided when read, rounded to `decimals`, half away from zero. */
export function avg<Name extends string>(
  field: Name,
  options?: Decimals,
): Aggregate<NumberField<Name>>
export function avg<Row>(of: OfNumber<Row>, options?: Decimals): Aggregate<Row>
export function avg(of: string | OfNumber<never>, options?: Decimals): Aggregate<never> {
  return { kind: 'avg', of: accessor(of), decimals: decimalsOf(options) }
}

/** The least value; null for a group in which no record had one. */
export function min<Name extends string>(field: Name): Aggregate<NumberField<Name>>
export function min<Row>(of: OfNumber<Row>): Aggregate<Row>
export function min(of: string | OfNumber<never>): Aggregate<never> {
  return { kind: 'min', of: accessor(of), decimals: 0 }
}

/** The greatest value; null for a group in which no record had one. */
export function max<Name extends string>(field: Name): Aggregate<NumberField<Name>>
export function max<Row>(of: OfNumber<Row>): Aggregate<Row>
export function max(of: string | OfNumber<never>): Aggregate<never> {
  return { kind: 'max', of: accessor(of), decimals: 0 }
}

/**
 * The value of the record with the least event time; of several with that time the one with the least
 * (partition, offset), so that it is always the same one. Text of up to 256 bytes, number or boolean;
 * records without a value are passed over. 37 bytes and the value's JSON a group and pane.
 */
export function first<Name extends string>(field: Name): Aggregate<TextField<Name>>
export function first<Row>(of: OfText<Row>): Aggregate<Row>
export function first(of: string | OfText<never>): Aggregate<never> {
  return { kind: 'first', of: accessor(of), decimals: 0 }
}

/** The value of the record with the greatest event time, then (partition, offset); see `first`. */
export function last<Name extends string>(field: Name): Aggregate<TextField<Name>>
export function last<Row>(of: OfText<Row>): Aggregate<Row>
export function last(of: string | OfText<never>): Aggregate<never> {
  return { kind: 'last', of: accessor(of), decimals: 0 }
}

/**
 * How many different values, by HyperLogLog: 2,048 registers, standard error 2.3 % (1.04 ÷ √2048); a few
 * values are counted much closer than that. 1 and "1" are different. At most 4 KiB a group and pane.
 */
export function distinct<Name extends string>(field: Name): Aggregate<TextField<Name>>
export function distinct<Row>(of: OfText<Row>): Aggregate<Row>
export function distinct(of: string | OfText<never>): Aggregate<never> {
  return { kind: 'distinct', of: accessor(of), decimals: 0 }
}

/**
 * Quantiles, such as `quantiles('ms', [0.5, 0.99])`, read as `{ p50, p99 }`: the value at rank ⌈q × n⌉
 * of the group's n values, within 0.78 % (1 ÷ 129) of it. |value| must be less than 2⁵²; one below 2⁻³⁰
 * is taken for 0. 10 bytes for each bucket in use: at most 213 for each power of ten that the values
 * span, 103 KiB a group and pane were they to span all of them.
 */
export function quantiles<Name extends string>(
  field: Name,
  wanted: readonly number[],
): Aggregate<NumberField<Name>>
export function quantiles<Row>(of: OfNumber<Row>, wanted: readonly number[]): Aggregate<Row>
export function quantiles(
  of: string | OfNumber<never>,
  wanted: readonly number[],
): Aggregate<never> {
  const isQuantile = (q: number) =>
    q > 0 && q <= 1 && Math.abs(q * 1e6 - Math.round(q * 1e6)) < 1e-6
  if (Array.isArray(wanted) && wanted.length > 0 && wanted.every(isQuantile)) {
    return { kind: 'quantiles', of: accessor(of), decimals: 0, wanted: [...wanted] }
  }
  throw new RangeError('quantiles must be a list of numbers in (0, 1] with at most 6 decimals')
}

/**
 * The values that come most often, `most` of them (1 to 32), each with its count: by 128 counters
 * (Misra-Gries). With up to 128 different values a group the counts are exact. With more a value came
 * `count` to `count + error` times, and `error` is at most n ÷ 129 for n records; so a value that came
 * more often than n ÷ 129 is never missed among the counters. Values as for `first`. 128 × (12 bytes +
 * the value's JSON) a group and pane at most.
 */
export function topK<Name extends string>(field: Name, most: number): Aggregate<TextField<Name>>
export function topK<Row>(of: OfText<Row>, most: number): Aggregate<Row>
export function topK(of: string | OfText<never>, most: number): Aggregate<never> {
  if (Number.isInteger(most) && most >= 1 && most <= 32) {
    return { kind: 'topK', of: accessor(of), decimals: 0, most }
  }
  throw new RangeError('topK must be asked for 1 to 32 values')
}

/**
 * An aggregate of one's own, made of numbers that merge: `parts` says of each whether it is added up
 * (exactly, as `sum` does), or the least or greatest is kept; `of` gives them for a record, null for
 * none; `value` makes of the merged parts what a row shows. It is mergeable whatever `of` and `value`
 * do, since only the parts are merged. A sum of nothing is 0, a least or greatest of nothing null.
 */
export function aggregate<Row, const Named extends Record<string, Part>>(
  own: OwnAggregate<Row, Named>,
): Aggregate<Row> {
  const { parts, of, value, ...options } = own
  const known = parts && Object.values(parts).every((part) => /^(sum|min|max)$/.test(part))
  if (!known || Object.keys(parts).length === 0) {
    throw new RangeError("parts must name at least one of 'sum', 'min' or 'max'")
  }
  if (typeof of !== 'function' || typeof value !== 'function') {
    throw new RangeError('an aggregate of your own must have the functions of and value')
  }
  const kept = { parts, value: value as (parts: Parts) => AggregateValue }
  return { kind: 'own', of, decimals: decimalsOf(options), own: kept }
}

export interface OwnAggregate<Row, Named extends Record<string, Part>> extends Decimals {
  parts: Named
  of: Of<Row, { [P in keyof Named]: number | null | undefined } | null | undefined>
  value: (
    parts: { [P in keyof Named]: Named[P] extends 'sum' ? number : number | null },
  ) => AggregateValue
}

/** The aggregates for records of a known type. */
export interface AggregatesOf<Row> {
  count(): Aggregate<Row>
  sum(of: NumberOf<Row>, options?: Decimals): Aggregate<Row>
  avg(of: NumberOf<Row>, options?: Decimals): Aggregate<Row>
  min(of: NumberOf<Row>): Aggregate<Row>
  max(of: NumberOf<Row>): Aggregate<Row>
  first(of: TextOf<Row>): Aggregate<Row>
  last(of: TextOf<Row>): Aggregate<Row>
  distinct(of: TextOf<Row>): Aggregate<Row>
  quantiles(of: NumberOf<Row>, wanted: readonly number[]): Aggregate<Row>
  topK(of: TextOf<Row>, most: number): Aggregate<Row>
  aggregate<const Named extends Record<string, Part>>(own: OwnAggregate<Row, Named>): Aggregate<Row>
}

type FieldsOf<Row, Value> = Extract<
  { [K in keyof Row]-?: Row[K] extends Value ? K : never }[keyof Row],
  string
>
/** A record's number: the name of a field, or a function. */
export type NumberOf<Row> = FieldsOf<Row, number | null | undefined> | OfNumber<Row>
/** A record's text, number or boolean, likewise. */
export type TextOf<Row> = FieldsOf<Row, GroupValue | undefined> | OfText<Row>

export const aggregatesOf = {
  count,
  sum,
  avg,
  min,
  max,
  first,
  last,
  distinct,
  quantiles,
  topK,
  aggregate,
} as AggregatesOf<never>

function accessor(of: string | Of<never, unknown>): Of<never, unknown> {
  return typeof of === 'function' ? of : fieldReader(of)
}

function decimalsOf(options: Decimals | undefined): number {
  const decimals = options?.decimals ?? 6
  if (Number.isInteger(decimals) && decimals >= 0 && decimals <= 9) return decimals
  throw new RangeError('decimals must be a whole number from 0 to 9')
}
