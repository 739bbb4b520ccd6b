/**
 * The pipeline's windows out of Redis, read and decoded apart from what the dashboard reads them with
 * (actors/windows/read.ts), by what docs/redis.md says of `panes`, `pane:<start>` and `closed`:
 * cells are float64, little-endian. A count is one slot; a sum is two, high × 2^52 + low, in units of
 * 10^-decimals; an average is a count and a sum; least and greatest are one, infinite where there is
 * none. Nothing that is read here is believed to fit: what does not is named.
 */
import { RefusalError } from '../actors/errors.ts'
import type { GroupValue, Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { ClosedEntry } from './closed-windows.ts'
import { meanOf, numberOf } from './decimal.ts'

export interface FoundRow {
  start: number
  end: number
  key: Record<string, GroupValue>
  values: Record<string, number | null>
}

/** An entry of the closed stream, with its rows decoded. */
export interface ClosedPart extends ClosedEntry {
  decoded: FoundRow[]
}

/** Entries of a page: a step closes some hundred groups, so that a page has some megabytes at most. */
const PAGE = 32
const SCAN_COUNT = 500
const HIGH = 2n ** 52n

/** Entries of the closed stream behind `after` up to `last`, in the stream's order. */
export async function* closedParts(
  store: Store,
  keys: Keys,
  job: Job,
  { after, last }: { after: string; last: string },
): AsyncGenerator<ClosedPart> {
  for (let from = `(${after}`; ; ) {
    const page = await store.redis.xrangeBuffer(keys.closed, from, last, 'COUNT', PAGE)
    for (const [id, fields] of page) yield closedPart(job, String(id), fields)
    const newest = page.at(-1)
    if (!newest || page.length < PAGE) return
    from = `(${String(newest[0])}`
  }
}

function closedPart(job: Job, id: string, fields: Buffer[]): ClosedPart {
  const named = new Map<string, Buffer>()
  for (let i = 0; i + 1 < fields.length; i += 2) named.set(String(fields[i]), fields[i + 1]!)
  const start = Number(named.get('start'))
  const end = Number(named.get('end'))
  const rows = named.get('rows') ?? Buffer.alloc(0)
  const packed = [...unpacked(rows, widthOf(job))]
  return {
    id,
    start,
    end,
    last: String(named.get('last')) === '1',
    rows,
    groups: packed.map(({ group }) => group),
    decoded: packed.map(({ group, cells }) => ({
      start,
      end,
      ...rowOf(job, group, [numbersOf(cells)]),
    })),
  }
}

/** `rows`: u32 key length, key, cells, repeated. */
function* unpacked(rows: Buffer, width: number) {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength)
  let at = 0
  while (at < rows.byteLength) {
    const keyAt = at + 4
    const cellsAt = keyAt + view.getUint32(at, true)
    at = cellsAt + width
    if (at > rows.byteLength) throw new RefusalError('rows of a closed window are cut off')
    yield { group: rows.toString('utf8', keyAt, cellsAt), cells: rows.subarray(cellsAt, at) }
  }
}

/** Rows of all windows that end after `closedTo`, put together from their panes. */
export async function openRows(
  store: Store,
  keys: Keys,
  job: Job,
  closedTo: number | null,
): Promise<FoundRow[]> {
  const { windowSizeMs, windowSlideMs } = job
  /** Window's start → group → the cells of its panes. */
  const windows = new Map<number, Map<string, number[][]>>()
  for (const pane of (await store.redis.hkeys(keys.panes)).map(Number)) {
    const groups = await readPane(store, keys.pane(pane))
    for (let end = pane + windowSlideMs; end <= pane + windowSizeMs; end += windowSlideMs) {
      if (closedTo !== null && end <= closedTo) continue
      const window = windows.get(end - windowSizeMs) ?? new Map<string, number[][]>()
      windows.set(end - windowSizeMs, window)
      for (const [group, cells] of groups) {
        window.set(group, [...(window.get(group) ?? []), cells])
      }
    }
  }
  return [...windows].flatMap(([start, groups]) =>
    Array.from(groups, ([group, parts]) => ({
      start,
      end: start + windowSizeMs,
      ...rowOf(job, group, parts),
    })),
  )
}

async function readPane(store: Store, key: string): Promise<Map<string, number[]>> {
  const groups = new Map<string, number[]>()
  for (let cursor = '0'; ; ) {
    const [next, page] = await store.redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT)
    // A scan may give a group twice.
    for (let i = 0; i + 1 < page.length; i += 2)
      groups.set(String(page[i]), numbersOf(page[i + 1]!))
    cursor = String(next)
    if (cursor === '0') return groups
  }
}

function numbersOf(cells: Buffer): number[] {
  const view = new DataView(cells.buffer, cells.byteOffset, cells.byteLength)
  return Array.from({ length: cells.byteLength / 8 }, (_, slot) => view.getFloat64(slot * 8, true))
}

const slots = { count: 1, sum: 2, avg: 3, min: 1, max: 1 } as const

const widthOf = (job: Job): number =>
  job.aggregates.reduce((width, { aggregate }) => width + 8 * slots[aggregate.kind], 0)

/** A group's row from the cells of one pane or several. */
function rowOf(job: Job, group: string, parts: number[][]): Pick<FoundRow, 'key' | 'values'> {
  const names = JSON.parse(group) as GroupValue[]
  const values: [string, number | null][] = []
  let slot = 0
  for (const { name, aggregate } of job.aggregates) {
    const first = slot
    slot += slots[aggregate.kind]
    const column = (at: number) => parts.map((cells) => cells[first + at] ?? Number.NaN)
    values.push([name, valueOf(aggregate.kind, aggregate.decimals, column)])
  }
  return {
    key: Object.fromEntries(job.groups.map(({ name }, i) => [name, names[i] ?? null])),
    values: Object.fromEntries(values),
  }
}

function valueOf(
  kind: keyof typeof slots,
  decimals: number,
  column: (slot: number) => number[],
): number | null {
  switch (kind) {
    case 'count':
      return total(column(0))
    case 'sum':
      return numberOf(sumOf(column(0), column(1)), decimals)
    case 'avg': {
      const count = total(column(0))
      return count === 0 ? null : numberOf(meanOf(sumOf(column(1), column(2)), count), decimals)
    }
    case 'min':
      return finite(Math.min(...column(0)))
    case 'max':
      return finite(Math.max(...column(0)))
    default:
      return kind satisfies never
  }
}

const total = (numbers: number[]): number => numbers.reduce((sum, number) => sum + number, 0)

const sumOf = (highs: number[], lows: number[]): bigint =>
  highs.reduce((sum, high, i) => sum + BigInt(high) * HIGH + BigInt(lows[i]!), 0n)

const finite = (number: number): number | null => (Number.isFinite(number) ? number : null)
