/**
 * The stream of closed windows, read forwards: whole windows behind a position. What was cut away
 * before it was read is seen by the numbers of the windows, and told, never passed over.
 */
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { type ClosedPart, closedRows } from '../windows/read.ts'
import { type Revision, revisionOf } from '../windows/revisions.ts'
import { beginning, type Position, positionText } from './position.ts'
import type { ClosedRow, ClosedWindow } from './sink.ts'

/** Entries of one page; an entry has some hundred groups at the most. */
const PAGE_ENTRIES = 16
/** A batch ends with the window that brings it here. */
const BATCH_ROWS = 5_000

export interface Read {
  windows: ClosedWindow[]
  /** Windows that should have come first and are no more in the stream. */
  lost: number
}

interface Entry extends ClosedPart {
  id: string
  last: boolean
  /** Counts the entries of a window from 0. */
  part: number
  number: number
  revision: Revision | null
  /** The telling's place among all of closed and open windows; 0 where each window is told once. */
  told: number
}

/** A window with all of its rows; `last` is its last entry. */
interface Whole {
  last: Entry
  rows: ClosedRow[]
}

/**
 * The windows behind a position, `most` at the most; none while the next one is being closed. `updates`:
 * open windows too, which have no numbers of their own, as what is lost of them comes again with the next.
 */
export async function readClosed(
  store: Store,
  keys: Keys,
  job: Job,
  after: Position,
  {
    most = 256,
    updates = false,
  }: { most?: number | undefined; updates?: boolean | undefined } = {},
): Promise<Read> {
  const closed = await readWhole(store, keys.closed, job, after.id, most)
  // After them, so that what closes a window never comes without what was told of it before.
  const open = updates
    ? await readWhole(store, keys.updates, job, after.updatesId ?? '0-0', most)
    : { windows: [], isCut: false }
  const read: Read = { windows: [], lost: 0 }
  let place = after
  for (const { last, rows } of inOrder(closed, open).slice(0, most)) {
    const { start, end, number, revision } = last
    // A gap behind windows that are there is found when these are written.
    const missing = place.number > 0 ? Math.max(0, number - place.number - 1) : 0
    if (missing > 0 && read.windows.length > 0) break
    read.lost += missing
    place = placeBehind(place, last)
    read.windows.push({ start, end, number, rows, revision, position: positionText(place) })
  }
  return read
}

function placeBehind(place: Position, { id, number, end, revision }: Entry): Position {
  if (revision?.isOpen) return { ...place, updatesId: id }
  return { ...place, id, number, end: Math.max(place.end ?? -Infinity, end) }
}

interface Piece {
  windows: Whole[]
  /** There may be more. */
  isCut: boolean
}

/** As they were told, as far as that is known of both. */
function inOrder(closed: Piece, open: Piece): Whole[] {
  if (open.windows.length === 0) return closed.windows
  const ends = [closed, open].map(({ windows, isCut }) =>
    isCut ? windows.at(-1)!.last.told : Infinity,
  )
  return [...closed.windows, ...open.windows]
    .filter(({ last }) => last.told <= Math.min(...ends))
    .sort((a, b) => a.last.told - b.last.told)
}

/** Whole windows of a stream behind an id. */
async function readWhole(
  store: Store,
  key: string,
  job: Job,
  after: string,
  most: number,
): Promise<Piece> {
  const windows: Whole[] = []
  let parts: Entry[] = []
  let count = 0
  for await (const entry of entriesAfter(store, key, after)) {
    if (entry.part === 0) parts = []
    // The beginning of this window was cut away.
    else if (entry.part !== parts.length || parts.at(-1)?.number !== entry.number) continue
    parts.push(entry)
    if (!entry.last) continue
    const rows = rowsOf(job, parts)
    windows.push({ last: entry, rows })
    parts = []
    count += rows.length
    if (windows.length >= most || count >= BATCH_ROWS) return { windows, isCut: true }
  }
  return { windows, isCut: false }
}

