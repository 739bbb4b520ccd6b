/**
 * Folding: records become pane deltas, counters, rejects and verdicts. What a fold holds is what one
 * commit will do. Pure but for the clock, and for the job's own code, whose errors reject a record.
 *
 * A record goes: JSON → schema → event time → (work) → filter → window → group → values. Where it
 * stops decides what it is: counted, filtered, late or rejected with a reason.
 */
import { isUtf8 } from 'node:buffer'
import { bounds } from '../config.ts'
import { messageOf } from '../errors.ts'
import type { Job } from '../job.ts'
import { addToSum, emptyCells } from '../windows/aggregates.ts'
import { type Place, type Sketch } from '../windows/sketches.ts'
import { firstWindowEnd, lastWindowEnd, paneStart } from '../windows/windows.ts'
import { type Adder, addersOf, fits, type Sketcher, sketchersOf } from './adders.ts'
import type { RecordCursor } from './records.ts'
import { Scanner } from './scanner.ts'
import { Tally } from './tally.ts'
import { compileSchema, type Validate } from './validate.ts'

/** Why a record is in the rejects. */
export const rejectReasons = {
  null: 'null',
  utf8: 'utf8',
  json: 'json',
  schema: 'schema',
  time: 'time',
  future: 'future',
  late: 'late',
  value: 'value',
  group: 'group',
  groups: 'groups',
  threw: 'threw',
  poison: 'poison',
  hung: 'hung',
  corrupt: 'corrupt',
} as const
export type RejectReason = (typeof rejectReasons)[keyof typeof rejectReasons]

/** Verdicts that another run could give differently: they depend on time, order or fortune. */
const timely: ReadonlySet<string> = new Set('late partly future groups poison hung'.split(' '))

export interface Reject {
  partition: number
  offset: number
  reason: RejectReason
  message: string
  value: Buffer
}

interface Group {
  key: string
  cells: Float64Array
  sketches: Sketch[]
}
interface Pane {
  start: number
  /** Nested by group value, so that a record finds its group without building a key. */
  root: Map<unknown, unknown>
  groups: Group[]
}

/** What a fold goes by besides its records. */
export interface Verdict {
  /** Every window that ends at or before it is closed; null while none is. */
  closedTo: number | null
  /** Groups that do not fit into a full pane any more: pane start → group keys. */
  full: Map<number, Set<string>>
}

/** A record that passed schema and time checks, on its way to `work`, filter and groups. */
export interface Candidate {
  offset: number
  timestamp: number
  eventTime: number
  row: unknown
  value: Buffer
}

export class Fold {
  readonly panes = new Map<number, Pane>()
  readonly rejects: Reject[] = []
  /** `partition|reason` → offsets. */
  readonly verdicts = new Map<string, number[]>()
  /** The places of the records that are counted, filtered, late or rejected. */
  readonly tally = new Tally()
  counted = 0
  filtered = 0
  late = 0
  rejected = 0
  partly = 0
  groups = 0
  /** What merging the sketches will cost Redis, in groups. */
  sketched = 0
  /** Event times up to here are none of the future's. */
  #presentTo = -Infinity
  /** Highest event time of the slice. */
  #maxEventTime: number | null = null

  readonly #job: Job
  readonly #now: () => number
  readonly #validate: Validate
  readonly #scanner: Scanner | null
  readonly #adders: Adder[]
  readonly #values: (number | null)[]
  readonly #sketchers: Sketcher[]
  readonly #sketchable: unknown[]
  readonly #place: Place = { eventTime: 0, partition: 0, offset: 0, row: 0 }
  #partition = 0
  #pane: Pane | null = null

  constructor(
    job: Job,
    readonly verdict: Verdict,
    now: () => number,
  ) {
    this.#job = job
    this.#now = now
    const { validate, scanner, adders, sketchers } = planOf(job)
    this.#validate = validate
    this.#scanner = scanner
    this.#adders = adders
    this.#values = this.#adders.map(() => null)
    this.#sketchers = sketchers
    this.#sketchable = sketchers.map(() => null)
  }

  get records(): number {
    return this.counted + this.filtered + this.late + this.rejected
  }

  /** Starts a slice of a partition's records. */
  begin(partition: number): void {
    this.#partition = partition
    this.tally.begin(partition)
    this.#maxEventTime = null
  }

  /** The highest event time (epoch ms) of the slice; null where no record had a usable one. */
  get maxEventTime(): number | null {
    return this.#maxEventTime
  }

  /**
   * Takes the cursor's record up to the point where `work` would run; null where it stopped. `apart`:
   * the cursor moves on before `add`, so the candidate carries its bytes.
   */
  check(cursor: RecordCursor, apart = false): Candidate | null {
    const { buffer, start, end } = cursor
    if (start < 0) return this.#reject(cursor, 'null', 'the record has no value')
    const scanned = this.#scanner?.scan(cursor)
    if (scanned !== undefined) return this.#checkTime(cursor, scanned, apart)
    const text = buffer.toString('utf8', start, end)
    if (text.includes('\uFFFD') && !isUtf8(buffer.subarray(start, end))) {
      return this.#reject(cursor, 'utf8', 'the record is not UTF-8')
    }
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch (error) {
      return this.#reject(cursor, 'json', messageOf(error))
    }
    let row: unknown
    try {
      const validated = this.#validate(json)
      if (!validated.success) return this.#reject(cursor, 'schema', validated.message)
      row = validated.output
    } catch (error) {
      return this.#reject(cursor, 'threw', messageOf(error))
    }
    this.#scanner?.learn(text)
    return this.#checkTime(cursor, row, apart)
  }

