/**
 * Two versions of a job, window by window: what both have closed must have the same rows, if nothing was
 * to change, or differ only where it was.
 *
 *   closed windows of both → those that both have, but for the first → rows by group → equal or not
 *
 * The first window of a version may be a part of one, as its records begin in the middle.
 */
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { closedTotals, readClosedWindows, type WindowRow } from '../actors/windows/read.ts'

/** One version: its rows are read by its own job, whose aggregates say what the bytes mean. */
export interface Version {
  job: Job
  keys: Keys
}

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
  const [starts, otherStarts] = [
    await startsOf(store, one, windowsMost),
    await startsOf(store, other, windowsMost),
  ]
  const from = Math.max(firstWhole(starts, one.job), firstWhole(otherStarts, other.job))
  const to = Math.min(starts[0] ?? -Infinity, otherStarts[0] ?? -Infinity)
  const within = (start: number) => start >= from && start <= to
  const theirs = new Set(otherStarts.filter(within))
  const both = starts.filter((start) => within(start) && theirs.has(start))
  const names = new Set(other.job.aggregates.map(({ name }) => name))
  const result: Comparison = {
    windows: both.length,
    onlyOne: starts.filter(within).length + theirs.size - 2 * both.length,
    equal: 0,
    different: 0,
    examples: [],
    aggregates: one.job.aggregates.map(({ name }) => name).filter((name) => names.has(name)),
  }
  for (const start of both) await compareWindow(store, versions, start, result)
  return result
}

/** Newest first. */
async function startsOf(store: Store, { job, keys }: Version, most: number): Promise<number[]> {
  const starts: number[] = []
  for await (const { start } of closedTotals(store, keys, job)) {
    starts.push(start)
    if (starts.length === most) break
  }
  return starts
}

const firstWhole = (starts: readonly number[], job: Job): number =>
  (starts.at(-1) ?? Infinity) + job.windowSizeMs

async function compareWindow(
  store: Store,
  versions: readonly [Version, Version],
  start: number,
  result: Comparison,
): Promise<void> {
  const [ones, others] = [
    await rowsOf(store, versions[0], start),
    await rowsOf(store, versions[1], start),
  ]
  for (const key of new Set([...ones.keys(), ...others.keys()])) {
    const rows = [ones.get(key) ?? null, others.get(key) ?? null] as const
    if (isSame(rows, result.aggregates)) {
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

/** By end and group: windows of one start and another size are other windows. */
async function rowsOf(store: Store, { job, keys }: Version, start: number) {
  const rows = await readClosedWindows(store, keys, job, { from: start, to: start + 1 })
  return new Map(rows.map((row) => [JSON.stringify([row.end, row.key]), row]))
}

function isSame(
  [one, other]: readonly [WindowRow | null, WindowRow | null],
  aggregates: readonly string[],
): boolean {
  if (!one || !other) return false
  return aggregates.every((name) => Bun.deepEquals(one.values[name], other.values[name]))
}
