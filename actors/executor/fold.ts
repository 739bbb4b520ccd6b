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
import { isKafkaTime, kafkaTime } from '../event-time.ts'
import type { Job, Meta } from '../job.ts'
import { partitionOf } from '../topics.ts'
import { isSession, sessionEnd, spanOf } from '../windows/span.ts'
import { firstWindowEnd, lastWindowEnd, paneStart } from '../windows/windows.ts'
import { type Candidate, EMPTY, type Source, valueOf } from './candidate.ts'
import { RecordMeta } from './meta.ts'
import { type Group, keyOf, type Pane, Panes } from './panes.ts'
import { joined, type LateSessions, widen } from './sessions.ts'
import { planOf } from './plan.ts'
import { lateMessage, type Reject, type RejectReason, timely } from './reasons.ts'
import type { RecordCursor } from './records.ts'
import { Tally } from './tally.ts'
import type { Scanner } from './scanner.ts'
import type { Validate } from './validate.ts'
import { type Kept, Values } from './values.ts'

/** What a fold goes by besides its records. */
export interface Verdict {
  /** Every window that ends at or before it is closed for good; null while none is. */
  closedTo: number | null
  /** Groups that do not fit into a full pane any more: pane start → group keys. */
  full: Map<number, Set<string>>
  /** Sessions of this very batch that would be closed as soon as they are made. */
  late?: LateSessions
}

/** A row that will count, once all of its record's rows are known to. */
interface Ready {
  values: unknown[]
  key: string
  kept: Kept
}

export class Fold {
  readonly panes: Map<number, Pane>
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
  /** What merging its groups will cost Redis, in groups that are merged one by one. */
  merges = 0
  /** Event times up to here are none of the future's. */
  #presentTo = -Infinity
  /** Highest event time of the slice. */
  #maxEventTime: number | null = null

  readonly #job: Job
  readonly #kafkaTime: boolean
  readonly #now: () => number
  readonly #validate: Validate
  readonly #scanner: Scanner | null
  readonly #groupWeight: number
  readonly #table: Panes
  /** Of the row at hand. */
  readonly #values: Values
  #partition = 0
  #topic: string

  constructor(
    job: Job,
    readonly verdict: Verdict,
    now: () => number,
  ) {
    this.#job = job
    this.#kafkaTime = isKafkaTime(job.eventTime)
    this.#topic = job.topic
    this.#now = now
    const { validate, scanner, adders, sketchers, groupWeight } = planOf(job)
    this.#validate = validate
    this.#scanner = scanner
    this.#values = new Values(adders, sketchers)
    this.#groupWeight = groupWeight
    this.#table = new Panes(job, sketchers)
    this.panes = this.#table.byStart
  }

  get records(): number {
    return this.counted + this.filtered + this.late + this.rejected
  }

  /**
   * It holds on to no record's bytes once the record is added: of the job's code only `decode`, `work` and
   * what asks for `meta` sees them, and a job with the first two has no scanner.
   */
  get keepsNothing(): boolean {
    return this.#scanner !== null && !this.#job.usesMeta
  }

  /** Starts a slice of the records of a partition, by its number (topics.ts). */
  begin(partition: number, topic = this.#job.topic): void {
    this.#partition = partition
    this.#topic = topic
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
    if (cursor.start < 0) return this.#reject(cursor, 'null', 'the record has no value')
    const job = this.#job
    const meta = job.usesMeta
      ? new RecordMeta(this.#topic, partitionOf(this.#partition), cursor)
      : NOT_ASKED_FOR
    const scanned = this.#scanner?.scan(cursor)
    if (scanned !== undefined) return this.#checkTime(cursor, scanned, meta, apart)
    return this.#read(cursor, meta, apart)
  }

  /** A record that can't be scanned. */
  #read(cursor: RecordCursor, meta: Meta, apart: boolean): Candidate | null {
    const { buffer, start, end } = cursor
    const { decode } = this.#job
    let text: string | null = null
    let given: unknown
    try {
      if (decode) {
        given = decode(buffer.subarray(start, end), meta)
      } else {
        text = buffer.toString('utf8', start, end)
        if (text.includes('\uFFFD') && !isUtf8(buffer.subarray(start, end))) {
          return this.#reject(cursor, 'utf8', 'the record is not UTF-8')
        }
        given = JSON.parse(text)
      }
    } catch (error) {
      return this.#reject(cursor, decode ? 'decode' : 'json', messageOf(error))
    }
    let row: unknown
    try {
      const validated = this.#validate(given)
      if (!validated.success) return this.#reject(cursor, 'schema', validated.message)
      row = validated.output
    } catch (error) {
      return this.#reject(cursor, 'threw', messageOf(error))
    }
    if (text !== null) this.#scanner?.learn(text)
    return this.#checkTime(cursor, row, meta, apart)
  }

