/**
 * A job's shard in a real Redis, with our functions called as actors call them but for arguments
 * that a test makes by hand. The arguments' order stands in the .lua files.
 */
import { type Delta, paneArguments } from '../../actors/executor/deltas.ts'
import { GROUP } from '../../actors/keys.ts'
import { measure, type Snapshot } from '../../actors/measure.ts'
import { shapeArguments } from '../../actors/windows/span.ts'
import { openPlace, type Place } from './redis.ts'

export interface EntryArgs {
  from: number
  to: number
  records?: number
  payload?: string | Buffer
}

/** An entry as a group member reads it. */
export interface ReadEntry {
  id: string
  partition: number
  from: number
  to: number
  records: number
  bytes: number
}

export interface SliceArgs {
  entry: ReadEntry
  from?: number
  to?: number
  max?: number | null
  records?: number
  done?: boolean
}

/** Pane start → group key → slots. */
export type Panes = Record<string, Record<string, number[]>>

export interface CommitArgs {
  me?: string
  slices: SliceArgs[]
  panes?: Panes
  closedTo?: number | null
  groupsMax?: number
  rejectsKept?: number
  rejects?: [partition: number, offset: number, reason: string, message: string, value: Buffer][]
  verdicts?: [partition: number, reason: string, closedTo: number | '', offsets: string][]
  filtered?: number
  late?: number
  rejected?: number
  partly?: number
  busyUs?: number
  hash?: number
  /** By default what the slices hold beyond the other counters. */
  counted?: number
}

export interface Shape {
  ops: string
  windowSizeMs: number
  windowSlideMs: number
  allowedLatenessMs: number
  updatesMs: number
}

export interface AdvanceArgs {
  delay?: number
  idleAfter?: number
  budget?: number
  closedKept?: number
  closedBytes?: number
}

export interface ClosedRow {
  start: number
  end: number
  group: string
  slots: number[]
}

/** Of a job that tells windows more than once. */
export interface Telling {
  start: number
  revision: number
  state: 'open' | 'closed' | 'final'
  number: number
  place: number
  rows: Record<string, number>
}

export class Shard {
  readonly #place: Place
  readonly #shape: Shape

  constructor(place: Place, shape: Shape) {
    this.#place = place
    this.#shape = shape
  }

  static async open(label: string, shape: Partial<Shape> = {}, url?: string): Promise<Shard> {
    const place = await openPlace(label, url)
    const windows = { windowSizeMs: 10_000, windowSlideMs: 5_000 }
    const once = { allowedLatenessMs: 0, updatesMs: 0 }
    return new Shard(place, { ops: 'n', ...windows, ...once, ...shape })
  }

  get name(): string {
    return this.#place.name
  }
  get store(): Place['store'] {
    return this.#place.store
  }
  get keys(): Place['keys'] {
    return this.#place.keys
  }
  get redis() {
    return this.#place.store.redis
  }

  end(): Promise<void> {
    return this.#place.end()
  }

  call(name: Parameters<Place['store']['call']>[0], ...args: (string | number | Buffer)[]) {
    return this.store.call(name, this.keys.base, args)
  }

  /** Registers partitions 0, 1, … at these offsets. */
  register(...starts: number[]): Promise<unknown> {
    return this.call('open', 'topic-id', 'shape', ...starts.flatMap((at, p) => [p, at, at]))
  }

  /** Appends entries; `next` is by default the last one's end. */
  append(
    partition: number,
    expected: number,
    entries: EntryArgs[],
    { next, high }: { next?: number; high?: number } = {},
  ): Promise<[number, ...(number | string)[]]> {
    const to = next ?? entries.at(-1)?.to ?? expected
    const args = entries.flatMap(({ from, to, records, payload }) => [
      from,
      to,
      records ?? to - from,
      payload ?? 'x',
    ])
    const place = [partition, expected, to, high ?? to, entries.length]
    return this.call('append', ...place, ...args) as Promise<[number, ...(number | string)[]]>
  }

