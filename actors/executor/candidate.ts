/** A record on its way through a fold, in the cursor or apart from it. */
import type { Meta } from '../job.ts'
import type { RecordCursor } from './records.ts'

/** A record that passed schema and time checks, on its way to `work`, filter and groups. */
export interface Candidate {
  offset: number
  timestamp: number
  eventTime: number
  row: unknown
  /** What the job's functions are given beside the row. */
  meta: Meta
  value: Buffer
}

/** Where a record's offset and bytes are told. */
export type Source = RecordCursor | Candidate

export const EMPTY = Buffer.alloc(0)

export function valueOf(source: Source): Buffer {
  if ('value' in source) return source.value
  return source.start < 0 ? EMPTY : source.buffer.subarray(source.start, source.end)
}