  #checkTime(cursor: RecordCursor, row: unknown, meta: Meta, apart: boolean): Candidate | null {
    const { buffer, start, end, offset } = cursor
    const job = this.#job
    let eventTime: number
    try {
      const time = this.#kafkaTime ? kafkaTime(row, cursor) : job.eventTime(row, meta)
      eventTime = Math.floor(time)
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
    return { offset, timestamp: cursor.timestamp, eventTime, row, meta, value }
  }

  /** Asked only where the clock, as it was looked at last, has not come far enough: it costs a call. */
  #isAhead(eventTime: number): boolean {
    this.#presentTo = this.#now() + this.#job.maxFutureSkewMs
    return eventTime > this.#presentTo
  }

  /** The rest of its way; `row` is what `work` made of it. */
  add(candidate: Candidate, row: unknown, cursor: RecordCursor | null): void {
    const job = this.#job
    const source = cursor ?? candidate
    const { meta } = candidate
    try {
      if (job.filter && !job.filter(row, meta)) {
        this.#filter(candidate)
        return
      }
      const start = paneStart(job, candidate.eventTime)
      const { closedTo } = this.verdict
      if (closedTo !== null && lastWindowEnd(job, start) <= closedTo) {
        this.#reject(source, 'late', lateMessage(candidate.eventTime, closedTo))
        return
      }
      if (job.flatMap) {
        this.#addRows(start, job.flatMap(row, meta), candidate, source)
        return
      }
      const problem = this.#values.read(row, meta)
      if (problem !== null) {
        this.#reject(source, 'value', problem)
        return
      }
      const pane = this.#table.at(start)
      let group = this.#table.find(pane, row, meta)
      if (job.gapMs !== null && group && this.#isLate(group.key, candidate, source)) return
      group ??= this.#newGroup(pane, row, candidate, source) ?? undefined
      if (!group) return
      if (job.gapMs !== null) group = this.#sessionOf(pane, group, candidate.eventTime)
      const grown = this.#values.add(group, candidate, this.#partition, 0)
      this.merges += grown / ENTRIES_OF_A_GROUP
      this.counted++
      this.tally.add(candidate.offset)
      if (closedTo !== null) this.#notePartly(start, candidate, closedTo)
    } catch (error) {
      this.#reject(source, 'threw', messageOf(error))
    }
  }

  /** All rows of a record or none: each is read before the first is added. */
  #addRows(start: number, rows: unknown, candidate: Candidate, source: Source): void {
    if (!Array.isArray(rows)) throw new TypeError('flatMap must give a list')
    if (rows.length === 0) return this.#filter(candidate)
    if (rows.length > bounds.rowsMax) {
      const message = `flatMap gave ${rows.length} rows, at most ${bounds.rowsMax} are allowed`
      this.#reject(source, 'rows', message)
      return
    }
    const ready: Ready[] = []
    for (const row of rows as unknown[]) {
      const one = this.#readRow(start, row, candidate, source)
      if (!one) return
      ready.push(one)
    }
    const pane = this.#table.at(start)
    ready.forEach(({ values, key, kept }, i) => {
      let group = this.#made(pane, values, key)
      if (this.#job.gapMs !== null) group = this.#sessionOf(pane, group, candidate.eventTime)
      this.#values.take(kept)
      const grown = this.#values.add(group, candidate, this.#partition, i)
      this.merges += grown / ENTRIES_OF_A_GROUP
    })
    this.counted++
    this.tally.add(candidate.offset)
    const { closedTo } = this.verdict
    if (closedTo !== null) this.#notePartly(start, candidate, closedTo)
  }

  #readRow(start: number, row: unknown, candidate: Candidate, source: Source): Ready | null {
    const { meta } = candidate
    const problem = this.#values.read(row, meta)
    if (problem !== null) return this.#reject(source, 'value', problem)
    const values = this.#table.valuesOf(row, meta)
    const key = this.#keyOf(start, values, candidate, source)
    if (key === null) return null
    return { values, key, kept: this.#values.kept() }
  }

  #filter({ offset }: Candidate): void {
    this.filtered++
    this.tally.add(offset)
  }

  /** A record behind what is closed may have missed a session: only where that is said, it can be known. */
  #notePartly(start: number, { offset, eventTime }: Candidate, closedTo: number): void {
    const job = this.#job
    if (job.gapMs === null ? firstWindowEnd(job, start) > closedTo : eventTime >= closedTo) return
    this.partly++
    this.#remember('partly', offset)
  }

  /** Rejects a record that never came to folding: its batch is corrupt, `work` threw, it kills. */
  reject(source: Source, reason: RejectReason, message: string): void {
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

  /** First row of a group in this fold: the group's values are checked once, here. */
  #newGroup(pane: Pane, row: unknown, candidate: Candidate, source: Source): Group | null {
    const values = this.#table.valuesOf(row, candidate.meta)
    const key = this.#keyOf(pane.start, values, candidate, source)
    return key === null ? null : this.#made(pane, values, key)
  }

  /** Null where the values can't be a group's, or the pane has no place for it. */
  #keyOf(start: number, values: unknown[], candidate: Candidate, source: Source): string | null {
    const found = keyOf(values)
    if ('problem' in found) return this.#reject(source, 'group', found.problem)
    if (this.verdict.late && this.#isLate(found.key, candidate, source)) return null
    if (!this.verdict.full.get(start)?.has(found.key)) return found.key
    const message =
      this.#job.gapMs === null
        ? `the window has ${bounds.groupsMax} groups already`
        : `there are ${bounds.groupsMax} groups, or the group has ${SESSIONS_MAX} open sessions`
    return this.#reject(source, 'groups', message)
  }

  /** Rejects a record whose session Redis would have to make closed. */
  #isLate(key: string, { eventTime }: Candidate, source: Source): boolean {
    const { late, closedTo } = this.verdict
    const job = this.#job
    if (!late || closedTo === null || !isSession(job)) return false
    if (sessionEnd(job, eventTime) > closedTo) return false
    const spans = late.get(key) ?? []
    if (!spans.some(({ first, last }) => first <= eventTime && eventTime <= last)) return false
    this.#reject(source, 'late', lateMessage(eventTime, closedTo))
    return true
  }

  /** The session of a group that a record belongs to, made where there is none. */
  #sessionOf(pane: Pane, known: Group, eventTime: number): Group {
    const job = this.#job
    if (!isSession(job)) return known
    known.siblings ??= [known]
    const isNew = spanOf(known.cells).first === Infinity
    let group = isNew ? known : joined(job, job.slots, known.siblings, eventTime, pane.groups)
    if (!group) {
      group = this.#table.beside(pane, known)
      this.#countGroup()
    }
    widen(group.cells, eventTime)
    return group
  }

  #made(pane: Pane, values: unknown[], key: string): Group {
    const { group, isNew } = this.#table.make(pane, values, key)
    if (isNew) this.#countGroup()
    return group
  }

  #countGroup(): void {
    this.groups++
    this.merges += this.#groupWeight
  }

  #reject(source: Source, reason: RejectReason, message: string): null {
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
/** Given where no function of the job's can reach it. */
const NOT_ASKED_FOR = {} as Meta
/** As in sessions.lua. */
const SESSIONS_MAX = 100
/** Entries of sketches that Redis merges in the time that the slots of a group take. */
const ENTRIES_OF_A_GROUP = 5
