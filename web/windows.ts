/**
 * GET /api/windows: rows of open and closed windows, newest first, a page at a time. The cursor of a
 * page is the place of its last row, so that pages stay in step while windows close.
 */
import * as v from 'valibot'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import {
  cursorOf,
  type PaneCache,
  paneVersions,
  readClosedWindows,
  readOpenWindows,
  untilJoined,
  type WindowCursor,
  type WindowQuery,
  type WindowRow,
} from '../actors/windows/read.ts'
import { HttpError } from './errors.ts'
import { groupFilterOf, type windowsQueryOf } from './queries.ts'
import type { WindowReport } from './window-schemas.ts'

type Query = v.InferOutput<ReturnType<typeof windowsQueryOf>>

export interface WindowsPage {
  windows: WindowReport[]
  next?: string
}

export async function windowsPage(
  store: Store,
  keys: Keys,
  job: Job,
  query: Query,
): Promise<WindowsPage> {
  const { state, from, to, limit, cursor } = query
  if (from !== undefined && to !== undefined && from > to) {
    throw new HttpError(400, 'bad_request', 'from must not be after to')
  }
  const names = job.groups.map(({ name }) => name)
  const where = groupFilterOf(names, query)
  const before = cursor === undefined ? undefined : cursorFrom(cursor)
  const rows = await newestRows(store, keys, job, state, {
    from,
    to,
    where,
    before,
    limit: limit + 1,
  })
  const windows = rows.slice(0, limit).map(windowReport)
  if (rows.length <= limit) return { windows }
  return { windows, next: cursorText(cursorOf(job, rows[limit - 1]!)) }
}

/** Rows of both states or of one. */
export async function newestRows(
  store: Store,
  keys: Keys,
  job: Job,
  state: 'open' | 'closed' | undefined,
  query: WindowQuery & { limit: number },
  cache?: PaneCache,
): Promise<WindowRow[]> {
  // Open ones first: a window that closes in between is then in both lists, never in neither.
  const open = state === 'closed' ? [] : await readOpenWindows(store, keys, job, query, cache)
  const isFull = state === undefined && open.length >= query.limit
  if (state === 'open' || isFull) return open.slice(0, query.limit)
  await untilJoined(store, keys)
  const closed = await readClosedWindows(store, keys, job, query)
  return [...withoutClosed(job, open, closed), ...closed].slice(0, query.limit)
}

/** Open rows but for those of windows, or those sessions, that are closed by now. */
export function withoutClosed(job: Job, open: WindowRow[], closed: WindowRow[]): WindowRow[] {
  const placeOf = (row: WindowRow) =>
    job.gapMs === null ? row.start : JSON.stringify([row.end, row.key])
  const places = new Set(closed.map(placeOf))
  return open.filter((row) => !places.has(placeOf(row)))
}

/** Changes whenever a row of open or closed windows may have: a few bytes, read in a few calls. */
export async function windowsVersion(store: Store, keys: Keys): Promise<string> {
  const [panes, closedTo, newest] = await Promise.all([
    paneVersions(store, keys),
    store.redis.hget(keys.clock, 'closedTo'),
    store.redis.xrevrange(keys.closed, '+', '-', 'COUNT', 1),
  ])
  return JSON.stringify([Array.from(panes), closedTo, newest[0]?.[0] ?? null])
}

export function windowReport({ start, end, ...row }: WindowRow): WindowReport {
  return { start: iso(start), end: iso(end), ...row }
}

const cursorSchema = v.strictTuple([v.pipe(v.number(), v.safeInteger()), v.string()])

const cursorText = ({ start, group }: WindowCursor): string =>
  Buffer.from(JSON.stringify([start, group])).toString('base64url')

function cursorFrom(text: string): WindowCursor {
  const json = Buffer.from(text, 'base64url').toString()
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), cursorSchema), json)
  if (!parsed.success) {
    throw new HttpError(400, 'bad_request', 'cursor must be the `next` of an earlier answer')
  }
  const [start, group] = parsed.output
  return { start, group }
}

const iso = (ms: number) => new Date(ms).toISOString()