  #checkTime(cursor: RecordCursor, row: unknown, apart: boolean): Candidate | null {
    const { buffer, start, end, offset } = cursor
    let eventTime: number
    try {
      eventTime = Math.floor(this.#job.eventTime(row))
    } catch (error) {
      return this.#reject(cursor, 'threw', messageOf(error))
    }
    if (!(Math.abs(eventTime) <= EVENT_TIME_MAX)) {
      return this.#reject(cursor, 'time', `event time ${eventTime} is not a time`)
    }
    if (eventTime > this.#presentTo && this.#isAhead(eventTime)) {
      const ahead = `event time ${new Date(eventTime).toISOString()} is ahead of the clock`
      return this.#reject(cursor, 'future', ahead)
    }
    if (this.#maxEventTime === null || eventTime > this.#maxEventTime) {
      this.#maxEventTime = eventTime
    }
    const value = apart ? buffer.subarray(start, end) : EMPTY
    return { offset, timestamp: cursor.timestamp, eventTime, row, value }
  }

  /** Asked only where the clock, as it was looked at last, has not come far enough: it costs a call. */
  #isAhead(eventTime: number): boolean {
    this.#presentTo = this.#now() + this.#job.maxFutureSkewMs
    return eventTime > this.#presentTo
  }

  /** The rest of a record's way; `row` is what `work` made of it. */
  add(candidate: Candidate, row: unknown, cursor: RecordCursor | null): void {
    const job = this.#job
    const source = cursor ?? candidate
    try {
      if (job.filter && !job.filter(row)) {
        this.filtered++
        this.tally.add(candidate.offset)
        return
      }
      const start = paneStart(job, candidate.eventTime)
      const { closedTo } = this.verdict
      if (closedTo !== null && lastWindowEnd(job, start) <= closedTo) {
        this.#reject(source, 'late', lateMessage(candidate.eventTime, closedTo))
        return
      }
      if (!this.#readValues(row, source)) return
      const group = this.#groupOf(start, row, source)
      if (!group) return
      this.#addValues(group.cells)
      if (this.#sketchers.length > 0) this.#addSketches(group.sketches, candidate)
      this.counted++
      this.tally.add(candidate.offset)
      if (closedTo !== null && firstWindowEnd(job, start) <= closedTo) {
        this.partly++
        this.#remember('partly', candidate.offset)
      }
    } catch (error) {
      this.#reject(source, 'threw', messageOf(error))
    }
  }

  /** Rejects a record that never came to folding: its batch is corrupt, `work` threw, it kills. */
  reject(source: RecordCursor | Candidate, reason: RejectReason, message: string): void {
    this.#reject(source, reason, message)
  }

  /** Rejects every offset of a batch that can't be read. */
  rejectBatch(from: number, to: number, message: string): void {
    for (let offset = from; offset < to; offset++) {
      this.rejected++
      this.tally.add(offset)
      this.#keepReject(offset, 'corrupt', message, EMPTY)
    }
  }

  /** The record's number for each aggregate into #values; false where one does not fit. */
  #readValues(row: unknown, source: RecordCursor | Candidate): boolean {
    for (let i = 0; i < this.#adders.length; i++) {
      const adder = this.#adders[i]!
      if (!adder.of) continue
      const value = adder.of(row)
      if (value === null || value === undefined) {
        this.#values[i] = null
        continue
      }
      const fixed = fits(adder, value)
      if (fixed === null) {
        this.#reject(source, 'value', `${adder.name}: ${String(value).slice(0, 100)} does not fit`)
        return false
      }
      this.#values[i] = fixed
    }
    return this.#sketchers.length === 0 || this.#readSketchable(row, source)
  }

  /** The same for those that are kept as sketches. */
  #readSketchable(row: unknown, source: RecordCursor | Candidate): boolean {
    for (let i = 0; i < this.#sketchers.length; i++) {
      const { of, takes, name } = this.#sketchers[i]!
      const value = of(row) ?? null
      if (value !== null && !takes(value)) {
        this.#reject(source, 'value', `${name}: ${String(value).slice(0, 100)} does not fit`)
        return false
      }
      this.#sketchable[i] = value
    }
    return true
  }

  #addSketches(sketches: Sketch[], { eventTime, offset }: Candidate): void {
    const place = this.#place
    place.eventTime = eventTime
    place.partition = this.#partition
    place.offset = offset
    for (let i = 0; i < sketches.length; i++) {
      const value = this.#sketchable[i]
      if (value !== null) this.sketched += sketches[i]!.add(value, place) / ENTRIES_OF_A_GROUP
    }
  }

  #addValues(cells: Float64Array): void {
    for (let i = 0; i < this.#adders.length; i++) {
      const { kind, slot } = this.#adders[i]!
      const value = this.#values[i]!
      if (kind === 'count') {
        cells[slot]!++
        continue
      }
      if (value === null) continue
      if (kind === 'sum') {
        addToSum(cells, slot, value)
      } else if (kind === 'avg') {
        cells[slot]!++
        addToSum(cells, slot + 1, value)
      } else if (kind === 'min') {
        if (value < cells[slot]!) cells[slot] = value
      } else if (value > cells[slot]!) {
        cells[slot] = value
      }
    }
  }

  #groupOf(start: number, row: unknown, source: RecordCursor | Candidate): Group | null {
    let pane = this.#pane
    if (pane?.start !== start) {
      pane = this.panes.get(start) ?? null
      if (!pane) {
        pane = { start, root: new Map(), groups: [] }
        this.panes.set(start, pane)
      }
      this.#pane = pane
    }
    const { groups } = this.#job
    let level = pane.root
    for (let i = 0; i < groups.length; i++) {
      const value = groups[i]!.of(row)
      const found = level.get(value)
      if (found === undefined) return this.#newGroup(pane, row, source)
      if (i === groups.length - 1) return found as Group
      level = found as Map<unknown, unknown>
    }
    return pane.groups[0] ?? this.#newGroup(pane, row, source)
  }

  /** First record of a group in this fold: the group's values are checked once, here. */
  #newGroup(pane: Pane, row: unknown, source: RecordCursor | Candidate): Group | null {
    const values = this.#job.groups.map(({ of }) => of(row))
    const problem = groupProblem(values)
    const key = problem ? '' : JSON.stringify(values)
    if (problem || Buffer.byteLength(key) > bounds.groupKeyBytesMax) {
      const message =
        problem ?? `the group's values are longer than ${bounds.groupKeyBytesMax} bytes`
      this.#reject(source, 'group', message)
      return null
    }
    if (this.verdict.full.get(pane.start)?.has(key)) {
      this.#reject(source, 'groups', `the window has ${bounds.groupsMax} groups already`)
      return null
    }
    const sketches = this.#sketchers.map(({ create }) => create())
    const group = { key, cells: emptyCells(this.#job.slots), sketches }
    pane.groups.push(group)
    this.groups++
    for (const { weight } of this.#sketchers) this.sketched += weight
    let level = pane.root
    values.forEach((value, i) => {
      if (i === values.length - 1) {
        level.set(value, group)
        return
      }
      const next = (level.get(value) as Map<unknown, unknown> | undefined) ?? new Map()
      level.set(value, next)
      level = next
    })
    return group
  }

  #reject(source: RecordCursor | Candidate, reason: RejectReason, message: string): null {
    if (reason === 'late') this.late++
    else this.rejected++
    this.tally.add(source.offset)
    if (timely.has(reason)) this.#remember(reason, source.offset)
    this.#keepReject(source.offset, reason, message, valueOf(source))
    return null
  }

  #keepReject(offset: number, reason: RejectReason, message: string, value: Buffer): void {
    const copy = Buffer.from(value.subarray(0, bounds.rejectValueBytesMax))
    this.rejects.push({ partition: this.#partition, offset, reason, message, value: copy })
  }

  #remember(reason: string, offset: number): void {
    const name = `${this.#partition}|${reason}`
    const offsets = this.verdicts.get(name)
    if (offsets) offsets.push(offset)
    else this.verdicts.set(name, [offset])
  }
}

