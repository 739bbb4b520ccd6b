/**
 * A batch: the slices of entries that one commit carries, and their fold. A slice is a run of one
 * entry's records, [from, to); the last of an entry is `done`. Folding the same slices again, with
 * what a refused commit told, gives the batch to try next.
 */
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import type { Job } from '../job.ts'
import { shapeArguments } from '../windows/span.ts'
import type { Candidate } from './candidate.ts'
import { paneArguments } from './deltas.ts'
import { Fold, type Verdict } from './fold.ts'
import type { Hand } from './hand.ts'
import type { Entry } from './inbox.ts'
import { RecordCursor } from './records.ts'
import { workOn } from './work.ts'

export interface Slice {
  entry: Entry
  from: number
  to: number
  maxEventTime: number | null
  records: number
  done: boolean
  /** Kafka timestamps of its records: [epoch ms, number] in runs. */
  stamps: [number, number][]
  /** Event times of a sample of its records, epoch ms. */
  eventTimes: number[]
}

/** What folding asks of the outside: time, and to note the records that are in hand. */
export interface FoldContext {
  job: Job
  clock: Clock
  /** What an event time in the future is measured by; the clock's own where it is absent. */
  now?: () => number
  /**
   * Notes in Redis the one record in hand before the job's code sees it, where an executor has died
   * with the entry before; see `hand` in docs/redis.md.
   */
  mark: (entry: Entry, offset: number) => Promise<void>
  /** Told when what was waited for has come, so that a long entry is not taken for a hang. */
  moved?: () => void
  /** The note that costs nothing, for all records; null where nobody would read it. */
  hand?: Hand | null
}

/**
 * Deaths with the same record in hand after which it is taken for the cause: at the first it may
 * have been one of several, from the second on it was alone. So its third delivery rejects it.
 */
const DEATHS_OF_POISON = 2
/** How many records pass between two looks at the clock. */
const CLOCK_EVERY = 64
/** Of so many records one tells its event time: what percentiles need, and no more. */
const SAMPLE_EVERY = 16

/**
 * Early at first, at 1, 2, 4, 8 records and so on: where each costs much, or the processor is
 * another's, so many records hold the thread for longer than heartbeats may be late.
 */
const isTimeToLook = (count: number): boolean =>
  count < CLOCK_EVERY ? (count & (count - 1)) === 0 : count % CLOCK_EVERY === 0

export class Batch {
  readonly slices: Slice[] = []
  readonly fold: Fold
  busyMs = 0
  readonly #context: FoldContext

  constructor(context: FoldContext, verdict: Verdict) {
    this.#context = context
    this.fold = new Fold(context.job, verdict, context.now ?? (() => context.clock.now()))
  }

  /** No more may come into it: the commit would take too long, or come too late. */
  get full(): boolean {
    return (
      this.busyMs >= bounds.commitWorkMs ||
      this.slices.length >= bounds.commitEntriesMax ||
      this.#heavy
    )
  }

