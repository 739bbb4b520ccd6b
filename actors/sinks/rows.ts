/**
 * Rows as sinks write them: the form of GET /api/windows, one JSON object each. Pure.
 */
import { escapedJson } from '../escape.ts'
import type { ClosedRow, ClosedWindow } from './sink.ts'

/** One row; the same row is always the same text. */
export function rowJson(
  { start, end }: Pick<ClosedWindow, 'start' | 'end'>,
  row: ClosedRow,
): string {
  const { key, values } = row
  return escapedJson(JSON.stringify({ start: iso(start), end: iso(end), key, values }))
}

export const iso = (ms: number): string => new Date(ms).toISOString()

/** In pieces of `size`; an empty list is one empty piece. */
export function chunked<T>(list: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size))
  return chunks.length > 0 ? chunks : [[]]
}
