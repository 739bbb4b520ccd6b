/**
 * One aggregate over a group's records, recomputed: what it takes, and its value, in another way than
 * the pipeline's. The most frequent are counted exactly here: what the pipeline says of them has to be
 * within its bounds (compare.ts). Pure.
 */
import type { AggregateValue, Job, Meta } from '../actors/job.ts'
import { ExactSum, meanOf, numberOf, scaler } from './decimal.ts'
import { distinctOf, quantileOf, registerOf, stepOf } from './sketches.ts'

type Aggregate = Job['aggregates'][number]['aggregate']

/** Event time, partition, offset, and which of a record's rows: compared in this order. */
export type Place = readonly [number, number, number, number]

/** By JSON: how often each value came. */
export type Tally = ReadonlyMap<string, number>
export type Expectation = AggregateValue | { counts: Tally }

export interface State {
  add(value: unknown, place: Place): void
  merge(other: State): void
  /** `records`: of the group. */
  value(records: number): Expectation
}

export interface Reader {
  name: string
  /** What `add` takes of a row: null for nothing. @throws Misfit where a value does not fit */
  read: (row: unknown, meta: Meta) => unknown
  create: () => State
}

export class Misfit extends Error {}

export function readerOf(name: string, aggregate: Aggregate): Reader {
  const { of } = aggregate
  const reading = (fit: (value: unknown) => unknown) => (row: unknown, meta: Meta) => {
    const value = of!(row, meta) ?? null
    return value === null ? null : checked(fit(value))
  }
  switch (aggregate.kind) {
    case 'count':
      return { name, read: () => null, create: () => new Numbers(aggregate) }
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
      return { name, read: reading(fitOf(aggregate)), create: () => new Numbers(aggregate) }
    case 'own':
      return ownReader(name, aggregate)
    case 'distinct':
      return { name, read: reading(plainValue), create: () => new Registers() }
    case 'quantiles':
      return { name, read: reading(small), create: () => new Histogram(aggregate.wanted!) }
    case 'first':
    case 'last':
      return { name, read: reading(shortValue), create: () => new End(aggregate.kind === 'first') }
    case 'topK':
      return { name, read: reading(shortValue), create: () => new Counted() }
    default:
      return aggregate.kind satisfies never
  }
}

function checked(value: unknown): unknown {
  if (value === undefined) throw new Misfit('a value that can not be kept')
  return value
}

/** The number as it is added up; undefined where it does not fit. */
function fitOf({ kind, decimals }: Pick<Aggregate, 'kind' | 'decimals'>) {
  const scale = scaler(decimals)
  const plain = kind === 'min' || kind === 'max'
  return (value: unknown): unknown => {
    if (typeof value !== 'number') return undefined
    // Adding 0 makes -0 and 0 the same.
    if (plain) return Number.isFinite(value) ? value + 0 : undefined
    return scale(value) ?? undefined
  }
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  return typeof value === 'string' || typeof value === 'boolean' ? value : undefined
}

function shortValue(value: unknown): unknown {
  if (typeof value !== 'string') return plainValue(value)
  return value.isWellFormed() && Buffer.byteLength(value) <= 256 ? value : undefined
}

const small = (value: unknown): unknown =>
  typeof value === 'number' && value > -(2 ** 52) && value < 2 ** 52 ? value : undefined

/** How many values, their sum in units, the least and the greatest. */
class Numbers implements State {
  #count = 0
  readonly #sum = new ExactSum()
  #least = Infinity
  #greatest = -Infinity
  readonly #kind: string
  readonly #decimals: number

  constructor({ kind, decimals }: { kind: string; decimals: number }) {
    this.#kind = kind
    this.#decimals = decimals
  }

  add(value: unknown): void {
    const number = value as number
    this.#count++
    if (this.#kind === 'sum' || this.#kind === 'avg') {
      this.#sum.add(number)
    } else {
      this.#least = Math.min(this.#least, number)
      this.#greatest = Math.max(this.#greatest, number)
    }
  }

  merge(other: Numbers): void {
    this.#count += other.#count
    this.#sum.merge(other.#sum)
    this.#least = Math.min(this.#least, other.#least)
    this.#greatest = Math.max(this.#greatest, other.#greatest)
  }

