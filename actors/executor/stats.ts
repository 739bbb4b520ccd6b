/**
 * What an executor knows of its own work: totals for the heartbeat, its busy share and rate over the
 * last seconds, and how long records took to their commit, from Kafka's timestamp and from their event time.
 */
import { type Host, systemHost } from '../host.ts'
import { type Actor, delayBucket, delayBucketsMs } from '../messages.ts'

const SPAN_MS = 5_000

export class Stats {
  records = 0
  entries = 0
  busyMs = 0
  /** Steps of whatever kind. */
  progress = 0
  /** Milliseconds of work per record, learned; null before the first. */
  costMs: number | null = null
  /** Processor time of starting is not the work's. */
  readonly #host: Host
  readonly #cpuBeforeMs: number
  #samples: { at: number; records: number; busyMs: number }[] = []
  readonly #delays: number[] = delayBucketsMs.map(() => 0)
  readonly #eventDelays: number[] = delayBucketsMs.map(() => 0)

  constructor(host: Host = systemHost) {
    this.#host = host
    this.#cpuBeforeMs = host.cpuMs()
  }

  /** Something that was waited for has come: entries, a record's `work`, a reply, also a refusal. */
  moved(): void {
    this.progress++
  }

  committed(records: number, entries: number): void {
    this.records += records
    this.entries += entries
  }

  worked(ms: number, records: number): void {
    this.busyMs += ms
    if (records === 0) return
    const cost = ms / records
    this.costMs = this.costMs === null ? cost : this.costMs * 0.8 + cost * 0.2
  }

  delayed(ms: number, records: number): void {
    const bucket = delayBucket(ms)
    this.#delays[bucket] = this.#delays[bucket]! + records
  }

  /** One record of the sample. */
  aged(ms: number): void {
    const bucket = delayBucket(ms)
    this.#eventDelays[bucket] = this.#eventDelays[bucket]! + 1
  }

  /** The heartbeat's part; called once a beat. */
  account(at: number): Partial<Actor> {
    this.#samples = this.#samples.filter((sample) => at - sample.at <= SPAN_MS)
    const first = this.#samples[0]
    const spanMs = first ? at - first.at : 0
    this.#samples.push({ at, records: this.records, busyMs: this.busyMs })
    return {
      records: this.records,
      entries: this.entries,
      busyMs: Math.round(this.busyMs),
      progress: this.progress,
      cpuMs: Math.round(this.#host.cpuMs() - this.#cpuBeforeMs),
      busy: first && spanMs > 0 ? Math.min(1, (this.busyMs - first.busyMs) / spanMs) : null,
      recordsPerSecond:
        first && spanMs > 0 ? ((this.records - first.records) * 1_000) / spanMs : null,
      delays: trimmed(this.#delays),
      eventDelays: trimmed(this.#eventDelays),
    }
  }
}

function trimmed(delays: readonly number[]): number[] {
  return delays.slice(0, delays.findLastIndex((count) => count > 0) + 1)
}