  get #heavy(): boolean {
    return (
      this.fold.merges >= bounds.commitGroupsMax ||
      this.fold.rejects.length >= bounds.commitRejectsMax
    )
  }

  /**
   * Folds an entry from its cursor on, until it ends, the batch is full, or `stop` says so. The
   * entry's cursor moves; `cursor` keeps its place in the payload from batch to batch.
   */
  async take(entry: Entry, cursor: RecordCursor, stop: () => boolean): Promise<Slice> {
    const slice = this.#begin(entry, entry.cursor)
    const started = this.#context.clock.elapsed()
    const spent = () => this.#context.clock.elapsed() - started
    const full = () => this.#heavy || this.busyMs + spent() >= bounds.commitWorkMs
    slice.done = await this.#through(slice, cursor, full, stop)
    this.#context.hand?.clear()
    this.#end(slice)
    entry.cursor = slice.to
    this.busyMs += spent()
    return slice
  }

  /** The same slices but for those of entries that are gone, folded by another verdict. */
  async again(verdict: Verdict, gone: WeakSet<Entry>): Promise<Batch> {
    const batch = new Batch(this.#context, verdict)
    batch.busyMs = this.busyMs
    for (const { entry, from, to, done } of this.slices) {
      if (gone.has(entry)) continue
      const slice = batch.#begin(entry, from)
      const cursor = new RecordCursor(entry.payload, from, to)
      // These are the records of one commit already: no bound ends the slice before they do.
      await batch.#through(slice, cursor, never, never)
      this.#context.hand?.clear()
      slice.to = to
      slice.done = done
      batch.#end(slice)
    }
    return batch
  }

  #begin(entry: Entry, from: number): Slice {
    this.fold.begin(entry.partition, entry.topic)
    const before = this.fold.records
    const slice = {
      entry,
      from,
      to: from,
      maxEventTime: null,
      records: -before,
      done: false,
      stamps: [],
      eventTimes: [],
    }
    this.slices.push(slice)
    return slice
  }

  #end(slice: Slice): void {
    slice.maxEventTime = this.fold.maxEventTime
    slice.records += this.fold.records
    if (slice.done) slice.to = slice.entry.to
  }

  /** Folds by the way that job and entry need; true at the entry's end. */
  async #through(
    slice: Slice,
    cursor: RecordCursor,
    full: () => boolean,
    stop: () => boolean,
  ): Promise<boolean> {
    const careful = slice.entry.crashes > 0
    cursor.inArena = this.fold.keepsNothing && !careful
    if (!this.#context.job.work && !careful) return this.#foldThrough(slice, cursor, full)
    return this.#workThrough(slice, cursor, careful, () => full() || stop())
  }

  /** The cheap way: no job code that waits. True at the entry's end. */
  #foldThrough(slice: Slice, cursor: RecordCursor, full: () => boolean): boolean {
    const { fold } = this
    const { hand } = this.#context
    for (let count = 1; ; count++) {
      const step = cursor.next()
      if (step === 'end') return true
      if (step === 'corrupt') {
        this.#rejectCorrupt(slice, cursor)
      } else {
        hand?.only(slice.entry, cursor.offset)
        const candidate = fold.check(cursor)
        if (candidate) {
          if (count % SAMPLE_EVERY === 1) slice.eventTimes.push(candidate.eventTime)
          fold.add(candidate, candidate.row, cursor)
        }
        stamp(slice, cursor.timestamp)
        slice.to = cursor.offset + 1
      }
      if ((isTimeToLook(count) || this.#heavy) && full()) return false
    }
  }

  /**
   * The way with `work`, and the careful way with one record in hand at a time. Up to `concurrency`
   * records are worked on together; they are folded in their order.
   */
  async #workThrough(
    slice: Slice,
    cursor: RecordCursor,
    careful: boolean,
    full: () => boolean,
  ): Promise<boolean> {
    const together = careful ? 1 : this.#context.job.concurrency
    let seen = 0
    for (let ended = false; !ended; ) {
      const candidates: Candidate[] = []
      // Records that never come to `work` must not make the commit late or large either.
      const steps = Math.max(together, CLOCK_EVERY)
      for (let i = 0; i < steps && candidates.length < together; i++) {
        if (this.#heavy && full()) break
        const step = cursor.next()
        ended = step === 'end'
        if (ended) break
        if (step === 'corrupt') {
          this.#rejectCorrupt(slice, cursor)
          continue
        }
        slice.to = cursor.offset + 1
        stamp(slice, cursor.timestamp)
        if (this.#isPoison(slice.entry, cursor.offset)) {
          this.fold.reject(cursor, 'poison', 'executors died with this record in hand')
          continue
        }
        if (careful) await this.#markAlone(slice.entry, cursor.offset)
        this.#context.hand?.add(slice.entry, cursor.offset)
        const candidate = this.fold.check(cursor, true)
        if (!candidate) continue
        candidates.push(candidate)
        if (seen++ % SAMPLE_EVERY === 0) slice.eventTimes.push(candidate.eventTime)
      }
      await this.#work(slice.entry, candidates)
      this.#context.hand?.clear()
      this.#context.moved?.()
      if (!ended && full()) return false
    }
    return true
  }

  /**
   * Before the job's code sees the record, and with nothing in hand meanwhile: whoever dies while Redis
   * does not answer has not died of this record.
   */
  async #markAlone(entry: Entry, offset: number): Promise<void> {
    this.#context.hand?.clear()
    await this.#context.mark(entry, offset)
  }

  async #work(entry: Entry, all: Candidate[]): Promise<void> {
    const { job, clock } = this.#context
    const candidates = all.filter(({ offset }) => !entry.hung?.has(offset))
    const outcomes = await workOn(job, candidates, clock)
    const outcomeOf = new Map(candidates.map(({ offset }, i) => [offset, outcomes[i]!]))
    for (const candidate of all) {
      const outcome = outcomeOf.get(candidate.offset)
      if (outcome?.kind === 'done') this.fold.add(candidate, outcome.row, null)
      else if (outcome?.kind === 'threw') this.fold.reject(candidate, 'threw', outcome.message)
      else this.#rejectHung(entry, candidate)
    }
  }

  /** It is not tried again when the batch is folded again: that would take its time once more. */
  #rejectHung(entry: Entry, candidate: Candidate): void {
    entry.hung ??= new Set()
    entry.hung.add(candidate.offset)
    const { workTimeoutMs } = this.#context.job
    this.fold.reject(candidate, 'hung', `work did not settle within ${workTimeoutMs} ms`)
  }

  #isPoison(entry: Entry, offset: number): boolean {
    return (entry.suspects.get(offset) ?? 0) >= DEATHS_OF_POISON
  }

  #rejectCorrupt(slice: Slice, cursor: RecordCursor): void {
    const { from, to, message } = cursor.corrupt!
    this.fold.rejectBatch(from, to, message)
    slice.to = to
  }
}

