/**
 * Closed windows, newest first, from the stream that they were emitted to: each whole, or not at all.
 */
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { type Groups, isWanted, splitRows, upperBound, type WindowQuery } from './groups.ts'

/** Bytes that one page of the closed stream aims at, and entries before their size is known. */
const PAGE_BYTES = 2 * 1024 * 1024
const PAGE_ENTRIES = { first: 8, max: 128 }

interface ClosedEntry {
  id: string
  start: number
  end: number
  rows: Buffer
  last: boolean
}

/** Closed windows that the query asks for, with their groups. */
export async function* closedWindows(store: Store, keys: Keys, job: Job, query: WindowQuery) {
  let groups: Groups | null = null
  let start = Number.NaN
  for await (const entry of closedEntries(store, keys, upperBound(query))) {
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

/** Entries of the closed stream from the newest that starts before the bound, in bounded pages. */
export async function* closedEntries(store: Store, keys: Keys, bound: number) {
  let top = await newestId(store, keys, bound)
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
    end: 0,
    rows: Buffer.alloc(0),
    last: false,
  }
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1]!
    const name = fields[i]!.toString()
    if (name === 'start') entry.start = Number(value.toString())
    if (name === 'end') entry.end = Number(value.toString())
    if (name === 'last') entry.last = value.toString() === '1'
    if (name === 'rows') entry.rows = value
  }
  return entry
}
