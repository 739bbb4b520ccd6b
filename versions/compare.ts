/**
 * Two versions of a job, window by window: what both have closed must have the same rows, if nothing was
 * to change, or differ only where it was; what depends on the order of records, within its error (same.ts).
 *
 *   closed windows of both → those that both have, but for the first → rows by group → equal or not
 *
 * The first window of a version may be a part of one, as its records begin in the middle, and so may
 * sessions that begin within a gap of its first. Of sessions "windows" are spans as long as the gap, each
 * with the sessions that end in it.
 */
import type { Store } from '../actors/redis.ts'
import type { WindowRow } from '../actors/windows/read.ts'
import { type Compared, canBeSame } from './same.ts'
import { type Closed, closedOf, type Version } from './closed.ts'

export type { Version } from './closed.ts'

export interface RowDifference {
  /** Epoch ms. */
  start: number
  end: number
  key: WindowRow['key']
  /** Null: this version has no such row. */
  values: [WindowRow['values'] | null, WindowRow['values'] | null]
}

export interface Comparison {
  /** Windows that were compared, and those within the same time that only one version has. */
  windows: number
  onlyOne: number
  /** Rows of the compared windows: equal, and not. */
  equal: number
  different: number
  /** The first of those that differ, newest window first. */
  examples: RowDifference[]
  /** Aggregates that both have, which are what is compared. */
  aggregates: string[]
}

const EXAMPLES_MOST = 10

export async function compareVersions(
  store: Store,
  versions: readonly [Version, Version],
  windowsMost: number,
): Promise<Comparison> {
  const [one, other] = versions
  const spanMs = one.job.gapMs ?? undefined
  const closed: Both = [
    await closedOf(store, one, windowsMost, spanMs),
    await closedOf(store, other, windowsMost, spanMs),
  ]
  const from = Math.max(closed[0].wholeFrom, closed[1].wholeFrom)
  const [starts, otherStarts] = [closed[0].starts(from), closed[1].starts(from)]
  const to = Math.min(starts[0] ?? -Infinity, otherStarts[0] ?? -Infinity)
  const readTo = Math.max(closed[0].readTo, closed[1].readTo)
  const within = (start: number) => start >= readTo && start <= to
  const theirs = new Set(otherStarts.filter(within))
  const both = starts.filter((start) => within(start) && theirs.has(start))
  const compared = comparedOf(one.job, other.job)
  const result: Comparison = {
    windows: both.length,
    onlyOne: starts.filter(within).length + theirs.size - 2 * both.length,
    equal: 0,
    different: 0,
    examples: [],
    aggregates: [...compared.keys()],
  }
  for (const start of both) await compareWindow(closed, start, result, compared)
  return result
}

type Both = readonly [Closed, Closed]
/** Aggregates that both have, as each has them. */
type Shared = ReadonlyMap<string, readonly [Compared, Compared]>

function comparedOf(one: Version['job'], other: Version['job']): Shared {
  const theirs = new Map(other.aggregates.map(({ name, aggregate }) => [name, aggregate]))
  return new Map(
    one.aggregates.flatMap(({ name, aggregate }) => {
      const its = theirs.get(name)
      return its ? [[name, [aggregate, its] as const]] : []
    }),
  )
}

async function compareWindow(
  [one, other]: Both,
  start: number,
  result: Comparison,
  compared: Shared,
): Promise<void> {
  const [ones, others] = [await one.rows(start), await other.rows(start)]
  for (const key of new Set([...ones.keys(), ...others.keys()])) {
    const rows = [ones.get(key) ?? null, others.get(key) ?? null] as const
    if (isSame(rows, compared)) {
      result.equal++
      continue
    }
    result.different++
    if (result.examples.length >= EXAMPLES_MOST) continue
    const { start: from, end, key: group } = (rows[0] ?? rows[1])!
    const values: RowDifference['values'] = [rows[0]?.values ?? null, rows[1]?.values ?? null]
    result.examples.push({ start: from, end, key: group, values })
  }
}

function isSame(
  [one, other]: readonly [WindowRow | null, WindowRow | null],
  compared: Shared,
): boolean {
  if (!one || !other) return false
  return [...compared].every(([name, aggregates]) =>
    canBeSame([one.values[name], other.values[name]], aggregates),
  )
}
