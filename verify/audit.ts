/**
 * An audit that goes on beside the pipeline. A round takes the state at one instant, reads the
 * records that were committed since the round before, and compares counters and the windows that have
 * closed since. What was compared is forgotten, so memory grows with what is open only. A round that
 * an outage ends has lost nothing: what it read is known, and the next one goes on from there.
 */
import { RefusalError } from '../actors/errors.ts'
import { type Baseline, readChange, since, skips } from './baseline.ts'
import * as checks from './checks.ts'
import { ClosedAudit } from './closed-audit.ts'
import { compareCounts, Differences } from './compare.ts'
import {
  lacksVerdicts,
  type PipelineState,
  readRulings,
  readState,
  type Rulings,
} from './pipeline.ts'
import { include, type Ranges, subtract } from './ranges.ts'
import { Recount } from './recount.ts'
import { openRows } from './rows.ts'
import { recordsBehind } from './catch-up.ts'
import { topicsRead } from './numbers.ts'
import { endsOf, type TopicEnd, TopicsReader } from './topics.ts'
import type { Verification } from './verify.ts'

export interface Round {
  /** Redis's clock, epoch ms. */
  at: number
  /** Records and closed windows compared, since the audit began. */
  records: number
  windows: number
  lost: number
  duplicated: number
  wrong: number
  unaccounted: number
  /** Records that Kafka holds and the pipeline has not finished. */
  behind: number
  /** What differs now. */
  named: string[]
  notes: string[]
}

export interface AuditOptions {
  /** Leaves out what was committed before the audit began. */
  fromNow?: boolean
  /** Without a record for this long a reading is given up. */
  stallMs?: number
}

/** Records that are handed on together; that many `work` hooks run at once. */
const TOGETHER = 256
const STALL_MS = 20_000
const CLOSE_MS = 5_000

export class Audit {
  readonly #verification: Verification
  readonly #options: AuditOptions
  #reader: TopicsReader | null = null
  /** The records that are being counted. */
  #taking: Promise<unknown> = Promise.resolve()
  #began = false
  /** From where on the audit counts. */
  #baseline: Baseline | null = null
  /** The code that judges records; null where no supervisor has told. */
  #code: string | null = null
  #audited: Ranges = new Map()
  #rulings: Rulings = new Map()
  /** For each shard the last verdict that was read. */
  #rulingsTo: readonly string[] = []
  #recount: Recount
  #closed: ClosedAudit
  #last: PipelineState | null = null
  #contradictions = 0
  /** What was found once and stays: in windows, and what went back. */
  #kept = new Differences()

  constructor(verification: Verification, options: AuditOptions = {}) {
    this.#verification = verification
    this.#options = options
    this.#recount = new Recount(verification.job, this.#rulings, 0)
    this.#closed = new ClosedAudit(verification)
  }

  /** Rejects where Redis or Kafka is away, or the topic lacks records. */
  async round(): Promise<Round> {
    const { store, keys } = this.#verification
    await this.#taking
    const state = await readState(store, keys)
    this.#refuseOtherCode(state)
    const notes: string[] = []
    if (!this.#began) {
      await this.#begin(state)
      if (lacksVerdicts(state) && !this.#options.fromNow) notes.push(VERDICTS_GONE)
    }
    if (this.#wentBack(state)) {
      notes.push('Redis was taken back to an earlier state: the audit begins again')
      await this.#begin(state)
    }
    await this.#read(state)
    this.#kept.add(checks.monotone(this.#last && progress(this.#last), progress(state)))
    this.#kept.add(await this.#closed.compare(state, this.#recount.expected))
    this.#kept.add(this.#newContradictions())
    this.#settle(state)
    this.#last = state
    return this.#roundOf(state, await this.#ends(state), notes)
  }

  async close(): Promise<void> {
    const reader = this.#reader
    this.#reader = null
    if (!reader) return
    // Kafka may be away, and then it is not told.
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, CLOSE_MS)
    await Promise.race([reader.close().catch(() => {}), promise])
    clearTimeout(timer)
  }

  /** The code that we recompute by was loaded when we were started. */
  #refuseOtherCode({ codes }: PipelineState): void {
    for (const code of codes) {
      // The first that is told was no other before.
      this.#code ??= code
      if (code === this.#code) continue
      throw new RefusalError(
        "the job's code was changed meanwhile: start verify again, with the file that runs now",
      )
    }
  }

