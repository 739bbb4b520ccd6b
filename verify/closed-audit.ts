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
}

export class ClosedAudit {
  compared = 0
  rows = 0
  /** Windows that the bounded stream does not hold any more. */
  trimmed = 0
  readonly #windows = new ClosedWindows()
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
    const { newest } = this.#windows
    return newest === '0-0' ? (this.#options.after ?? newest) : newest
  }

  /** Compares up to the state's instant; `expected` holds every record committed by then. */
  async compare(state: PipelineState, expected: Expected): Promise<Finding[]> {
    const { store, keys, job } = this.#options
    const found: Finding[] = []
    const parts = closedParts(store, keys, job, { after: this.newest, last: state.closed.last })
    for await (const part of parts) {
      found.push(...this.#windows.take(part))
      if (state.closedTo === null || part.end > state.closedTo) {
        found.push(wrong('C5', `the window that ends at ${part.end} is closed before its time`))
      }
      this.#held.push(...part.decoded)
      if (job.gapMs !== null) found.push(...this.#tooSoon(part))
      if (!part.last || job.gapMs !== null) continue
      // What is closed again says so; its rows have been compared.
      const known = this.#seen.has(part.start) || part.end <= this.#settledTo
      if (!known) found.push(...this.#whole(part.start, state, expected))
      this.#held = []
    }
    if (job.gapMs !== null) return [...found, ...this.#sessions(state, expected)]
    return [...found, ...this.#missing(state, expected)]
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
    for (const start of this.#seen) {
      if (start + this.#options.job.windowSizeMs <= closedTo) this.#seen.delete(start)
    }
  }

  #whole(start: number, state: PipelineState, expected: Expected): Finding[] {
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
    this.rows += this.#held.length
    return compareWindow(this.#options.job, start, expected.rows(start), this.#held)
  }

  /** Windows that have records and must be closed by now, yet never were. */
  #missing(state: PipelineState, expected: Expected): Finding[] {
    const { job, skips } = this.#options
    const missing = expected
      .windows()
      // A pane that is kept for a later window belongs to settled ones too.
      .filter((start) => start + job.windowSizeMs > this.#settledTo)
      .filter((start) => isClosed(state, start + job.windowSizeMs) && !this.#seen.has(start))
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
  state.closedTo !== null && end <= state.closedTo && end !== state.closing