/**
 * What of a closed window ends after `end`, of sessions some of its rows; null where nothing does. So a
 * sink that has what ended by then, from another version of the job, goes on exactly behind it.
 */
export function beyond(window: ClosedWindow, end: number): ClosedWindow | null {
  if (window.end <= end) return null
  const rows = window.rows.filter((row) => row.end > end)
  return rows.length === window.rows.length
    ? window
    : { ...window, start: Math.max(window.start, end), rows }
}

/** How many windows are closed, by their numbers; where these are told more than once, each time counts. */
export async function closedCount(store: Store, keys: Keys): Promise<number> {
  const names = ['tellings', 'closedWindows', 'closing', 'closingKind'] as const
  const [tellings, windows, closing, kind] = await store.redis.hmget(keys.clock, ...names)
  // Where closed windows may change, each telling has a number.
  const begun = tellings ?? windows
  return Number(begun ?? 0) - (begun && closing && kind !== 'update' ? 1 : 0)
}

/** The first window that the stream has whole, as far as its first entries tell; null for none. */
export async function oldestWindow(
  store: Store,
  keys: Keys,
): Promise<Pick<ClosedWindow, 'number' | 'end'> | null> {
  const page = await store.redis.xrangeBuffer(keys.closed, '-', '+', 'COUNT', 1)
  const [first] = page.map(([id, fields]) => entryOf(id, fields))
  if (!first) return null
  // Of a window without its beginning nothing can be taken.
  return first.part === 0 ? first : { number: first.number + 1, end: first.end }
}

/** Behind the newest whole window of the stream, of those that end by `until` where it is given. */
export async function newestPosition(
  store: Store,
  keys: Keys,
  version: string,
  until = Infinity,
): Promise<Position> {
  let top = '+'
  for (;;) {
    const page = await store.redis.xrevrangeBuffer(keys.closed, top, '-', 'COUNT', PAGE_ENTRIES)
    const entries = page.map(([id, fields]) => entryOf(id, fields))
    const found = entries.find(({ last, end }) => last && end <= until)
    if (found) return { ...found, version }
    const oldest = entries.at(-1)
    if (!oldest) return { ...beginning, version }
    top = `(${oldest.id}`
  }
}

/** Id of the newest entry of the stream of open windows. */
export async function newestUpdate(store: Store, keys: Keys): Promise<string> {
  const [newest] = await store.redis.xrevrangeBuffer(keys.updates, '+', '-', 'COUNT', 1)
  return newest ? newest[0].toString() : '0-0'
}

async function* entriesAfter(store: Store, key: string, after: string): AsyncGenerator<Entry> {
  for (let from = `(${after}`; ; ) {
    const page = await store.redis.xrangeBuffer(key, from, '+', 'COUNT', PAGE_ENTRIES)
    for (const [id, fields] of page) yield entryOf(id, fields)
    const newest = page.at(-1)
    if (!newest || page.length < PAGE_ENTRIES) return
    from = `(${newest[0].toString()}`
  }
}

function entryOf(id: Buffer, fields: Buffer[]): Entry {
  const of = new Map<string, Buffer>()
  for (let i = 0; i < fields.length; i += 2) of.set(fields[i]!.toString(), fields[i + 1]!)
  const number = (name: string) => Number(of.get(name)?.toString() ?? 0)
  return {
    id: id.toString(),
    start: number('start'),
    end: number('end'),
    last: number('last') === 1,
    part: number('part'),
    number: number('n'),
    rows: of.get('rows') ?? Buffer.alloc(0),
    revision: revisionOf((name) => of.get(name)?.toString()),
    told: number('told'),
  }
}

/** By code units, as everywhere: the same window is the same bytes, whoever writes it. */
function rowsOf(job: Job, parts: readonly Entry[]): ClosedRow[] {
  const rows = parts.flatMap((part) => closedRows(job, part))
  return rows.sort((a, b) => (a.group === b.group ? a.end - b.end : a.group < b.group ? -1 : 1))
}
