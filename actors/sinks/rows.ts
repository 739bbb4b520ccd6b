/**
 * Rows as sinks write them: the form of GET /api/windows, one JSON object each. Pure.
 */
import { escapedJson } from '../escape.ts'
import type { ClosedRow, ClosedWindow } from './sink.ts'

/** What names a window and, where it is told more than once, the telling. */
export interface ToldWindow {
  start: string
  end: string
  /** `open`: it goes on. `final`: nothing can change it any more. */
  state?: 'open' | 'closed'
  revision?: number
  final?: boolean
}

export type Telling = Pick<ClosedWindow, 'start' | 'end' | 'revision'>

export function toldWindow({ start, end, revision: told }: Telling): ToldWindow {
  const window = { start: iso(start), end: iso(end) }
  if (!told) return window
  const { revision, isOpen, isFinal } = told
  return { ...window, state: isOpen ? 'open' : 'closed', revision, final: isFinal }
}

/** One row; the same row is always the same text. */
export function rowJson({ revision = null }: Pick<Telling, 'revision'>, row: ClosedRow): string {
  const { start, end, key, values } = row
  return escapedJson(JSON.stringify({ ...toldWindow({ start, end, revision }), key, values }))
}

export const iso = (ms: number): string => new Date(ms).toISOString()

/** In pieces of `size`; an empty list is one empty piece. */
export function chunked<T>(list: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size))
  return chunks.length > 0 ? chunks : [[]]
}
