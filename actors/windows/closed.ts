/**
 * Closed windows, newest first, from the stream that they were emitted to: each whole, or not at all.
 */
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { type Groups, isWanted, splitRows, upperBound, type WindowQuery } from './groups.ts'
import { type Revision, revisionOf } from './revisions.ts'

/** Bytes that one page of the closed stream aims at, and entries before their size is known. */
const PAGE_BYTES = 2 * 1024 * 1024
const PAGE_ENTRIES = { first: 8, max: 128 }

interface ClosedEntry {
  id: string
  start: number
  end: number
  rows: Buffer
  last: boolean
  /** Null where the job tells each window once. */
  revision: Revision | null
  /** Windows were closed, and final, up to there when it was written; they never go back. */
  closedTo: number
  finalTo: number
}

/** A closed window, as it was told last. */
export interface ClosedWindow {
  start: number
  groups: Groups
  revision: Revision | null
}

/**
 * Closed windows that the query asks for, with their groups: newest first, each by its newest revision,
 * which may have been written long after windows that are newer.
 */
export async function* closedWindows(
  store: Store,
  keys: Keys,
  job: Job,
  query: WindowQuery,
): AsyncGenerator<ClosedWindow> {
  const found = new Found(job.windowSizeMs)
  /** The one whose entries are being read, backwards; null where it is known or not wanted. */
  let window: ClosedWindow | null = null
  for await (const entry of closedEntries(store, keys, isBeyond(job, query))) {
    // Backwards, a window's `last` entry comes first, and what was written before is complete with it.
    if (entry.last) {
      if (window) found.add(window)
      yield* found.takeBehind(entry.closedTo).filter(({ start }) => isWanted(start, query))
      if (entry.closedTo - job.windowSizeMs < (query.from ?? -Infinity)) {
        window = null
        break
      }
      const isNew = !found.has(entry.start)
      window = isNew ? { start: entry.start, groups: new Map(), revision: entry.revision } : null
    }
    // Entries in front of any `last` are the beginning of the window that is being written.
    if (window?.start === entry.start) splitRows(job, entry.rows, window.groups)
  }
  // Where the stream was cut, the oldest may lack its beginning.
  if (window && !(await isTrimmed(store, keys))) found.add(window)
  yield* found.takeBehind(-Infinity).filter(({ start }) => isWanted(start, query))
}

/** Windows that older entries of the stream may still come before. */
class Found {
  readonly #byStart = new Map<number, ClosedWindow>()
  readonly #sizeMs: number

  constructor(sizeMs: number) {
    this.#sizeMs = sizeMs
  }

  has(start: number): boolean {
    return this.#byStart.has(start)
  }

  add(window: ClosedWindow): void {
    this.#byStart.set(window.start, window)
  }

  /** Those that end after `closedTo`, newest first: what was written by then is of older windows. */
  takeBehind(closedTo: number): ClosedWindow[] {
    const taken = [...this.#byStart.values()].filter(({ start }) => start + this.#sizeMs > closedTo)
    for (const { start } of taken) this.#byStart.delete(start)
    return taken.sort((a, b) => b.start - a.start)
  }
}

/** Whether an entry was written when all windows that the query asks for were final; null: none can be. */
function isBeyond(job: Job, query: WindowQuery): ((entry: ClosedEntry) => boolean) | null {
  const bound = upperBound(query)
  return bound === Infinity ? null : ({ finalTo }) => finalTo >= bound + job.windowSizeMs
}

/**
 * Entries of the closed stream, the newest first, in bounded pages; but for those that are beyond what is
 * asked for, as are all that are newer.
 */
export async function* closedEntries(
  store: Store,
  keys: Keys,
  beyond: ((entry: ClosedEntry) => boolean) | null,
) {
  let top = beyond ? await newestId(store, keys, beyond) : '+'
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
 * The id from which on downwards entries are not beyond, found by halving the span of ids. Windows that
 * share a millisecond are left to the caller to tell apart.
 */
async function newestId(
  store: Store,
  keys: Keys,
  beyond: (entry: ClosedEntry) => boolean,
): Promise<string> {
  const [newest] = await store.redis.xrevrangeBuffer(keys.closed, '+', '-', 'COUNT', 1)
  const [oldest] = await store.redis.xrangeBuffer(keys.closed, '-', '+', 'COUNT', 1)
  if (!newest || !oldest) return '+'
  let high = idTime(newest[0]) + 1
  let low = idTime(oldest[0])
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const [found] = await store.redis.xrangeBuffer(keys.closed, middle, '+', 'COUNT', 1)
    if (!found || beyond(closedEntry(found[0], found[1]))) high = middle
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
  const texts = new Map<string, string>()
  let rows: Buffer = EMPTY
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toString()
    if (name === 'rows') rows = fields[i + 1]!
    else texts.set(name, fields[i + 1]!.toString())
  }
  const end = Number(texts.get('end') ?? 0)
  return {
    id: id.toString(),
    start: Number(texts.get('start') ?? 0),
    end,
    rows,
    last: texts.get('last') === '1',
    revision: revisionOf((name) => texts.get(name)),
    // A window that is told once is final with that, and the newest of those that are closed.
    closedTo: timeIn(texts.get('closedTo'), end),
    finalTo: timeIn(texts.get('finalTo'), end),
  }
}

/** Epoch ms; empty before the first. */
const timeIn = (text: string | undefined, otherwise: number): number =>
  text === undefined ? otherwise : text === '' ? -Infinity : Number(text)

const EMPTY = Buffer.alloc(0)
