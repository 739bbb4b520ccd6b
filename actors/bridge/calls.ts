/**
 * Which of what was fetched goes into one append call. Partitions that bring little go together, so that
 * a trickle over many of them costs Redis one call; one that brings much has calls of its own, beside the
 * others'. Pure.
 */
import { bounds } from '../config.ts'
import type { PackedEntry } from './pack.ts'

/** What a call adds to one partition: entries that tile [from, next); none where only the ledger moves. */
export interface Part {
  partition: number
  from: number
  next: number
  /** Kafka's end of the partition. */
  high: number
  entries: PackedEntry[]
  /** When it was fetched, where that is traced. */
  since: number
}

/** Half a megabyte, so that Redis is held for a moment only. */
const BYTES_MAX = 2 * bounds.entryBytes
/** Entries of a call; a partition that only moves counts as one. */
const ENTRIES_MAX = 64

/** Parts that are to be appended one call after the other; each of these lists beside the others. */
export function together(parts: readonly Part[]): Part[][] {
  const lists: Part[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const part of parts) {
    const size = bytesOf(part)
    if (bytes + size > BYTES_MAX) {
      lists.push([])
      bytes = 0
    }
    lists.at(-1)!.push(part)
    bytes += size
  }
  return lists
}

/** The first call, of one entry at the least, and what it leaves. `recordsMax` is what a quota lets it have. */
export function firstCall(
  parts: readonly Part[],
  recordsMax: number,
): { call: Part[]; rest: Part[] } {
  const call: Part[] = []
  let count = 0
  let bytes = 0
  let records = 0
  for (const [index, part] of parts.entries()) {
    if (count >= ENTRIES_MAX) return { call, rest: parts.slice(index) }
    let taken = 0
    for (const entry of part.entries) {
      bytes += entry.payload.length
      records += entry.records
      if (count > 0 && (bytes > BYTES_MAX || records > recordsMax || count >= ENTRIES_MAX)) break
      taken++
      count++
    }
    if (taken === part.entries.length) {
      call.push(part)
      if (taken === 0) count++
      continue
    }
    const [first, left] = splitAt(part, taken)
    return { call: first ? [...call, first] : call, rest: [left, ...parts.slice(index + 1)] }
  }
  return { call, rest: [] }
}

/** The first so many entries, fewer than all, and the rest. */
function splitAt(part: Part, count: number): [Part | null, Part] {
  if (count === 0) return [null, part]
  const at = part.entries[count - 1]!.to
  return [
    { ...part, next: at, entries: part.entries.slice(0, count) },
    { ...part, from: at, entries: part.entries.slice(count) },
  ]
}

const bytesOf = ({ entries }: Part): number =>
  entries.reduce((sum, { payload }) => sum + payload.length, 0)