  value(records: number): number | null {
    if (this.#kind === 'count') return records
    if (this.#kind === 'sum') return numberOf(this.#sum.total(), this.#decimals)
    if (this.#count === 0) return null
    if (this.#kind === 'min') return this.#least
    if (this.#kind === 'max') return this.#greatest
    return numberOf(meanOf(this.#sum.total(), this.#count), this.#decimals)
  }
}

function ownReader(name: string, aggregate: Aggregate): Reader {
  const { parts, value } = aggregate.own!
  const named = Object.entries(parts).map(([part, kind]) => {
    const numbers = { kind, decimals: aggregate.decimals }
    return { part, numbers, fit: fitOf(numbers) }
  })
  const read = (row: unknown, meta: Meta) => {
    const given = (aggregate.of!(row, meta) ?? {}) as Record<string, unknown>
    return named.map(({ part, fit }) => {
      const number = given[part] ?? null
      return number === null ? null : checked(fit(number))
    })
  }
  const create = () => new Own(named, value)
  return { name, read, create }
}

class Own implements State {
  readonly #parts: { part: string; numbers: Numbers }[]
  readonly #value: (parts: Record<string, number | null>) => AggregateValue

  constructor(
    parts: { part: string; numbers: { kind: string; decimals: number } }[],
    value: (parts: Record<string, number | null>) => AggregateValue,
  ) {
    this.#parts = parts.map(({ part, numbers }) => ({ part, numbers: new Numbers(numbers) }))
    this.#value = value
  }

  add(value: unknown): void {
    const numbers = value as (number | null)[]
    numbers.forEach((number, i) => {
      if (number !== null) this.#parts[i]!.numbers.add(number)
    })
  }

  merge(other: Own): void {
    this.#parts.forEach(({ numbers }, i) => numbers.merge(other.#parts[i]!.numbers))
  }

  value(records: number): AggregateValue {
    const parts = this.#parts.map(({ part, numbers }) => [part, numbers.value(records)] as const)
    try {
      return this.#value(Object.fromEntries(parts))
    } catch {
      return null
    }
  }
}

class Registers implements State {
  readonly #ranks = new Map<number, number>()

  add(value: unknown): void {
    const [register, rank] = registerOf(value as string | number | boolean)
    this.#ranks.set(register, Math.max(rank, this.#ranks.get(register) ?? 0))
  }

  merge(other: Registers): void {
    for (const [register, rank] of other.#ranks) {
      this.#ranks.set(register, Math.max(rank, this.#ranks.get(register) ?? 0))
    }
  }

  value(): number {
    return distinctOf([...this.#ranks.values()])
  }
}

class Histogram implements State {
  readonly #counts = new Map<number, number>()
  readonly #wanted: readonly number[]

  constructor(wanted: readonly number[]) {
    this.#wanted = wanted
  }

  add(value: unknown): void {
    const step = stepOf(value as number)
    this.#counts.set(step, (this.#counts.get(step) ?? 0) + 1)
  }

  merge(other: Histogram): void {
    for (const [step, count] of other.#counts) {
      this.#counts.set(step, (this.#counts.get(step) ?? 0) + count)
    }
  }

  value(): Record<string, number | null> {
    return quantileOf(this.#counts, this.#wanted)
  }
}

class End implements State {
  #place: Place | null = null
  #value: unknown = null
  readonly #first: boolean

  constructor(first: boolean) {
    this.#first = first
  }

  add(value: unknown, place: Place): void {
    if (this.#place && isBefore(place, this.#place) !== this.#first) return
    this.#place = place
    this.#value = value
  }

  merge(other: End): void {
    if (other.#place) this.add(other.#value, other.#place)
  }

  value(): AggregateValue {
    return this.#value as AggregateValue
  }
}

function isBefore(a: Place, b: Place): boolean {
  const differing = a.findIndex((part, i) => part !== b[i])
  return differing >= 0 && a[differing]! < b[differing]!
}

class Counted implements State {
  readonly #counts = new Map<string, number>()

  add(value: unknown): void {
    const text = JSON.stringify(value)
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1)
  }

  merge(other: Counted): void {
    for (const [text, count] of other.#counts) {
      this.#counts.set(text, (this.#counts.get(text) ?? 0) + count)
    }
  }

  value(): { counts: Tally } {
    return { counts: this.#counts }
  }
}
