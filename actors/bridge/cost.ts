/**
 * What a record costs the executors, learned from their own counters, and from it how many records
 * an entry should hold so that several executors can share a backlog of costly ones. Pure.
 */
import { bounds } from '../config.ts'

const learnEveryMs = 250

export class Cost {
  /** Milliseconds of work per record. */
  #perRecordMs: number
  #last: { busyUs: number; committed: number; at: number } | null = null

  /** Before anything is measured, records with `work` are taken to be costly, others cheap. */
  constructor(hasWork: boolean) {
    this.#perRecordMs = hasWork ? bounds.entryWorkMs : 0.001
  }

  get recordsPerEntry(): number {
    const records = Math.round(bounds.entryWorkMs / this.#perRecordMs)
    return Math.min(Math.max(records, 1), bounds.entryRecordsMax)
  }

  /** Takes the executors' running totals; `at` in ms. */
  learn(busyUs: number, committed: number, at: number): void {
    const last = this.#last
    if (last && at - last.at < learnEveryMs) return
    this.#last = { busyUs, committed, at }
    if (!last || committed <= last.committed) return
    const measured = (busyUs - last.busyUs) / 1_000 / (committed - last.committed)
    this.#perRecordMs = this.#perRecordMs * 0.7 + Math.max(measured, 0.0001) * 0.3
  }
}
