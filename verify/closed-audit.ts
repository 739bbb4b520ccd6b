/**
 * Closed windows against the recount: takes what the stream of closed windows has got since the last
 * time, compares each window once, and finds those that should have been closed and are not there.
 */
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Finding, wrong } from './checks.ts'
import { ClosedWindows } from './closed-windows.ts'
import { compareSessions, compareWindow } from './compare.ts'
import type { Expected } from './expected.ts'
import { isTrimmed, type PipelineState } from './pipeline.ts'
import { type ClosedPart, closedParts, type FoundRow } from './rows.ts'

export interface ClosedAuditOptions {
  store: Store
  keys: Keys
  job: Job
  /** Windows that can't be compared, because some of their records were before the audit. */
  skips?: (start: number) => boolean
  /** Where in the stream it begins. */
  after?: string
  /** Compares also closed windows that late records may still change, as they were told last. */
  unsettled?: boolean
}

export class ClosedAudit {
  compared = 0
  rows = 0
  /** Windows that the bounded stream does not hold any more. */
  trimmed = 0
  #windows: ClosedWindows | null = null
  /** Windows as they were told last, by their starts, until they are compared. */
  readonly #told = new Map<number, FoundRow[]>()
  readonly #options: ClosedAuditOptions
  /** Starts of the windows that were seen, as far back as they are expected. */
  readonly #seen = new Set<number>()
  /** Rows of the window whose last entry has not come yet. */
  #held: FoundRow[] = []
  /** Windows before this one were lost by the stream; set with its first window. */
  #oldest: number | null = null
  #settledTo = -Infinity
  /** Of sessions: up to where they were compared; the entry that may have lost its beginning. */
  #comparedTo = -Infinity
  #cutAfter: string | null = null

  constructor(options: ClosedAuditOptions) {
    this.#options = options
  }

