/**
 * Windows as people and sinks read them: panes of open windows combined, rows of closed windows
 * decoded. Rows come newest window first and, within a window, in the order of their group's JSON
 * text, so that a row is also a place to go on from (`before`).
 *
 * A window is open while its end lies beyond `closedTo`, and closed once its `last` entry is in the
 * stream; the one that is being closed in between is neither, so nobody sees half a window. Where closed
 * windows may change, each is as it was told last.
 * No call holds Redis for long: hashes are scanned, streams paged, both in bounded steps.
 */
import type { GroupValue, Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { type ClosedWindow, closedWindows } from './closed.ts'
import { type Groups, splitRows, type WindowCursor, type WindowQuery } from './groups.ts'
import type { AggregateValue } from './kinds.ts'
import { openWindows, PaneCache, readClosedTo } from './open.ts'
import { closedSessions, openSessions, sessionsIn, type Session } from './sessions.ts'
import { closedSpans, openSpans, type SessionSpan } from './session-spans.ts'
import { isSession, type SessionShape } from './span.ts'
import { type Stored, valuesOf } from './state.ts'

export type { WindowCursor, WindowQuery } from './groups.ts'
export { PaneCache, paneVersions, untilJoined } from './open.ts'

/** One group's row; its fields are the job's group fields and aggregates. */
export interface GroupRow {
  key: Record<string, GroupValue>
  values: Record<string, AggregateValue>
}

/** Times in epoch ms; the window is [start, end). */
export interface WindowRow extends GroupRow {
  start: number
  end: number
  state: 'open' | 'closed'
  /** Of a closed window that can be told more than once: the number of its newest telling, from 0. */
  revision?: number
}

/** A window as one row: the aggregates over all of its groups, and how many these are. */
export interface WindowTotal extends Omit<WindowRow, 'key'> {
  groups: number
}

/** The place behind a row, for `before`. */
export function cursorOf(job: Job, row: WindowRow): WindowCursor {
  const parts = job.groups.map(({ name }) => row.key[name])
  return { start: isSession(job) ? row.end : row.start, group: JSON.stringify(parts) }
}

/** What an entry of the closed stream has of a window, or of a closing of sessions. */
export interface ClosedPart {
  start: number
  end: number
  /** u32 key length, key, state, repeated. */
  rows: Buffer
}

/** Its rows with their groups' JSON text and their bounds: the window's, or each session's own. */
export function closedRows(job: Job, { start, end, rows }: ClosedPart) {
  if (isSession(job)) {
    return sessionsIn(job, rows).map((session) => {
      const { key, values } = rowOf(job, session.group, [session.state])
      return { start: session.start, end: session.end, group: session.group, key, values }
    })
  }
  const groups: Groups = new Map()
  splitRows(job, rows, groups)
  return Array.from(groups, ([group, parts]) => ({
    start,
    end,
    group,
    ...rowOf(job, group, parts),
  }))
}

/** Rows of the open windows, as they stand now. */
export async function readOpenWindows(
  store: Store,
  keys: Keys,
  job: Job,
  query: WindowQuery = {},
  cache = new PaneCache(),
): Promise<WindowRow[]> {
  if (isSession(job)) {
    const rows = await sessionRows(job, 'open', await openSessions(store, keys, job, query), query)
    return stillOpen(store, keys, rows)
  }
  const limit = query.limit ?? Infinity
  const rows: WindowRow[] = []
  for await (const { start, groups } of openWindows(store, keys, job, query, cache)) {
    rows.push(...rowsOf(job, windowOf(job, start, 'open'), groups, query, limit - rows.length))
    if (rows.length >= limit) break
  }
  return stillOpen(store, keys, rows)
}

/** The open windows, newest first, each as one row. */
export async function readOpenTotals(
  store: Store,
  keys: Keys,
  job: Job,
  cache = new PaneCache(),
): Promise<WindowTotal[]> {
  if (isSession(job)) return spanTotals(store, keys, job)
  const totals: WindowTotal[] = []
  for await (const { start, groups } of openWindows(store, keys, job, {}, cache)) {
    totals.push(totalOf(job, windowOf(job, start, 'open'), groups))
  }
  return stillOpen(store, keys, totals)
}

/**
 * A window that began to close meanwhile may have lost panes while they were read. These are the oldest
 * ones, so what is left out here is at the end of the rows.
 */
async function stillOpen<Row extends { end: number }>(
  store: Store,
  keys: Keys,
  rows: Row[],
): Promise<Row[]> {
  const closedSince = await readClosedTo(store, keys)
  return rows.filter((row) => row.end > closedSince)
}

/** Rows of closed windows; each window is read whole, or not at all. */
export async function readClosedWindows(
  store: Store,
  keys: Keys,
  job: Job,
  query: WindowQuery = {},
): Promise<WindowRow[]> {
  if (isSession(job)) {
    return sessionRows(job, 'closed', closedSessions(store, keys, job, query), query)
  }
  const limit = query.limit ?? Infinity
  const rows: WindowRow[] = []
  for await (const window of closedWindows(store, keys, job, query)) {
    rows.push(...rowsOf(job, closedOf(job, window), window.groups, query, limit - rows.length))
    if (rows.length >= limit) break
  }
  return rows
}

/** Sessions that are closed, by the spans of so many ms in which they end, newest first. */
export async function* closedSessionRows(
  store: Store,
  keys: Keys,
  job: Job & SessionShape,
  spanMs: number,
): AsyncGenerator<{ start: number; rows: WindowRow[] }> {
  for await (const { start, sessions } of closedSpans(store, keys, job, {}, spanMs)) {
    yield { start, rows: await sessionRows(job, 'closed', sessions, {}) }
  }
}

/** Closed windows, newest first, each as one row; read on only as far as they are taken. */
export async function* closedTotals(
  store: Store,
  keys: Keys,
  job: Job,
  query: Pick<WindowQuery, 'from' | 'to'> = {},
): AsyncGenerator<WindowTotal> {
  if (isSession(job)) {
    yield* closedSpanTotals(store, keys, job, query)
    return
  }
  for await (const window of closedWindows(store, keys, job, query)) {
    yield totalOf(job, closedOf(job, window), window.groups)
  }
}

const spanTotals = async (store: Store, keys: Keys, job: Job & SessionShape) =>
  (await openSpans(store, keys, job)).map((span) => spanTotal(job, span))

async function* closedSpanTotals(
  store: Store,
  keys: Keys,
  job: Job & SessionShape,
  query: Pick<WindowQuery, 'from' | 'to'>,
): AsyncGenerator<WindowTotal> {
  for await (const span of closedSpans(store, keys, job, query)) yield spanTotal(job, span)
}

const spanTotal = (job: Job, { sessions, ...window }: SessionSpan): WindowTotal => ({
  ...window,
  groups: sessions.length,
  values: valuesOf(
    job,
    sessions.map(({ state }) => state),
  ),
})

/** Rows of sessions, which are in order, `limit` at the most. */
async function sessionRows(
  job: Job,
  state: WindowRow['state'],
  sessions: Iterable<Session> | AsyncIterable<Session>,
  { where, limit = Infinity }: WindowQuery,
): Promise<WindowRow[]> {
  const rows: WindowRow[] = []
  for await (const { start, end, group, state: stored } of sessions) {
    if (rows.length >= limit) break
    const row = rowOf(job, group, [stored])
    if (matches(row, where)) rows.push({ start, end, state, ...row })
  }
  return rows
}

const windowOf = <const State extends WindowRow['state']>(
  job: Job,
  start: number,
  state: State,
) => ({
  start,
  end: start + job.windowSizeMs,
  state,
})

const closedOf = (job: Job, { start, revision }: ClosedWindow) => ({
  ...windowOf(job, start, 'closed'),
  ...(revision && { revision: revision.revision }),
})

/** As all of its groups' states are merged in the way in which panes are. */
function totalOf(job: Job, window: Omit<WindowRow, keyof GroupRow>, groups: Groups): WindowTotal {
  const parts = [...groups.values()].flat()
  return { ...window, groups: groups.size, values: valuesOf(job, parts) }
}

/** A window's rows that the query asks for, in order, `limit` at the most. */
function rowsOf(
  job: Job,
  window: Omit<WindowRow, keyof GroupRow>,
  groups: Groups,
  query: WindowQuery,
  limit: number,
): WindowRow[] {
  const after = query.before?.start === window.start ? query.before.group : null
  const rows: WindowRow[] = []
  for (const group of Array.from(groups.keys()).sort()) {
    if (rows.length >= limit) break
    if (after !== null && group <= after) continue
    const row = rowOf(job, group, groups.get(group)!)
    if (matches(row, query.where)) rows.push({ ...window, ...row })
  }
  return rows
}

function matches(row: GroupRow, where: WindowQuery['where']): boolean {
  if (!where) return true
  return Object.entries(where).every(([name, text]) => String(row.key[name]) === text)
}

function rowOf(job: Job, group: string, stored: readonly Stored[]): GroupRow {
  const parts = JSON.parse(group) as GroupValue[]
  // fromEntries defines own fields, so that a group field named __proto__ is one like any other.
  return {
    key: Object.fromEntries(job.groups.map(({ name }, index) => [name, parts[index] ?? null])),
    values: valuesOf(job, stored),
  }
}
