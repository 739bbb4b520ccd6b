/**
 * The stream of closed windows, read forwards: whole windows behind a position. What was cut away
 * before it was read is seen by the numbers of the windows, and told, never passed over.
 */
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { decodeRows } from '../windows/read.ts'
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

interface Entry {
  id: string
  start: number
  end: number
  last: boolean
  /** Counts the entries of a window from 0. */
  part: number
  number: number
  rows: Buffer
}

/** The windows behind a position, `most` at the most; none while the next one is being closed. */
export async function readClosed(
  store: Store,
  keys: Keys,
  job: Job,
  after: Position,
  most = 256,
): Promise<Read> {
  const read: Read = { windows: [], lost: 0 }
  let parts: Entry[] = []
  let previous = after.number
  for await (const entry of entriesAfter(store, keys, after.id)) {
    if (entry.part === 0) parts = []
    // The beginning of this window was cut away.
    else if (parts.at(-1)?.number !== entry.number) continue
    parts.push(entry)
    if (!entry.last) continue
    // A gap behind windows that are there is found when these are written.
    const missing = previous > 0 ? Math.max(0, entry.number - previous - 1) : 0
    if (missing > 0 && read.windows.length > 0) break
    read.lost += missing
    previous = entry.number
    read.windows.push(windowOf(job, parts, entry))
    parts = []
    const count = read.windows.reduce((sum, window) => sum + window.rows.length, 0)
    if (read.windows.length >= most || count >= BATCH_ROWS) break
  }
  return read
}

/** How many windows are closed, by their numbers. */
export async function closedCount(store: Store, keys: Keys): Promise<number> {
  const [begun, closing] = await store.redis.hmget(keys.clock, 'closedWindows', 'closing')
  return Number(begun ?? 0) - (begun && closing ? 1 : 0)
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

/** Behind the newest whole window of the stream. */
export async function newestPosition(store: Store, keys: Keys): Promise<Position> {
  let top = '+'
  for (;;) {
    const page = await store.redis.xrevrangeBuffer(keys.closed, top, '-', 'COUNT', PAGE_ENTRIES)
    const entries = page.map(([id, fields]) => entryOf(id, fields))
    const found = entries.find(({ last }) => last)
    if (found) return found
    const oldest = entries.at(-1)
    if (!oldest) return beginning
    top = `(${oldest.id}`
  }
}

async function* entriesAfter(store: Store, keys: Keys, after: string): AsyncGenerator<Entry> {
  for (let from = `(${after}`; ; ) {
    const page = await store.redis.xrangeBuffer(keys.closed, from, '+', 'COUNT', PAGE_ENTRIES)
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
  }
}

function windowOf(job: Job, parts: readonly Entry[], last: Entry): ClosedWindow {
  const rows = parts
    .flatMap((part) => decodeRows(job, part.rows))
    .map((row): ClosedRow => {
      const group = JSON.stringify(job.groups.map(({ name }) => row.key[name]))
      return { group, ...row }
    })
  // By code units, as everywhere: the same window is the same bytes, whoever writes it.
  rows.sort((a, b) => (a.group < b.group ? -1 : 1))
  return {
    start: last.start,
    end: last.end,
    number: last.number,
    rows,
    position: positionText(last),
  }
}
