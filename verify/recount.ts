/**
 * One record after the other: what it must have become (counted, filtered, late or rejected) and
 * where it must show. The pipeline is believed in one thing only, which no recomputation can know:
 * its verdicts that hung on time or order (which windows were closed when a record came, what the
 * clock said, which record killed executors). Each verdict is checked against the record, and one
 * that can't be right is a contradiction.
 */
import * as v from 'valibot'
import type { GroupValue, Job, Meta } from '../actors/job.ts'
import { Expected } from './expected.ts'
import { type Told, ToldMeta } from './meta.ts'
import { PARTITIONS_OF_A_TOPIC } from './numbers.ts'
import { Places } from './places.ts'

/** What the pipeline says that it decided about one record. */
export interface Ruling {
  reason: string
  /** End of the newest window that was closed then, epoch ms; null for none. */
  closedTo: number | null
  /** When it was written down, by Redis's clock. */
  at: number
}

export interface TopicRecord {
  /** Where the job has several. */
  topic?: string
  /** Its number (topics.ts). */
  partition: number
  offset: number
  value: Buffer | null
  /** Its batch can't be read; there is no value then. */
  corrupt?: boolean
  told?: Told
}

export interface Counts {
  counted: number
  filtered: number
  late: number
  rejected: number
  partly: number
}

/** Groups that a pane holds at the most. */
const GROUPS_MAX = 100_000
/** Processes' clocks and Redis's may differ by this much. */
const CLOCK_TOLERANCE_MS = 60_000
const CONTRADICTIONS_KEPT = 20
/** Rows that a record may become. */
const ROWS_MAX = 1_000
/**
 * Rejected whatever a recount would say: records that killed executors, and records that the job
 * rejected before it was changed, and that were fed through it again under another offset.
 */
const UNSEEN: ReadonlySet<string> = new Set(['poison', 'replayed'])
/** Nobody gives a recount's `work` up. */
const NEVER = new AbortController().signal

/** A record that can be counted: on its way to `work`. */
interface Candidate {
  record: TopicRecord
  ruling: Ruling | undefined
  eventTime: number
  /** Highest event time in its partition before it; -Infinity for none. */
  newestBefore: number
  row: unknown
  meta: Meta
}

export class Recount {
  readonly expected: Expected
  readonly counts: Counts = { counted: 0, filtered: 0, late: 0, rejected: 0, partly: 0 }
  /** Records by partition. */
  readonly records = new Map<number, number>()
  readonly places = new Places()
  readonly contradictions: string[] = []
  contradictionsTotal = 0
  /** Late although within the delay of the newest record before it in its partition. */
  lateWithinDelay = 0
  readonly #job: Job
  readonly #rulings: Map<number, Map<number, Ruling>>
  /** When the pipeline's state was taken, epoch ms. */
  at: number
  readonly #newest = new Map<number, number>()
  /** Panes that the pipeline said were full. */
  readonly #full = new Set<number>()
  /** Windows that end at or before this were compared, and can't get a record any more. */
  #settledTo = -Infinity

  constructor(job: Job, rulings: Map<number, Map<number, Ruling>>, at: number) {
    this.#job = job
    this.#rulings = rulings
    this.at = at
    this.expected = new Expected(job)
  }

