/**
 * The pipeline's windows out of Redis, read and decoded apart from what the dashboard reads them with
 * (actors/windows/read.ts), by what docs/redis.md says of `panes`, `pane:<start>` and `closed`:
 * cells are float64, little-endian. A count is one slot; a sum is two, high × 2^52 + low, in units of
 * 10^-decimals; an average is a count and a sum; least and greatest are one, infinite where there is
 * none. Nothing that is read here is believed to fit: what does not is named.
 */
import { RefusalError } from '../actors/errors.ts'
import type { AggregateValue, GroupValue, Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { ClosedEntry, Told } from './closed-windows.ts'
import { meanOf, numberOf } from './decimal.ts'
import { distinctOf, quantileOf, type Top } from './sketches.ts'

export interface FoundRow {
  start: number
  end: number
  key: Record<string, GroupValue>
  values: Record<string, FoundValue>
}

/** Of `topK` all counters: what of them is shown is not the pipeline's to decide but a reader's. */
export type FoundValue = AggregateValue | Top

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
  const packed = [...unpacked(rows, layoutOf(job))]
  return {
    id,
    start,
    end,
    last: String(named.get('last')) === '1',
    rows,
    told: toldOf(named),
    groups: packed.map(({ group, part }) => (job.gapMs === null ? group : nameOf(group, part))),
    decoded: packed.map(({ group, part }) => ({
      ...(job.gapMs === null ? { start, end } : boundsOf(job, part)),
      ...rowOf(job, group, [part]),
    })),
  }
}

/** `revision`, `open`, `final`, `closedTo`: of windows that are told more than once. */
function toldOf(named: ReadonlyMap<string, Buffer>): Told | null {
  const text = (name: string) => String(named.get(name) ?? '')
  if (!named.has('revision')) return null
  return {
    revision: Number(text('revision')),
    isOpen: text('open') === '1',
    isFinal: text('final') === '1',
    closedTo: text('closedTo') === '' ? -Infinity : Number(text('closedTo')),
  }
}

/** A group's state in one pane: its numbers, and its sketches without their letters. */
interface Part {
  numbers: number[]
  sketches: Buffer[]
}

/** The last two numbers of a session are its first and its last event time. */
const timesOf = ({ numbers }: Part) => ({ first: numbers.at(-2)!, last: numbers.at(-1)! })

const nameOf = (group: string, part: Part) => `${group} from ${timesOf(part).first}`

/** Up to the gap after the last record, at most to the next multiple of the greatest length. */
function boundsOf({ gapMs, windowSizeMs }: Job, part: Part): { start: number; end: number } {
  const { first, last } = timesOf(part)
  const pieces = Math.floor(first / windowSizeMs) + 1
  return { start: first, end: Math.min(last + gapMs!, pieces * windowSizeMs) }
}

/** `rows`: u32 key length, key, state, repeated. */
function* unpacked(rows: Buffer, layout: Layout) {
  let at = 0
  while (at < rows.byteLength) {
    const stateAt = at + 4 + rows.readUInt32LE(at)
    const { part, end } = partAt(rows, stateAt, layout)
    yield { group: rows.toString('utf8', at + 4, stateAt), part }
    at = end
  }
}

/** Numbers of 8 bytes, then each sketch behind its length. */
export function partAt(bytes: Buffer, from: number, { slots, letters }: Layout) {
  const numbersEnd = from + 8 * slots
  if (numbersEnd > bytes.byteLength) throw new RefusalError("a group's state is cut off")
  const numbers = numbersOf(bytes.subarray(from, numbersEnd))
  const sketches: Buffer[] = []
  let end = numbersEnd
  for (const letter of letters) {
    const first = end + 4
    end = first + bytes.readUInt32LE(end)
    if (end > bytes.byteLength) throw new RefusalError("a group's state is cut off")
    if (bytes.toString('latin1', first, first + 1) !== letter) {
      throw new RefusalError("a group's state is another job's")
    }
    sketches.push(bytes.subarray(first + 1, end))
  }
  return { part: { numbers, sketches }, end }
}

