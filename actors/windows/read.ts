/**
 * Windows as people and sinks read them: panes of open windows combined, rows of closed windows
 * decoded. Rows come newest window first and, within a window, in the order of their group's JSON
 * text, so that a row is also a place to go on from (`before`).
 *
 * A window is open while its end lies beyond `closedTo`, and closed once its `last` entry is in the
 * stream; the one that is being closed in between is neither, so nobody sees half a window.
 * No call holds Redis for long: hashes are scanned, streams paged, both in bounded steps.
 */
import type { GroupValue, Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { cellOps, emptyCells, mergeCells, readValue } from './aggregates.ts'
import { panesOfWindow, windowsOfPane } from './windows.ts'

/** One group's row; its fields are the job's group fields and aggregates. */
export interface GroupRow {
  key: Record<string, GroupValue>
  values: Record<string, number | null>
}

/** Times in epoch ms; the window is [start, end). */
export interface WindowRow extends GroupRow {
  start: number
  end: number
  state: 'open' | 'closed'
}

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

/** HSCAN's COUNT: about 0.3 ms of Redis's time, far less than the 10 ms that a call may take. */
const SCAN_COUNT = 500
/** Bytes that one page of the closed stream aims at, and entries before their size is known. */
const PAGE_BYTES = 2 * 1024 * 1024
const PAGE_ENTRIES = { first: 8, max: 128 }

/** Group's JSON text → its cells. */
type Groups = Map<string, Float64Array>

/** The place behind a row, for `before`. */
export function cursorOf(job: Job, row: WindowRow): WindowCursor {
  const parts = job.groups.map(({ name }) => row.key[name])
  return { start: row.start, group: JSON.stringify(parts) }
}

/** The rows of one entry of the closed stream (`rows`: u32 key length, key, cells, repeated). */
export function decodeRows(job: Job, bytes: Buffer): GroupRow[] {
  const groups: Groups = new Map()
  splitRows(job, bytes, groups)
  return Array.from(groups, ([group, cells]) => rowOf(job, group, cells))
}

/** Rows of the open windows, as they stand now. */
export async function readOpenWindows(
  store: Store,
  keys: Keys,
  job: Job,
  query: WindowQuery = {},
): Promise<WindowRow[]> {
  const limit = query.limit ?? Infinity
  const closedTo = await readClosedTo(store, keys)
  const panes = new Set((await paneVersions(store, keys)).keys())
  const held = new Map<number, Groups>()
  const rows: WindowRow[] = []
  for (const start of openStarts(job, panes, closedTo, query)) {
    if (rows.length >= limit) break
    const window = { start, end: start + job.windowSizeMs, state: 'open' as const }
    const groups = await combinePanes(store, keys, job, start, panes, held)
    rows.push(...rowsOf(job, window, groups, query, limit - rows.length))
  }
  // A window that began to close meanwhile may have lost panes while they were read. These are the
  // oldest ones, so what is left out here is at the end of the rows.
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
  const limit = query.limit ?? Infinity
  const rows: WindowRow[] = []
  for await (const { start, groups } of closedWindows(store, keys, job, query)) {
    const window = { start, end: start + job.windowSizeMs, state: 'closed' as const }
    rows.push(...rowsOf(job, window, groups, query, limit - rows.length))
    if (rows.length >= limit) break
  }
  return rows
}

/** Open pane's start → a text that changes whenever the pane does; the cheap look before reading. */
export async function paneVersions(store: Store, keys: Keys): Promise<Map<number, string>> {
  const panes = await store.redis.hgetall(keys.panes)
  return new Map(Object.entries(panes).map(([start, version]) => [Number(start), version]))
}

/** Every window that ends at or before this is closed or being closed; -Infinity before the first. */
async function readClosedTo(store: Store, keys: Keys): Promise<number> {
  const closedTo = await store.redis.hget(keys.clock, 'closedTo')
  return closedTo === null ? -Infinity : Number(closedTo)
}

/** Starts of the windows to read, newest first. */
function openStarts(job: Job, panes: Set<number>, closedTo: number, query: WindowQuery): number[] {
  const starts = new Set<number>()
  for (const pane of panes) {
    for (const start of windowsOfPane(job, pane)) {
      if (start + job.windowSizeMs > closedTo && isWanted(start, query)) starts.add(start)
    }
  }
  return Array.from(starts).sort((a, b) => b - a)
}

/** Merges a window's panes; `held` keeps those that the next, older window shares with it. */
async function combinePanes(
  store: Store,
  keys: Keys,
  job: Job,
  start: number,
  panes: Set<number>,
  held: Map<number, Groups>,
): Promise<Groups> {
  const merged: Groups = new Map()
  for (const pane of panesOfWindow(job, start)) {
    if (!panes.has(pane)) continue
    const groups = held.get(pane) ?? (await readPane(store, keys.pane(pane)))
    held.set(pane, groups)
    for (const [group, cells] of groups) {
      const into = merged.get(group) ?? emptyCells(job.ops)
      mergeCells(job.ops, into, cells)
      merged.set(group, into)
    }
  }
  for (const pane of held.keys()) {
    if (pane >= start + job.windowSizeMs - job.windowSlideMs) held.delete(pane)
  }
  return merged
}

/** All groups of a pane. HSCAN may give a group twice; the Map keeps its later cells. */
async function readPane(store: Store, key: string): Promise<Groups> {
  const groups: Groups = new Map()
  let cursor = '0'
  do {
    const [next, page] = await store.redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT)
    for (let i = 0; i < page.length; i += 2) {
      groups.set(page[i]!.toString(), cellsOf(page[i + 1]!))
    }
    cursor = next.toString()
  } while (cursor !== '0')
  return groups
}