  /** Takes a partition's records in their order; resolves when all of them are counted. */
  async take(records: TopicRecord[]): Promise<void> {
    const { work } = this.#job
    if (!work) {
      for (const record of records) {
        const candidate = this.#check(record)
        if (candidate) this.#settle(candidate, candidate.row)
      }
      return
    }
    const candidates = records
      .flatMap((record) => this.#check(record) ?? [])
      .filter((candidate) => !this.#hung(candidate))
    const outcomes = await Promise.allSettled(
      candidates.map(async ({ row, meta }) => work(row, { signal: NEVER, meta })),
    )
    outcomes.forEach((outcome, i) => {
      if (outcome.status === 'fulfilled') this.#settle(candidates[i]!, outcome.value)
      else this.#reject(candidates[i]!.record, candidates[i]!.ruling, 'work threw')
    })
  }

  /** What can be judged only at the end; of panes that are `partly` recounted not all groups are known. */
  finish(partly?: ReadonlySet<number>): void {
    for (const pane of this.#full) if (!partly?.has(pane)) this.#checkFull(pane)
  }

  /**
   * Windows that end at or before `closedTo` have been compared: forgets what only they need. Of
   * panes that are `partly` recounted not all groups are known.
   */
  settle(closedTo: number, partly?: ReadonlySet<number>): void {
    this.#settledTo = closedTo
    for (const pane of this.#full) {
      if (pane + this.#job.windowSizeMs > closedTo) continue
      if (!partly?.has(pane)) this.#checkFull(pane)
      this.#full.delete(pane)
    }
    this.expected.drop(closedTo)
  }

  #checkFull(pane: number): void {
    const groups = this.expected.groupsOfPane(pane)
    if (groups >= GROUPS_MAX) return
    this.#contradict(`the pane at ${time(pane)} was said to be full with ${groups} groups`)
  }

  /** Up to the point where `work` would run; null for a record that stopped before. */
  #check(record: TopicRecord): Candidate | null {
    const { partition } = record
    this.records.set(partition, (this.records.get(partition) ?? 0) + 1)
    this.places.add(partition, record.offset)
    const ruling = this.#takeRuling(record)
    if (ruling && UNSEEN.has(ruling.reason)) {
      this.counts.rejected++
      return null
    }
    if (record.corrupt) return this.#reject(record, ruling, 'its batch is corrupt')
    const meta = metaOf(record, this.#job.topic)
    const read = this.#read(record.value, meta)
    if (typeof read === 'string') return this.#reject(record, ruling, read)
    const { row, eventTime } = read
    if (this.#isFuture(record, eventTime, ruling)) {
      this.counts.rejected++
      return null
    }
    const newestBefore = this.#newest.get(partition) ?? -Infinity
    if (eventTime > newestBefore) this.#newest.set(partition, eventTime)
    return { record, ruling, eventTime, newestBefore, row, meta }
  }

  /** It is needed once. */
  #takeRuling({ partition, offset }: TopicRecord): Ruling | undefined {
    const ofPartition = this.#rulings.get(partition)
    const ruling = ofPartition?.get(offset)
    if (ruling) ofPartition?.delete(offset)
    return ruling
  }

  /** Its `work` is not run: what hung there may hang here. */
  #hung({ ruling }: Candidate): boolean {
    if (ruling?.reason !== 'hung') return false
    this.counts.rejected++
    return true
  }

  /** The parsed record, or what is wrong with it. */
  #read(value: Buffer | null, meta: Meta): { row: unknown; eventTime: number } | string {
    if (value === null) return 'no value'
    try {
      const { decode } = this.#job
      const given: unknown = decode ? decode(value, meta) : JSON.parse(strictUtf8.decode(value))
      const parsed = v.safeParse(this.#job.schema, given)
      if (!parsed.success) return 'not in the schema'
      const eventTime = Math.floor(this.#job.eventTime(parsed.output, meta))
      // What Date can name is what windows can be made of.
      if (Number.isNaN(new Date(eventTime).getTime())) return 'no event time'
      return { row: parsed.output, eventTime }
    } catch {
      return 'not readable'
    }
  }

  /** The clock that the record met is known by the ruling only; both its sides are checked. */
  #isFuture(record: TopicRecord, eventTime: number, ruling: Ruling | undefined): boolean {
    const { maxFutureSkewMs } = this.#job
    if (ruling?.reason === 'future') {
      if (eventTime <= ruling.at + maxFutureSkewMs - CLOCK_TOLERANCE_MS) {
        this.#contradict(`${name(record)} of ${time(eventTime)} was rejected as future`)
      }
      return true
    }
    if (eventTime <= this.at + maxFutureSkewMs + CLOCK_TOLERANCE_MS) return false
    this.#contradict(`${name(record)} of ${time(eventTime)} is ahead of the clock, yet was taken`)
    return true
  }

  /** The rest of a record's way; `row` is what `work` made of it. */
  #settle(candidate: Candidate, row: unknown): void {
    const { record, ruling } = candidate
    try {
      this.#count(candidate, row)
    } catch {
      this.#reject(record, ruling, "the job's code threw")
    }
  }

