/**
 * What a version has closed, as versions are compared by it: windows by their starts, sessions by the
 * spans in which they end. Rows are read only for what is compared.
 */
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import {
  closedSessionRows,
  closedTotals,
  readClosedWindows,
  type WindowRow,
} from '../actors/windows/read.ts'
import { isSession, type SessionShape } from '../actors/windows/span.ts'

/** One version: its rows are read by its own job, whose aggregates say what the bytes mean. */
export interface Version {
  job: Job
  keys: Keys
}

/** Rows by what names them: their bounds and group. */
export type Rows = ReadonlyMap<string, WindowRow>

export interface Closed {
  /** From here on what starts is whole: before, records may be missing that the version never read. */
  wholeFrom: number
  /** Start of the oldest that was read, where there are older ones. */
  readTo: number
  /** Starts of windows or spans with something whole in them, newest first. */
  starts(from: number): number[]
  rows(start: number): Promise<Rows>
}

/** The newest `most` windows or spans; of sessions the spans are `spanMs` long. */
export function closedOf(
  store: Store,
  version: Version,
  most: number,
  spanMs?: number,
): Promise<Closed> {
  const { job, keys } = version
  return isSession(job)
    ? sessionsOf(store, keys, job, most, spanMs ?? job.gapMs)
    : windowsOf(store, version, most)
}

async function windowsOf(store: Store, { job, keys }: Version, most: number): Promise<Closed> {
  const starts: number[] = []
  for await (const { start } of closedTotals(store, keys, job)) {
    starts.push(start)
    if (starts.length === most) break
  }
  return {
    wholeFrom: (starts.at(-1) ?? Infinity) + job.windowSizeMs,
    readTo: -Infinity,
    starts: (from) => starts.filter((start) => start >= from),
    async rows(start) {
      return byName(await readClosedWindows(store, keys, job, { from: start, to: start + 1 }))
    },
  }
}

/** In one pass, as a span's sessions can't be looked up by it. */
async function sessionsOf(
  store: Store,
  keys: Keys,
  job: Job & SessionShape,
  most: number,
  spanMs: number,
): Promise<Closed> {
  const spans = new Map<number, WindowRow[]>()
  let begun = Infinity
  let readTo = -Infinity
  for await (const { start, rows } of closedSessionRows(store, keys, job, spanMs)) {
    spans.set(start, rows)
    for (const row of rows) begun = Math.min(begun, row.start)
    if (spans.size < most) continue
    readTo = start
    break
  }
  let whole = -Infinity
  const wholeRows = (start: number) => (spans.get(start) ?? []).filter((row) => row.start >= whole)
  return {
    // One that begins sooner may go on from records before the first.
    wholeFrom: begun + job.gapMs,
    readTo,
    starts(from) {
      whole = from
      return [...spans.keys()].filter((start) => wholeRows(start).length > 0)
    },
    rows: (start) => Promise.resolve(byName(wholeRows(start))),
  }
}

const byName = (rows: readonly WindowRow[]): Rows =>
  new Map(rows.map((row) => [JSON.stringify([row.start, row.end, row.key]), row]))