  async #begin(state: PipelineState): Promise<void> {
    const { store, keys, job } = this.#verification
    const late = this.#options.fromNow === true
    this.#baseline = late
      ? {
          at: state.at,
          totals: state.totals,
          applied: state.applied,
          panes: state.panes,
          sessionsTo: job.gapMs === null ? -Infinity : await this.#lastEnd(),
          // Of a window that one of them has closed the panes are not all there any more.
          closedTo: Math.max(...state.shards.map((shard) => shard.closedTo ?? -Infinity)),
        }
      : await readChange(store, keys, job)
    this.#audited = new Map(this.#baseline?.applied)
    this.#rulings = new Map()
    this.#rulingsTo = late ? lastVerdicts(state) : []
    this.#recount = new Recount(job, this.#rulings, state.at)
    this.#contradictions = 0
    this.#closed = new ClosedAudit({
      ...this.#verification,
      skips: (start) => skips(job, this.#baseline, start),
      ...(late ? { after: state.closed.last } : {}),
    })
    this.#last = null
    this.#began = true
  }

  async #lastEnd(): Promise<number> {
    const { store, keys, job } = this.#verification
    const rows = await openRows(store, keys, job, null)
    return rows.reduce((last, { end }) => Math.max(last, end), -Infinity)
  }

  #wentBack(state: PipelineState): boolean {
    if (subtract(this.#audited, state.applied).size > 0) return true
    if (idBefore(state.closed.last, this.#closed.newest)) return true
    const before = this.#last?.shards
    return state.shards.some(({ committed }, i) => committed < (before?.[i]?.committed ?? 0))
  }

  async #read(state: PipelineState): Promise<void> {
    const { store, keys, kafka, job, onProgress } = this.#verification
    const [rulings, after] = [this.#rulings, this.#rulingsTo]
    await readRulings(store, keys, state, { rulings, after })
    this.#rulingsTo = lastVerdicts(state)
    const recount = this.#recount
    recount.at = state.at
    const ranges = subtract(state.applied, this.#audited)
    if (ranges.size === 0) return
    const { stallMs = STALL_MS } = this.#options
    try {
      this.#reader ??= new TopicsReader(kafka, stallMs)
      await this.#reader.read(topicsRead(job, state), {
        ranges,
        together: TOGETHER,
        take: (records, partition, through) => {
          const taking = recount.take(records).then(() => {
            for (const range of through) include(this.#audited, partition, range)
            onProgress?.(recount.places.count)
          })
          this.#taking = taking.catch(() => {})
          return taking
        },
      })
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** A reader that was there when Kafka went takes long to come back; a new one reads at once. */
  async #ends(state: PipelineState): Promise<TopicEnd[]> {
    const { kafka, job } = this.#verification
    try {
      return await endsOf(kafka, job, state)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  #newContradictions() {
    const { contradictions, contradictionsTotal } = this.#recount
    const more = contradictionsTotal - this.#contradictions
    const named = contradictions.slice(this.#contradictions)
    this.#contradictions = contradictionsTotal
    return Array.from({ length: more }, (_, i) =>
      checks.wrong('C1', named[i] ?? 'another contradiction'),
    )
  }

  /** Whatever is final, and ends before the window that is being written out, has been compared. */
  #settle({ closedTo, finalTo, closing, writtenTo }: PipelineState): void {
    const { gapMs, windowSlideMs } = this.#verification.job
    if (closedTo === null || finalTo === null) return
    const before = gapMs === null ? Math.min(finalTo, (closing ?? 0) - windowSlideMs) : writtenTo!
    const to = closing === null ? finalTo : before
    this.#recount.settle(to, this.#baseline?.panes)
    this.#closed.settle(to)
  }

  #roundOf(state: PipelineState, ends: readonly TopicEnd[], notes: string[]): Round {
    const { counts, places } = this.#recount
    const now = new Differences()
    const totals = since(state.totals, this.#baseline?.totals)
    now.add(compareCounts(counts, totals, state.totals))
    if (totals.committed === places.count) {
      now.add(checks.applied(places, { count: totals.committed, hash: totals.hash }))
    }
    const kept = this.#kept
    return {
      at: state.at,
      records: places.count,
      windows: this.#closed.compared,
      lost: now.lost + kept.lost,
      duplicated: now.duplicated + kept.duplicated,
      wrong: now.wrong + kept.wrong,
      unaccounted: checks.unaccountedOf(state.totals),
      behind: recordsBehind(state, ends),
      named: [...now.named, ...kept.named],
      notes,
    }
  }
}

const VERDICTS_GONE =
  'the oldest verdicts are not kept any more, so that records that they were about may differ: ' +
  '--from-now leaves them out'

const lastVerdicts = ({ shards }: PipelineState): string[] =>
  shards.map(({ verdicts }) => verdicts.last)

const progress = ({ closedTo, totals, partitions }: PipelineState): checks.Progress => ({
  watermark: null,
  closedTo,
  totals,
  partitions,
})

function idBefore(one: string, other: string): boolean {
  const [ms = 0, sequence = 0] = one.split('-').map(Number)
  const [otherMs = 0, otherSequence = 0] = other.split('-').map(Number)
  return ms < otherMs || (ms === otherMs && sequence < otherSequence)
}