/** Rows of all windows that end after `closedTo`, put together from their panes. */
export async function openRows(
  store: Store,
  keys: Keys,
  job: Job,
  closedTo: number | null,
): Promise<FoundRow[]> {
  if (job.gapMs !== null) return openSessions(store, keys, job, closedTo ?? -Infinity)
  const { windowSizeMs, windowSlideMs } = job
  /** Window's start → group → its states in the panes. */
  const windows = new Map<number, Map<string, Part[]>>()
  const layout = layoutOf(job)
  for (const { pane, key } of await openPanes(store, keys)) {
    const groups = await readPane(store, key, layout)
    for (let end = pane + windowSlideMs; end <= pane + windowSizeMs; end += windowSlideMs) {
      if (closedTo !== null && end <= closedTo) continue
      const window = windows.get(end - windowSizeMs) ?? new Map<string, Part[]>()
      windows.set(end - windowSizeMs, window)
      for (const [group, part] of groups) {
        window.set(group, [...(window.get(group) ?? []), part])
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

/** Of all shards: a pane is in each that has records for it. */
async function openPanes(store: Store, keys: Keys): Promise<{ pane: number; key: string }[]> {
  const shards = await Promise.all(
    keys.shards.map(async (shard) => {
      const starts = (await store.redis.hkeys(shard.panes)).map(Number)
      return starts.map((pane) => ({ pane, key: shard.pane(pane) }))
    }),
  )
  return shards.flat()
}

/** `sessions`: group → u32 length, state, repeated. */
async function openSessions(
  store: Store,
  keys: Keys,
  job: Job,
  closedTo: number,
): Promise<FoundRow[]> {
  const layout = layoutOf(job)
  const groups = new Map<string, FoundRow[]>()
  for (let cursor = '0'; ; ) {
    const [next, page] = await store.redis.hscanBuffer(keys.sessions, cursor, 'COUNT', SCAN_COUNT)
    for (let i = 0; i + 1 < page.length; i += 2) {
      const [group, bytes] = [String(page[i]), page[i + 1]!]
      const rows: FoundRow[] = []
      for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32LE(at)) {
        const { part } = partAt(bytes, at + 4, layout)
        rows.push({ ...boundsOf(job, part), ...rowOf(job, group, [part]) })
      }
      groups.set(group, rows)
    }
    cursor = String(next)
    if (cursor === '0') break
  }
  // What has ended and is still here is about to be written out.
  return [...groups.values()].flat().filter(({ end }) => end > closedTo)
}

async function readPane(store: Store, key: string, layout: Layout): Promise<Map<string, Part>> {
  const groups = new Map<string, Part>()
  for (let cursor = '0'; ; ) {
    const [next, page] = await store.redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT)
    // A scan may give a group twice.
    for (let i = 0; i + 1 < page.length; i += 2) {
      groups.set(String(page[i]), partAt(page[i + 1]!, 0, layout).part)
    }
    cursor = String(next)
    if (cursor === '0') return groups
  }
}

function numbersOf(cells: Buffer): number[] {
  const view = new DataView(cells.buffer, cells.byteOffset, cells.byteLength)
  return Array.from({ length: cells.byteLength / 8 }, (_, slot) => view.getFloat64(slot * 8, true))
}

const slots = { count: 1, sum: 2, avg: 3, min: 1, max: 1 } as const
const letters = { first: 'F', last: 'L', distinct: 'R', quantiles: 'S', topK: 'T' } as const
type Aggregate = Job['aggregates'][number]['aggregate']

/** How many numbers a group has, and the letters of its sketches. */
interface Layout {
  slots: number
  letters: string[]
}

const layoutOf = (job: Job): Layout => ({
  slots: job.aggregates.reduce(
    (sum, { aggregate }) => sum + slotsOf(aggregate),
    job.gapMs === null ? 0 : 2,
  ),
  letters: job.aggregates.flatMap(({ aggregate: { kind } }) =>
    kind in letters ? letters[kind as keyof typeof letters] : [],
  ),
})

function slotsOf({ kind, own }: Aggregate): number {
  if (own) return Object.values(own.parts).reduce((sum, part) => sum + slots[part], 0)
  return kind in slots ? slots[kind as keyof typeof slots] : 0
}

/** A group's row from its states in one pane or several. */
function rowOf(job: Job, group: string, parts: Part[]): Pick<FoundRow, 'key' | 'values'> {
  const names = JSON.parse(group) as GroupValue[]
  const values: [string, FoundValue][] = []
  let slot = 0
  let sketch = 0
  for (const { name, aggregate } of job.aggregates) {
    const first = slot
    slot += slotsOf(aggregate)
    const column = (at: number) => parts.map(({ numbers }) => numbers[first + at] ?? Number.NaN)
    const sketches = parts.map((part) => part.sketches[sketch]!)
    if (aggregate.kind in letters) sketch++
    values.push([name, valueOf(aggregate, column, sketches)])
  }
  return {
    key: Object.fromEntries(job.groups.map(({ name }, i) => [name, names[i] ?? null])),
    values: Object.fromEntries(values),
  }
}

export function valueOf(
  aggregate: Aggregate,
  column: (slot: number) => number[],
  sketches: Buffer[],
): FoundValue {
  switch (aggregate.kind) {
    case 'count':
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
      return numberIn(aggregate.kind, aggregate.decimals, column)
    case 'own':
      return ownIn(aggregate, column)
    case 'distinct':
      return distinctIn(sketches)
    case 'quantiles':
      return quantileOf(stepsIn(sketches), aggregate.wanted!)
    case 'first':
    case 'last':
      return endIn(sketches, aggregate.kind === 'first')
    case 'topK':
      return topIn(sketches)
    default:
      return aggregate.kind satisfies never
  }
}

function numberIn(
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

function ownIn({ own, decimals }: Aggregate, column: (slot: number) => number[]): AggregateValue {
  const { parts, value } = own!
  const numbers: Record<string, number | null> = {}
  let first = 0
  for (const [name, part] of Object.entries(parts)) {
    const from = first
    numbers[name] = numberIn(part, decimals, (slot) => column(from + slot))
    first += slots[part]
  }
  try {
    return value(numbers)
  } catch {
    return null
  }
}

/** Entries of two bytes: register × 32 + rank. */
function distinctIn(sketches: Buffer[]): number {
  const ranks = new Map<number, number>()
  for (const bytes of sketches) {
    for (let at = 0; at < bytes.length; at += 2) {
      const entry = bytes.readUInt16BE(at)
      const register = Math.floor(entry / 32)
      ranks.set(register, Math.max(entry % 32, ranks.get(register) ?? 0))
    }
  }
  return distinctOf([...ranks.values()])
}

/** Entries of ten bytes: 32,768 + step, count. */
function stepsIn(sketches: Buffer[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const bytes of sketches) {
    for (let at = 0; at < bytes.length; at += 10) {
      const step = bytes.readUInt16BE(at) - 32_768
      counts.set(step, (counts.get(step) ?? 0) + bytes.readDoubleLE(at + 2))
    }
  }
  return counts
}

/** Four numbers that say where, and the value's JSON; nothing where no record had one. */
function endIn(sketches: Buffer[], first: boolean): AggregateValue {
  const [found] = sketches
    .filter(({ length }) => length > 0)
    .map((bytes) => ({ place: numbersOf(bytes.subarray(0, 32)), json: bytes.toString('utf8', 32) }))
    .sort((a, b) => {
      const differing = a.place.findIndex((number, i) => number !== b.place[i])
      return (first ? 1 : -1) * ((a.place[differing] ?? 0) - (b.place[differing] ?? 0))
    })
  return found ? (JSON.parse(found.json) as AggregateValue) : null
}

/** Capacity, error; then u32 length, JSON, count, repeated. */
function topIn(sketches: Buffer[]): Top {
  const counters = new Map<string, number>()
  let error = 0
  for (const bytes of sketches) {
    error += bytes.readDoubleLE(8)
    for (let at = 16; at < bytes.length; ) {
      const end = at + 4 + bytes.readUInt32LE(at)
      const text = bytes.toString('utf8', at + 4, end)
      counters.set(text, (counters.get(text) ?? 0) + bytes.readDoubleLE(end))
      at = end + 8
    }
  }
  return { counters, error }
}

const total = (numbers: number[]): number => numbers.reduce((sum, number) => sum + number, 0)

const sumOf = (highs: number[], lows: number[]): bigint =>
  highs.reduce((sum, high, i) => sum + BigInt(high) * HIGH + BigInt(lows[i]!), 0n)

const finite = (number: number): number | null => (Number.isFinite(number) ? number : null)