  /** Id of the newest entry that was compared. */
  get newest(): string {
    const newest = this.#windows?.newest ?? '0-0'
    return newest === '0-0' ? (this.#options.after ?? newest) : newest
  }

  /** Closed windows with something that is not written out yet. */
  get untold(): number {
    return this.#told.size
  }

  /** Compares up to the state's instant; `expected` holds every record committed by then. */
  async compare(state: PipelineState, expected: Expected): Promise<Finding[]> {
    const { store, keys, job } = this.#options
    const found: Finding[] = []
    // What was told of a window while it was open is not looked at.
    const isWhole = !isTrimmed(state.closed) && !this.#options.after && job.updatesMs === 0
    this.#windows ??= new ClosedWindows(isWhole)
    const parts = closedParts(store, keys, job, { after: this.newest, last: state.closed.last })
    for await (const part of parts) {
      // A shard that was taken back lacks records that it had when this was joined, until they are there again.
      if (isAhead(state, part.end)) break
      found.push(...this.#windows.take(part))
      if (!part.told?.isOpen && (state.closedTo === null || part.end > state.closedTo)) {
        found.push(wrong('C5', `the window that ends at ${part.end} is closed before its time`))
      }
      this.#held.push(...part.decoded)
      if (job.gapMs !== null) found.push(...this.#tooSoon(part))
      if (!part.last || job.gapMs !== null) continue
      if (part.told) {
        this.#keep(part, state)
        continue
      }
      // What is closed again says so; its rows have been compared.
      const known = this.#seen.has(part.start) || part.end <= this.#settledTo
      if (!known) found.push(...this.#whole(part.start, this.#held, state, expected))
      this.#held = []
    }
    if (job.gapMs !== null) return [...found, ...this.#sessions(state, expected)]
    return [...found, ...this.#settled(state, expected), ...this.#missing(state, expected)]
  }

  /** A telling takes the place of the one before; of open windows only the numbers are of interest. */
  #keep({ start, end, told }: ClosedPart, state: PipelineState): void {
    const rows = this.#held
    this.#held = []
    const first = this.#oldest === null
    // Of windows that were closed by then all tellings but this one may have been cut.
    this.#oldest ??= told!.closedTo - this.#options.job.windowSizeMs + 1
    const isCut = first && isTrimmed(state.closed) && !this.#options.after
    // What is told once more after it was final has been compared, and said to be wrong.
    if (told!.isOpen || isCut || end <= this.#settledTo) return
    this.#seen.add(start)
    this.#told.set(start, rows)
  }

  /** Windows that can't change any more, and those that are told as they are. */
  #settled(state: PipelineState, expected: Expected): Finding[] {
    const { job, skips } = this.#options
    const found: Finding[] = []
    for (const [start, rows] of this.#told) {
      if (!this.#isTold(state, start + job.windowSizeMs)) continue
      this.#told.delete(start)
      if (skips?.(start)) continue
      this.compared++
      this.rows += rows.length
      found.push(...compareWindow(job, start, expected.rows(start), rows))
    }
    return found
  }

  /** Whether all that the window has got by the instant is written out. */
  #isTold(state: PipelineState, end: number): boolean {
    const { job, unsettled } = this.#options
    if (job.allowedLatenessMs === 0 || state.finalTo === null) return isClosed(state, end)
    if (!isClosed(state, end)) return false
    if (end <= state.finalTo) return true
    if (!unsettled || state.revise.has(end)) return false
    for (let pane = end - job.windowSizeMs; pane < end; pane += job.windowSlideMs) {
      if (state.changed.has(pane)) return false
    }
    return true
  }

  #tooSoon({ id, end, decoded }: ClosedPart): Finding[] {
    if (this.#oldest === null) {
      // The stream was cut: what was closed with its oldest entry may lack rows.
      const after = this.#options.after ?? '0-0'
      this.#oldest = end
      this.#cutAfter = after === '0-0' ? id : null
    }
    return decoded
      .filter((row) => row.end > end)
      .map((row) => wrong('C5', `a session that ends at ${row.end} is closed at ${end}`))
  }

  /** Those that are written by the instant, each once. */
  #sessions(state: PipelineState, expected: Expected): Finding[] {
    const { job, skips } = this.#options
    const to = state.writtenTo ?? -Infinity
    const cut = isTrimmed(state.closed) && this.#cutAfter !== null ? this.#oldest! : -Infinity
    const isWanted = ({ start, end }: { start: number; end: number }) =>
      end > cut && !skips?.(start)
    const wanted = expected.sessions(this.#comparedTo, to)
    const rows = this.#held.filter(({ end }) => end <= to)
    this.#held = this.#held.filter(({ end }) => end > to)
    this.#comparedTo = Math.max(this.#comparedTo, to)
    this.trimmed += wanted.filter(({ end }) => end <= cut).length
    const [sessions, found] = [wanted.filter(isWanted), rows.filter(isWanted)]
    this.compared += sessions.length
    this.rows += found.length
    return compareSessions(job, sessions, found)
  }

  /** Windows that end at or before this are not asked about any more. */
  settle(closedTo: number): void {
    this.#settledTo = closedTo
    this.#windows?.settle(closedTo)
    for (const start of this.#seen) {
      if (start + this.#options.job.windowSizeMs <= closedTo) this.#seen.delete(start)
    }
  }

  #whole(start: number, rows: FoundRow[], state: PipelineState, expected: Expected): Finding[] {
    this.#seen.add(start)
    const first = this.#oldest === null
    this.#oldest ??= start
    // The stream was cut: its oldest window may lack rows.
    if (first && isTrimmed(state.closed) && !this.#options.after) {
      this.trimmed++
      return []
    }
    if (this.#options.skips?.(start)) return []
    this.compared++
    this.rows += rows.length
    return compareWindow(this.#options.job, start, expected.rows(start), rows)
  }

  /** Windows that have records and must be closed by now, yet never were. */
  #missing(state: PipelineState, expected: Expected): Finding[] {
    const { job, skips } = this.#options
    const missing = expected
      .windows()
      // A pane that is kept for a later window belongs to settled ones too.
      .filter((start) => start + job.windowSizeMs > this.#settledTo)
      .filter((start) => this.#isTold(state, start + job.windowSizeMs) && !this.#seen.has(start))
      .filter((start) => !skips?.(start))
    const cut = isTrimmed(state.closed) && !this.#options.after
    const kept = missing.filter((start) => !cut || start >= (this.#oldest ?? Infinity))
    this.trimmed += missing.length - kept.length
    for (const start of missing) this.#seen.add(start)
    this.compared += kept.length
    return kept.flatMap((start) => compareWindow(job, start, expected.rows(start), []))
  }
}

/** Closed at the instant, and not just being closed. */
const isClosed = (state: PipelineState, end: number): boolean =>
  state.wholeTo !== null && end <= state.wholeTo && end !== state.closing

/** Closed as a whole, and open again in one of the shards. */
const isAhead = ({ closedTo, wholeTo }: PipelineState, end: number): boolean =>
  closedTo !== null && end <= closedTo && (wholeTo === null || end > wholeTo)
