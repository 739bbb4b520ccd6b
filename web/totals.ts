/**
 * GET /api/windows/totals, and the page's strip of recent windows: each window as one row over all of
 * its groups. Closed windows that can't change any more are read once and kept.
 *
 *   open panes → merged, where they changed ┐
 *   stream `closed` → what is newer        ─┴→ newest first
 */
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { closedTotals, readOpenTotals, type WindowTotal } from '../actors/windows/read.ts'
import { readSettledTo } from '../actors/windows/open.ts'
import type { PaneCache } from '../actors/windows/open.ts'
import { TOTALS_MOST } from './queries.ts'
import type { WindowTotalReport } from './window-schemas.ts'

/** Groups that one look may read: the first look at many groups comes to its end a part at a time. */
const groupsMost = 50_000

export class RecentTotals {
  readonly #store: Store
  readonly #keys: Keys
  readonly #job: Job
  readonly #cache: PaneCache
  /** Newest first. */
  #closed: WindowTotal[] = []
  /** The oldest window that the stream holds, or that is wanted, has been read. */
  #complete = false
  /** Windows that end by then were not to change when they were read. */
  #settledTo = -Infinity
  #looking: Promise<WindowTotal[]> | null = null

  constructor(store: Store, keys: Keys, job: Job, cache: PaneCache) {
    this.#store = store
    this.#keys = keys
    this.#job = job
    this.#cache = cache
  }

  /** Newest first; who asks while another does shares its answer. */
  look(): Promise<WindowTotal[]> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #read(): Promise<WindowTotal[]> {
    // Open ones first: a window that closes in between is then in both lists, never in neither.
    const open = await readOpenTotals(this.#store, this.#keys, this.#job, this.#cache)
    await this.#readClosed()
    const closedStarts = new Set(this.#closed.map(({ start }) => start))
    const live = open.filter(({ start }) => !closedStarts.has(start))
    return [...live, ...this.#closed].slice(0, TOTALS_MOST)
  }

  async #readClosed(): Promise<void> {
    const kept = this.#closed.filter(({ end }) => end <= this.#settledTo)
    this.#settledTo = await readSettledTo(this.#store, this.#keys, this.#job)
    const newest = kept[0]
    const newer = await this.#take(newest ? { from: newest.start } : {}, newest?.start)
    // What was the newest is there no more: Redis, or the job, began anew.
    if (newest && newer.at(-1)?.start !== newest.start) {
      this.#closed = []
      this.#complete = false
      return this.#readClosed()
    }
    this.#closed = [...newer, ...kept.slice(1)].slice(0, TOTALS_MOST)
    const oldest = this.#closed.at(-1)
    if (this.#complete || !oldest) return
    const older = newest ? await this.#take({ to: oldest.start }) : []
    this.#closed = [...this.#closed, ...older].slice(0, TOTALS_MOST)
    this.#complete = (newest !== undefined && older.length === 0) || this.#full
  }

  get #full(): boolean {
    return this.#closed.length >= TOTALS_MOST
  }

  /** Newest first, down to the window `last` where one is named. */
  async #take(query: { from?: number; to?: number }, last?: number): Promise<WindowTotal[]> {
    const taken: WindowTotal[] = []
    let groups = 0
    for await (const total of closedTotals(this.#store, this.#keys, this.#job, query)) {
      taken.push(total)
      groups += total.groups
      const enough = last === undefined ? groups >= groupsMost : total.start <= last
      if (enough || taken.length >= TOTALS_MOST) break
    }
    return taken
  }
}

export function totalReport({ start, end, ...total }: WindowTotal): WindowTotalReport {
  return { start: new Date(start).toISOString(), end: new Date(end).toISOString(), ...total }
}