const never = () => false

function stamp({ stamps }: Slice, timestamp: number): void {
  const last = stamps[stamps.length - 1]
  if (last !== undefined && last[0] === timestamp) last[1]++
  else stamps.push([timestamp, 1])
}

/** The arguments of the commit function; their order stands in commit.lua. */
export function commitArguments(batch: Batch, me: string, job: Job): (string | number | Buffer)[] {
  const { fold, slices } = batch
  const closedTo = fold.verdict.closedTo ?? ''
  const args: (string | number | Buffer)[] = [
    me,
    job.ops,
    ...shapeArguments(job),
    closedTo,
    bounds.groupsMax,
    bounds.rejectsKept,
    bounds.verdictsKept,
    job.topic,
    fold.counted,
    fold.filtered,
    fold.late,
    fold.rejected,
    fold.partly,
    Math.round(batch.busyMs * 1_000),
    fold.tally.hash,
    slices.length,
  ]
  for (const { entry, from, to, maxEventTime, records, done } of slices) {
    args.push(
      entry.id,
      entry.partition,
      entry.from,
      entry.to,
      entry.announced,
      entry.bytes,
      from,
      to,
      maxEventTime ?? '',
      records,
      done ? 1 : 0,
    )
  }
  const panes = [...fold.panes.values()].filter(({ groups }) => groups.length > 0)
  args.push(panes.length)
  for (const { start, groups } of panes) args.push(...paneArguments(start, groups))
  args.push(fold.rejects.length)
  for (const { partition, offset, reason, message, value } of fold.rejects) {
    args.push(partition, offset, reason, message, value)
  }
  args.push(fold.verdicts.size)
  for (const [name, offsets] of fold.verdicts) {
    args.push(...name.split('|'), closedTo, offsets.join(','))
  }
  return args
}