/** The range of JavaScript's Date; panes beyond it would have no name. */
const EVENT_TIME_MAX = 8_640_000_000_000_000
const EMPTY = Buffer.alloc(0)
/** Entries of sketches that Redis merges in the time that the slots of a group take. */
const ENTRIES_OF_A_GROUP = 5

function valueOf(source: RecordCursor | Candidate): Buffer {
  if ('value' in source) return source.value
  return source.start < 0 ? EMPTY : source.buffer.subarray(source.start, source.end)
}

/** What a job's folds have in common, made once. */
interface Plan {
  validate: Validate
  scanner: Scanner | null
  adders: Adder[]
  sketchers: Sketcher[]
}
const plans = new WeakMap<Job, Plan>()

function planOf(job: Job): Plan {
  const known = plans.get(job)
  if (known) return known
  const plan = {
    validate: compileSchema(job.schema),
    scanner: Scanner.of(job),
    adders: addersOf(job),
    sketchers: sketchersOf(job),
  }
  plans.set(job, plan)
  return plan
}

function groupProblem(values: unknown[]): string | null {
  for (const value of values) {
    if (typeof value === 'string') {
      if (!value.isWellFormed()) return 'a group value has half of a surrogate pair'
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) return `a group value is ${value}`
    } else if (typeof value !== 'boolean' && value !== null) {
      return `a group value is ${value === undefined ? 'missing' : `of type ${typeof value}`}`
    }
  }
  return null
}

function lateMessage(eventTime: number, closedTo: number): string {
  const at = new Date(eventTime).toISOString()
  return `event time ${at}: its windows closed up to ${new Date(closedTo).toISOString()}`
}