  #count(candidate: Candidate, row: unknown): void {
    const { record, ruling, eventTime, meta } = candidate
    if (this.#job.filter && !this.#job.filter(row, meta)) {
      this.#filter(candidate)
      return
    }
    const pane = this.expected.paneOf(eventTime)
    if (ruling?.reason === 'late') {
      this.counts.late++
      const end = pane + this.#job.windowSizeMs
      const isSession = this.#job.gapMs !== null
      this.#checkClosed(candidate, isSession ? this.expected.sessionEnd(eventTime) : end)
      return
    }
    const rows = this.#job.flatMap ? this.#job.flatMap(row, meta) : [row]
    if (Array.isArray(rows) && rows.length === 0) {
      this.#filter(candidate)
      return
    }
    const groups = this.#groupsOf(rows, meta)
    if (!groups) {
      this.#reject(record, ruling, 'a value or a group that can not be kept, or too many rows')
      return
    }
    if (ruling?.reason === 'groups') {
      this.counts.rejected++
      // How many sessions were open then is not known.
      if (this.#job.gapMs === null) this.#full.add(pane)
      return
    }
    this.counts.counted++
    this.#checkSettled(candidate, pane, ruling?.closedTo ?? -Infinity)
    const partly = ruling?.reason === 'partly'
    if (partly) {
      this.counts.partly++
      const isSession = this.#job.gapMs !== null
      this.#checkClosed(candidate, isSession ? eventTime : pane + this.#job.windowSlideMs)
    }
    const closedTo = partly ? (ruling.closedTo ?? -Infinity) : undefined
    groups.forEach((group, i) => {
      const place = [eventTime, record.partition, record.offset, i] as const
      this.expected.readValues((rows as unknown[])[i], meta)
      this.expected.add(pane, group, place, closedTo)
    })
  }

  #filter({ record, ruling }: Candidate): void {
    if (ruling) this.#contradict(`${name(record)} is filtered, not ${ruling.reason}`)
    this.counts.filtered++
  }

  /** The group of each row; null where one of them can't be kept. */
  #groupsOf(rows: unknown, meta: Meta): { key: string; values: GroupValue[] }[] | null {
    if (!Array.isArray(rows) || rows.length > ROWS_MAX) return null
    const groups: { key: string; values: GroupValue[] }[] = []
    for (const row of rows as unknown[]) {
      const group = this.expected.readValues(row, meta) ? this.expected.groupOf(row, meta) : null
      if (!group) return null
      groups.push(group)
    }
    return groups
  }

  /** `end`: of the window that the record missed according to its ruling. */
  #checkClosed({ record, ruling, eventTime, newestBefore }: Candidate, end: number): void {
    const closedTo = ruling?.closedTo ?? -Infinity
    if (end > closedTo) {
      const said = `${ruling?.reason} with windows closed to ${time(closedTo)}`
      this.#contradict(`${name(record)} of ${time(eventTime)} was called ${said}`)
    } else if (end > newestBefore - this.#job.watermarkDelayMs - this.#job.allowedLatenessMs) {
      this.lateWithinDelay++
    }
  }

  /** A record that counted when windows up to `closedTo` were closed: is it in all the others? */
  #checkSettled({ record, eventTime }: Candidate, pane: number, closedTo: number): void {
    const { windowSizeMs, windowSlideMs, gapMs } = this.#job
    if (gapMs !== null) {
      if (Math.max(eventTime, closedTo) >= this.#settledTo) return
      this.#contradict(`${name(record)} counted in a session that was closed: ${time(eventTime)}`)
      return
    }
    const first = Math.max(pane + windowSlideMs, closedTo + windowSlideMs)
    if (first > Math.min(this.#settledTo, pane + windowSizeMs)) return
    this.#contradict(`${name(record)} counted in a window that was closed: ${time(first)}`)
  }

  #reject(record: TopicRecord, ruling: Ruling | undefined, problem: string): null {
    if (ruling) this.#contradict(`${name(record)}: ${problem}, yet it was called ${ruling.reason}`)
    this.counts.rejected++
    return null
  }

  #contradict(text: string): void {
    this.contradictionsTotal++
    if (this.contradictions.length < CONTRADICTIONS_KEPT) this.contradictions.push(text)
  }
}

/** Refuses broken UTF-8; keeps a byte order mark, which JSON does not allow. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function name({ topic, partition, offset }: TopicRecord): string {
  const place = `${partition % PARTITIONS_OF_A_TOPIC}/${offset}`
  return topic === undefined ? `record ${place}` : `record ${topic}/${place}`
}

/** ISO 8601 where Date can; the number where it can't. */
export function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

function metaOf({ topic, partition, offset, told }: TopicRecord, only: string): ToldMeta {
  return new ToldMeta(topic ?? only, partition % PARTITIONS_OF_A_TOPIC, offset, told)
}
