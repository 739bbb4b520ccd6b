/**
 * A job's state in Redis, made by hand: what a pipeline that did everything right would have left
 * there, for a test to spoil.
 */
import type { Job } from '../../actors/job.ts'
import type { Keys } from '../../actors/keys.ts'
import type { Store } from '../../actors/redis.ts'
import { Places } from '../../verify/places.ts'

/** Cells: records, sum in millionths, number of values and their sum in millionths. */
export interface MadeRow {
  group: string
  events: number
  total: number
}

export interface MadeState {
  /** By partition: [first offset, end of the finished prefix]. */
  partitions: [number, number][]
  /** Number of the first of them; 0 by default. */
  first?: number
  /** Committed beyond the prefixes: [partition, from, to]. */
  finished?: [number, number, number][]
  counted: number
  rejected?: number
  late?: number
  /** Windows tumble, so a pane is a window; starts in epoch ms. */
  open: { start: number; rows: MadeRow[] }[]
  closed: { start: number; rows: MadeRow[] }[]
  closedTo: number
  verdicts?: { p: number; reason: string; closedTo: number; offsets: string }[]
}

/** What an entry says of a window that is told more than once. */
export interface MadeTelling {
  revision: number
  open: 0 | 1
  final: 0 | 1
  closedTo: number
  finalTo: number
}

export async function writeState(
  store: Store,
  keys: Keys,
  job: Job,
  state: MadeState,
): Promise<void> {
  const { redis } = store
  const { counted, rejected = 0, late = 0 } = state
  const all = counted + rejected + late
  for (const [i, [start, end]] of state.partitions.entries()) {
    const p = (state.first ?? 0) + i
    const ledger = { start, next: end, frontier: end, high: end }
    for (const [name, value] of Object.entries(ledger)) {
      await redis.hset(keys.ledger, `${p}:${name}`, value)
    }
  }
  await redis.hset(keys.totals, { appended: all, committed: all, waiting: 0 })
  await redis.hset(keys.totals, { counted, rejected, late, hash: hashOf(state) })
  for (const [p, from, to] of state.finished ?? []) {
    await redis.hset(keys.finished, `${p}:${from}`, `${to}|`)
  }
  await redis.hset(keys.clock, { watermark: state.closedTo, closedTo: state.closedTo })
  for (const { start, rows } of state.open) {
    await redis.hset(keys.panes, String(start), 1)
    for (const row of rows) await redis.hset(keys.pane(start), groupKey(row), cells(row))
  }
  for (const window of state.closed) await closeWindow(store, keys, job, window)
  for (const { p, reason, closedTo, offsets } of state.verdicts ?? []) {
    const fields = ['p', p, 'reason', reason, 'closedTo', closedTo, 'offsets', offsets]
    await redis.xadd(keys.verdicts, '*', ...fields)
  }
}

export async function closeWindow(
  store: Store,
  keys: Keys,
  job: Job,
  { start, rows, told }: { start: number; rows: MadeRow[]; told?: MadeTelling },
): Promise<void> {
  const bytes = Buffer.concat(rows.map(rowBytes))
  const end = start + job.windowSizeMs
  const telling = Object.entries(told ?? {}).flat()
  const fields = ['start', start, 'end', end, 'rows', bytes, 'last', 1, ...telling]
  await store.redis.xadd(keys.closed, '*', ...fields)
}

function hashOf({ partitions, first = 0, finished = [] }: MadeState): number {
  const places = new Places()
  const ranges = partitions.map(([start, end], i): [number, number, number] => [
    first + i,
    start,
    end,
  ])
  for (const [p, from, to] of [...ranges, ...finished]) {
    for (let offset = from; offset < to; offset++) places.add(p, offset)
  }
  return places.hash
}

/** count, sum, avg: n, h l, n h l. */
export function cells({ events, total }: MadeRow): Buffer {
  const bytes = Buffer.alloc(6 * 8)
  for (const [slot, value] of [events, 0, total, events, 0, total].entries()) {
    bytes.writeDoubleLE(value, slot * 8)
  }
  return bytes
}

export const groupKey = ({ group }: MadeRow): string => JSON.stringify([group])

function rowBytes(row: MadeRow): Buffer {
  const key = Buffer.from(groupKey(row))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(key.length)
  return Buffer.concat([length, key, cells(row)])
}
