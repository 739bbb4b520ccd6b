/**
 * The entries that an executor holds, from their arrival until their commit is through. Its reading loop
 * waits here for room, its working loop for an arrival.
 *
 *   accept ──► first: folded, slice by slice ──► finish ──► settle
 *
 * One that is not ours any more is dropped, wherever it is.
 */
import { bounds } from '../config.ts'
import type { Entry } from './inbox.ts'
import { RecordCursor } from './records.ts'

export interface Held {
  entry: Entry
  cursor: RecordCursor
}

export class Queue {
  readonly #waiting: Held[] = []
  /** Of all that is held, folded or not. */
  readonly ids = new Set<string>()
  /** Entries that are not ours any more as we hold them; what was folded of them is void. */
  readonly gone = new WeakSet<Entry>()
  readonly arrival = signal()
  readonly space = signal()
  /** Redis may count entries as ours that are not held: that has to be looked at. */
  isInDoubt = false
  /** Records of the entry that came last: what the next one will be like. */
  #recordsPerEntry = 1

  /** What is folded next. */
  get first(): Held | undefined {
    return this.#waiting[0]
  }

  /** Entries that may be read now, so that a little work is ahead and not more; `costMs` per record. */
  room(costMs: number | null): number {
    const bytes = this.#waiting.reduce((sum, { entry }) => sum + entry.bytes, 0)
    if (bytes >= bounds.readAheadBytesMax) return 0
    if (costMs === null) return this.#waiting.length === 0 ? 1 : 0
    const perEntryMs = costMs * this.#recordsPerEntry
    const wanted = Math.floor(bounds.readAheadMs / perEntryMs)
    const target = Math.min(Math.max(wanted, 1), bounds.readAheadEntriesMax)
    return Math.max(target - this.#waiting.length, 0)
  }

  /** Takes those in that are not held already. */
  accept(entries: Entry[]): void {
    for (const entry of entries) {
      if (this.ids.has(entry.id)) continue
      this.ids.add(entry.id)
      this.#recordsPerEntry = Math.max(entry.announced, 1)
      const cursor = new RecordCursor(entry.payload, entry.cursor, entry.to)
      this.#waiting.push({ entry, cursor })
    }
    this.arrival.fire()
  }

  /** An entry was folded to its end. It may have been dropped meanwhile. */
  finish(held: Held): void {
    const place = this.#waiting.indexOf(held)
    if (place >= 0) this.#waiting.splice(place, 1)
    this.space.fire()
  }

  /** The commit of an entry's last slice is through. */
  settle(entry: Entry): void {
    this.ids.delete(entry.id)
  }

  /**
   * Entries that are not ours any more, or are further than we knew: another executor has them, or
   * the reply to a commit of ours was lost. What is still ours comes back by the next comparison.
   */
  drop(lost: readonly Entry[]): void {
    for (const entry of lost) {
      this.gone.add(entry)
      this.ids.delete(entry.id)
    }
    const kept = this.#waiting.filter(({ entry }) => !this.gone.has(entry))
    this.#waiting.splice(0, this.#waiting.length, ...kept)
    this.isInDoubt = true
    this.space.fire()
  }

  /** Wakes whoever waits here, to look at what else has changed. */
  stir(): void {
    this.space.fire()
    this.arrival.fire()
  }
}

/** Wakes one waiter; a firing with nobody waiting is kept for the next. */
function signal() {
  let fired = false
  let wake: (() => void) | null = null
  return {
    fire() {
      fired = true
      wake?.()
    },
    async next() {
      if (!fired) await new Promise<void>((resolve) => (wake = resolve))
      fired = false
      wake = null
    },
  }
}
