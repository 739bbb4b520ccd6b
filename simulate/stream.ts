/**
 * Kafka and the stream of the virtual world: records come to Kafka, the bridge appends them to the
 * stream in entries, executors take those, first in first out; and each record's result delay.
 * Records are numbers from 0 in the order of arrival.
 */
import { bounds } from '../actors/config.ts'

/** Records [from, to); `from` moves on as they are committed. */
export interface Entry {
  from: number
  to: number
}

/** The bridge puts into one entry what comes within one of its fetches. */
const FETCH_MS = 10

export class Stream {
  arrived = 0
  appended = 0
  committed = 0
  /** Entries that are not committed, whoever holds them. */
  entries = 0
  /** Of each record when it arrived and, once it is done, its result delay; ms. */
  #times = new Float64Array(1_024)
  readonly #recordsPerEntry: number
  #waiting: Entry[] = []
  #head = 0
  /** Entries of executors that died, or that were handed back: they go first. */
  #returned: Entry[] = []
  #lastAt = -Infinity

  constructor(recordMs: number) {
    const records = Math.round(bounds.entryWorkMs / Math.max(recordMs, 1e-9))
    this.#recordsPerEntry = Math.min(Math.max(records, 1), bounds.entryRecordsMax)
  }

  /** Entries that nobody has taken yet. */
  get undelivered(): number {
    return this.#waiting.length - this.#head
  }

  /** Records in the stream that are not done; and with those that are still in Kafka. */
  get waiting(): number {
    return this.appended - this.committed
  }

  get undone(): number {
    return this.arrived - this.committed
  }

  arrive(at: number): void {
    if (this.arrived === this.#times.length) this.#grow()
    this.#times[this.arrived++] = at
  }

  /** The bridge moves one record on. */
  append(at: number): void {
    const last = this.#waiting.at(-1)
    const open = last && this.undelivered > 0 && at - this.#lastAt < FETCH_MS
    if (open && last.to - last.from < this.#recordsPerEntry) last.to++
    else {
      this.#waiting.push({ from: this.appended, to: this.appended + 1 })
      this.#lastAt = at
      this.entries++
    }
    this.appended++
  }

  take(): Entry | undefined {
    const returned = this.#returned.shift()
    if (returned || this.undelivered === 0) return returned
    const entry = this.#waiting[this.#head++]
    if (this.#head > 4_096 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    return entry
  }

  giveBack(entries: readonly Entry[]): void {
    this.#returned = [...this.#returned, ...entries].sort((a, b) => a.from - b.from)
  }

  /** Whether there is anything to take. */
  get hasWork(): boolean {
    return this.#returned.length > 0 || this.undelivered > 0
  }

  /** The first `records` of an entry are done. */
  commit(entry: Entry, records: number, at: number): void {
    for (let i = 0; i < records; i++) {
      const record = entry.from++
      this.#times[record] = at - this.#times[record]!
    }
    this.committed += records
    if (entry.from === entry.to) this.entries--
  }

  /** Result delays of all records, those that were never done until `at`, in ascending order; ms. */
  delays(undone: readonly Entry[], at: number): Float64Array {
    const inKafka = { from: this.appended, to: this.arrived }
    const waiting = [...this.#waiting.slice(this.#head), ...this.#returned, inKafka]
    for (const { from, to } of [...waiting, ...undone]) {
      for (let record = from; record < to; record++) {
        this.#times[record] = at - this.#times[record]!
      }
    }
    return this.#times.subarray(0, this.arrived).sort()
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2)
    times.set(this.#times)
    this.#times = times
  }
}