  /** Reads new entries as a member of the group. */
  async read(me: string, count = 1_000): Promise<ReadEntry[]> {
    const reply = (await this.redis.xreadgroup(
      ...(['GROUP', GROUP, me, 'COUNT', count, 'STREAMS', this.keys.entries, '>'] as const),
    )) as [string, [string, string[]][]][] | null
    return (reply?.[0]?.[1] ?? []).map(([id, fields]) => entryOf(id, fields))
  }

  /** Entry ids that `claim` gives, with what it says of each. */
  async claim(me: string, count = 32) {
    const reply = (await this.call('claim', me, count)) as [
      string,
      string[],
      string,
      number,
      string,
    ][]
    return reply.map(([id, fields, progress, crashes, suspect]) => ({
      ...entryOf(id, fields),
      progress,
      crashes,
      suspect,
    }))
  }

  async commit(args: CommitArgs): Promise<string[]> {
    const slices = args.slices.map(sliceOf)
    const records = slices.reduce((sum, slice) => sum + Number(slice[9]), 0)
    const { filtered = 0, late = 0, rejected = 0 } = args
    const counted = args.counted ?? records - filtered - late - rejected
    const panes = Object.entries(args.panes ?? {})
    return (await this.call(
      'commit',
      args.me ?? 'e1',
      ...this.#windows(),
      args.closedTo ?? '',
      args.groupsMax ?? 100_000,
      args.rejectsKept ?? 1_000,
      1_000,
      'records',
      counted,
      filtered,
      late,
      rejected,
      args.partly ?? 0,
      args.busyUs ?? 0,
      args.hash ?? 0,
      slices.length,
      ...slices.flat(),
      panes.length,
      ...panes.flatMap(([start, groups]) =>
        paneArguments(Number(start), deltasOf(this.#shape.ops, groups)),
      ),
      (args.rejects ?? []).length,
      ...(args.rejects ?? []).flat(),
      (args.verdicts ?? []).length,
      ...(args.verdicts ?? []).flat(),
    )) as string[]
  }

  /** One step of the close function: what it says of the watermark and of what is closed. */
  async advance(args: AdvanceArgs = {}) {
    const {
      delay = 0,
      idleAfter = 30_000,
      budget = 400,
      closedKept = 10_000,
      closedBytes = 2 ** 30,
    } = args
    const reply = await this.call(
      'advance',
      ...this.#windows(),
      delay,
      idleAfter,
      budget,
      closedKept,
      closedBytes,
    )
    const [watermark, closedTo, more, holder, finalTo] = reply as [
      string,
      string,
      number,
      string,
      string,
    ]
    const number = (text: string) => (text === '' ? null : Number(text))
    return {
      watermark: number(watermark),
      closedTo: number(closedTo),
      finalTo: number(finalTo),
      more: more === 1,
      holder,
    }
  }

  #windows(): (string | number)[] {
    return [this.#shape.ops, ...shapeArguments({ ...this.#shape, gapMs: null })]
  }

  /** Sets the watermark as if the partitions had brought it there, and closes what it passes. */
  async closeTo(watermark: number, args: AdvanceArgs = {}): Promise<number> {
    await this.redis.hset(this.keys.clock, 'watermark', watermark)
    let steps = 1
    while ((await this.advance(args)).more) steps++
    return steps
  }

  /** All rows of the closed stream in its order. */
  async closedRows(): Promise<ClosedRow[]> {
    const entries = await this.redis.xrangeBuffer(this.keys.closed, '-', '+')
    return entries.flatMap(([, fields]) => {
      const of = fieldsOf(fields)
      return rowsOf(of('rows'), sketchesOf(this.#shape.ops).length).map((row) => ({
        start: Number(of('start').toString()),
        end: Number(of('end').toString()),
        ...row,
      }))
    })
  }

  /** Windows as often as they are told, in their order, with the first slot of each group. */
  async tellings(): Promise<Telling[]> {
    const told = [
      ...(await this.#tellingsIn(this.keys.closed)),
      ...(await this.#tellingsIn(this.keys.updates)),
    ]
    return told.sort((a, b) => a.place - b.place)
  }

  async #tellingsIn(key: string): Promise<Telling[]> {
    const entries = await this.redis.xrangeBuffer(key, '-', '+')
    const told: Telling[] = []
    let rows: Telling['rows'] = {}
    for (const [, fields] of entries) {
      const of = fieldsOf(fields)
      for (const { group, slots } of rowsOf(of('rows'), 0)) rows[group] = slots[0]!
      if (of('last').toString() !== '1') continue
      const names = ['start', 'revision', 'n', 'told']
      const [start, revision, number, place] = names.map((name) => Number(of(name).toString())) as [
        number,
        number,
        number,
        number,
      ]
      const closed = of('final').toString() === '1' ? 'final' : 'closed'
      const state = of('open').toString() === '1' ? 'open' : closed
      told.push({ start, revision, state, number, place, rows })
      rows = {}
    }
    return told
  }

  /** Slots of each group of an open pane. */
  async pane(start: number): Promise<Record<string, number[]>> {
    const flat = await this.redis.hgetallBuffer(this.keys.pane(start))
    return Object.fromEntries(Object.entries(flat).map(([group, cells]) => [group, slotsOf(cells)]))
  }

  measure(): Promise<Snapshot> {
    return measure(this.store, this.keys)
  }

  ledger(): Promise<Record<string, string>> {
    return this.redis.hgetall(this.keys.ledger)
  }

  /** A text of everything the job has in Redis but for times, for "nothing has changed". */
  async everything(): Promise<string> {
    const names = (await this.redis.keys(`${this.keys.base}:*`)).sort()
    const values = await Promise.all(
      names.map(async (name) => [name, (await this.redis.dumpBuffer(name))?.toString('hex')]),
    )
    const { pending } = await this.measure().catch(() => ({ pending: -1 }))
    return JSON.stringify([values, pending])
  }

  beat(actor: string, leaseMs = 60_000): Promise<unknown> {
    return this.call('beat', actor, '{}', leaseMs)
  }
}

function entryOf(id: string, fields: string[]): ReadEntry {
  const field = (name: string) => Number(fields[fields.indexOf(name) + 1])
  const [partition, from, to] = [field('p'), field('from'), field('to')]
  return { id, partition, from, to, records: field('n'), bytes: field('b') }
}

function sliceOf(slice: SliceArgs): (string | number)[] {
  const { entry } = slice
  const from = slice.from ?? entry.from
  const to = slice.to ?? entry.to
  const records = slice.records ?? to - from
  const done = slice.done ?? to === entry.to
  return [
    entry.id,
    entry.partition,
    entry.from,
    entry.to,
    entry.records,
    entry.bytes,
    from,
    to,
    slice.max ?? '',
    records,
    done ? 1 : 0,
  ]
}

/** Sketches, letters behind a slash in `ops`, are empty. */
function deltasOf(ops: string, groups: Record<string, number[]>): Delta[] {
  const sketches = sketchesOf(ops).map((letter) => ({ encode: () => Buffer.from(letter) }))
  return Object.entries(groups).map(([key, slots]) => {
    return { key, cells: Float64Array.from(slots), sketches }
  })
}

const sketchesOf = (ops: string): string[] => (ops.split('/')[1] ?? '').split('')

export function cellsOf(slots: number[]): Buffer {
  const cells = Buffer.alloc(slots.length * 8)
  slots.forEach((value, slot) => cells.writeDoubleLE(value, slot * 8))
  return cells
}

const slotsOf = (cells: Buffer): number[] =>
  Array.from({ length: cells.length / 8 }, (_, slot) => cells.readDoubleLE(slot * 8))

function fieldsOf(fields: Buffer[]): (name: string) => Buffer {
  return (name) => fields[fields.findIndex((field) => field.toString() === name) + 1]!
}

/** `rows` of a closed entry, with one slot a group unless `slots` says otherwise. */
function rowsOf(bytes: Buffer, sketches: number): { group: string; slots: number[] }[] {
  const rows: { group: string; slots: number[] }[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    const group = bytes.toString('utf8', at + 4, end)
    rows.push({ group, slots: slotsOf(bytes.subarray(end, end + SLOT_BYTES)) })
    at = end + SLOT_BYTES + sketches * SKETCH_BYTES
  }
  return rows
}
const SLOT_BYTES = 8
/** Of an empty one, behind its length. */
const SKETCH_BYTES = 5
