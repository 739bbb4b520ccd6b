/**
 * What readers of open and closed windows share: the question, and groups with their cells. Pure.
 */
import type { Job } from '../job.ts'

/** Group's JSON text → its cells. */
export type Groups = Map<string, Float64Array>

/** Where a page of rows ended: the window's start and the group's JSON text. */
export interface WindowCursor {
  start: number
  group: string
}

export interface WindowQuery {
  /** Rows at the most; all of them when absent. */
  limit?: number | undefined
  /** Bounds of the windows' start, half-open, epoch ms. */
  from?: number | undefined
  to?: number | undefined
  /** Only rows behind this one. */
  before?: WindowCursor | undefined
  /** Only groups whose fields, as text, are these. */
  where?: Record<string, string> | undefined
}

export const isWanted = (start: number, query: WindowQuery): boolean =>
  start >= (query.from ?? -Infinity) && start < upperBound(query)

export function upperBound(query: WindowQuery): number {
  const cursor = query.before ? query.before.start + 1 : Infinity
  return Math.min(query.to ?? Infinity, cursor)
}

/** Adds the groups of one entry's rows (u32 key length, key, cells, repeated). */
export function splitRows(job: Job, bytes: Buffer, groups: Groups): void {
  const cellBytes = job.ops.length * 8
  let at = 0
  while (at < bytes.length) {
    const keyEnd = at + 4 + bytes.readUInt32LE(at)
    const group = bytes.toString('utf8', at + 4, keyEnd)
    at = keyEnd + cellBytes
    groups.set(group, cellsOf(bytes.subarray(keyEnd, at)))
  }
}

/** Cells from their bytes, which need not be aligned. */
export function cellsOf(bytes: Buffer): Float64Array {
  const cells = new Float64Array(bytes.length / 8)
  for (let slot = 0; slot < cells.length; slot++) cells[slot] = bytes.readDoubleLE(slot * 8)
  return cells
}
