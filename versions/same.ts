/** Whether an aggregate of two versions can be of the same records. Pure. */
import type { Aggregate, AggregateValue, TopEntry } from '../actors/windows/kinds.ts'

export type Compared = Pick<Aggregate<unknown>, 'kind' | 'most'>

/** `aggregates`: the one's and the other's. */
export function canBeSame(
  values: readonly [AggregateValue | undefined, AggregateValue | undefined],
  aggregates: readonly [Compared, Compared],
): boolean {
  if (Bun.deepEquals(values[0], values[1])) return true
  if (aggregates.some(({ kind }) => kind !== 'topK')) return false
  const [ones, others] = values
  if (!Array.isArray(ones) || !Array.isArray(others)) return false
  const one = new Top(ones, aggregates[0].most!)
  const other = new Top(others, aggregates[1].most!)
  // Counts that lack nothing are the same, or of other records.
  if (one.error === 0 && other.error === 0) return false
  return one.allows(other) && other.allows(one)
}

/**
 * What `topK` tells: of more values than it has counters it depends on the order of the records, and so of
 * the same records two may name others, within their errors.
 */
class Top {
  readonly #counts: ReadonlyMap<string, number>
  readonly #least: number
  /** How much each count may lack; unknown where none is named. */
  readonly error: number

  constructor(entries: readonly TopEntry[], most: number) {
    this.#counts = new Map(entries.map(({ value, count }) => [JSON.stringify(value), count]))
    this.error = entries[0]?.error ?? Infinity
    // A value that is not named came no oftener than the last one of a list that is full.
    this.#least = entries.length < most ? 0 : Math.min(...entries.map(({ count }) => count))
  }

  /** Whether each value of the other can have come so often. */
  allows(other: Top): boolean {
    return [...other.#counts].every(
      ([value, count]) => count <= (this.#counts.get(value) ?? this.#least) + this.error,
    )
  }
}