interface ClosedEntry {
  id: string
  start: number
  rows: Buffer
  last: boolean
}

/** Whole closed windows, newest first. */
async function* closedWindows(store: Store, keys: Keys, job: Job, query: WindowQuery) {
  let groups: Groups | null = null
  let start = Number.NaN
  for await (const entry of closedEntries(store, keys, query)) {
    // Backwards, a window's `last` entry comes first, and the previous window is complete with it.
    if (entry.last) {
      if (groups && isWanted(start, query)) yield { start, groups }
      groups = new Map()
      start = entry.start
      if (start < (query.from ?? -Infinity)) return
    }
    // Entries in front of any `last` are the beginning of the window that is being closed.
    if (groups && entry.start === start) splitRows(job, entry.rows, groups)
  }
  if (groups && isWanted(start, query) && !(await isTrimmed(store, keys))) yield { start, groups }
}

/** Entries of the closed stream from the newest that `to` and `before` leave, in bounded pages. */
async function* closedEntries(store: Store, keys: Keys, query: WindowQuery) {
  let top = await newestId(store, keys, upperBound(query))
  let count = PAGE_ENTRIES.first
  for (;;) {
    const page = await store.redis.xrevrangeBuffer(keys.closed, top, '-', 'COUNT', count)
    const entries = page.map(([id, fields]) => closedEntry(id, fields))
    yield* entries
    const oldest = entries.at(-1)
    if (!oldest || entries.length < count) return
    top = `(${oldest.id}`
    const bytes = entries.reduce((sum, entry) => sum + entry.rows.length, 0)
    const fitting = Math.floor(PAGE_BYTES / Math.max(1, bytes / entries.length))
    count = Math.min(PAGE_ENTRIES.max, Math.max(1, fitting))
  }
}

/**
 * The id from which on downwards windows start before `bound`: found by halving the span of ids,
 * since entries are in the order of their windows. Windows that share a millisecond are left to the
 * caller to tell apart.
 */
async function newestId(store: Store, keys: Keys, bound: number): Promise<string> {
  if (bound === Infinity) return '+'
  const [newest] = await store.redis.xrevrangeBuffer(keys.closed, '+', '-', 'COUNT', 1)
  const [oldest] = await store.redis.xrangeBuffer(keys.closed, '-', '+', 'COUNT', 1)
  if (!newest || !oldest) return '+'
  let high = idTime(newest[0]) + 1
  let low = idTime(oldest[0])
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const [found] = await store.redis.xrangeBuffer(keys.closed, middle, '+', 'COUNT', 1)
    if (!found || closedEntry(found[0], found[1]).start >= bound) high = middle
    else low = middle
  }
  return `${high - 1}-18446744073709551615`
}

/** Whether the stream's oldest window may lack entries, because the stream was cut. */
async function isTrimmed(store: Store, keys: Keys): Promise<boolean> {
  const info = (await store.redis.xinfo('STREAM', keys.closed)) as unknown[]
  const field = (name: string) => Number(info[info.indexOf(name) + 1])
  return field('entries-added') !== field('length')
}

const idTime = (id: Buffer): number => Number(id.toString().split('-')[0])

function closedEntry(id: Buffer, fields: Buffer[]): ClosedEntry {
  const entry: ClosedEntry = {
    id: id.toString(),
    start: 0,
    rows: Buffer.alloc(0),
    last: false,
  }
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1]!
    const name = fields[i]!.toString()
    if (name === 'start') entry.start = Number(value.toString())
    if (name === 'last') entry.last = value.toString() === '1'
    if (name === 'rows') entry.rows = value
  }
  return entry
}

function splitRows(job: Job, bytes: Buffer, groups: Groups): void {
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
function cellsOf(bytes: Buffer): Float64Array {
  const cells = new Float64Array(bytes.length / 8)
  for (let slot = 0; slot < cells.length; slot++) cells[slot] = bytes.readDoubleLE(slot * 8)
  return cells
}

function upperBound(query: WindowQuery): number {
  const cursor = query.before ? query.before.start + 1 : Infinity
  return Math.min(query.to ?? Infinity, cursor)
}

const isWanted = (start: number, query: WindowQuery): boolean =>
  start >= (query.from ?? -Infinity) && start < upperBound(query)

/** A window's rows that the query asks for, in order, `limit` at the most. */
function rowsOf(
  job: Job,
  window: Pick<WindowRow, 'start' | 'end' | 'state'>,
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

function rowOf(job: Job, group: string, cells: Float64Array): GroupRow {
  const parts = JSON.parse(group) as GroupValue[]
  let slot = 0
  const values = job.aggregates.map(({ name, aggregate }) => {
    const value = readValue(aggregate, cells, slot)
    slot += cellOps(aggregate).length
    return [name, value] as const
  })
  // fromEntries defines own fields, so that a group field named __proto__ is one like any other.
  return {
    key: Object.fromEntries(job.groups.map(({ name }, index) => [name, parts[index] ?? null])),
    values: Object.fromEntries(values),
  }
}
