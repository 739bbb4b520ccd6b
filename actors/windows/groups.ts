/**
 * What readers of open and closed windows share: the question, and groups with their states. Pure.
 */
import type { Job } from '../job.ts'
import { type Stored, storedAt } from './state.ts'

/** Group's JSON text → its state, in parts where it comes from several panes. */
export type Groups = Map<string, readonly Stored[]>

/** Where a page of rows ended: the window's start, or the session's end, and the group's JSON text. */
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

/** One group's row, as splitRows reads it. */
export function rowBytes(group: string, state: Buffer): Buffer {
  const key = Buffer.from(group)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(key.length)
  return Buffer.concat([length, key, state])
}

/** Adds the groups of one entry's rows (u32 key length, key, state, repeated). */
export function splitRows(job: Job, bytes: Buffer, groups: Groups): void {
  let at = 0
  while (at < bytes.length) {
    const keyEnd = at + 4 + bytes.readUInt32LE(at)
    const stored = storedAt(job, bytes, keyEnd)
    groups.set(bytes.toString('utf8', at + 4, keyEnd), [stored])
    at = stored.end
  }
}
