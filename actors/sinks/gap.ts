/**
 * Closed windows that were cut from Redis before a sink took them: told once of a place, a complaint until they
 * are passed over and for a while after.
 */
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import type { Keys } from '../keys.ts'
import type { Position } from './position.ts'
import { oldestWindow } from './stream.ts'

/** What was lost is a complaint for so long; the count of it stays. */
const TOLD_MS = 60 * 60_000

export interface GapOptions {
  sink: { name: string }
  store: Store
  keys: Keys
  clock: Clock
  log: Log
}

export class Gap {
  readonly #options: GapOptions
  /** Windows behind `#after` that are cut away, and when such a gap was last passed over. */
  #missing = 0
  #after = ''
  #passedAt = -Infinity

  constructor(options: GapOptions) {
    this.#options = options
  }

  /** What is wrong, in one sentence; null for nothing. `lost` are those that were passed over. */
  complaint(lost: number): string | null {
    const { sink, clock } = this.#options
    const told = clock.elapsed() - this.#passedAt < TOLD_MS
    const count = this.#missing + (told ? lost : 0)
    if (count === 0) return null
    return `sink ${sink.name} has lost ${count} windows that were cut away before it took them`
  }

  /** So many behind a place are not there; `next` is the end of the first that is, epoch ms. */
  tell({ end, id }: Position, lost: number, next: number): void {
    const { sink, log } = this.#options
    if (this.#after === id && this.#missing === lost) return
    this.#after = id
    this.#missing = lost
    const from = end === null ? '' : ` that ended after ${new Date(end).toISOString()} and`
    const until = new Date(next).toISOString()
    log.error(
      `sink ${sink.name}: ${lost} closed windows${from} before ${until} were cut from Redis before it took them, and are lost to it`,
    )
  }

  /** What the sink can't take now may be cut away meanwhile. */
  async look(place: Position): Promise<void> {
    const { store, keys } = this.#options
    const { number } = place
    try {
      const oldest = number > 0 ? await oldestWindow(store, keys) : null
      const lost = oldest ? oldest.number - number - 1 : 0
      if (oldest && lost > 0) this.tell(place, lost, oldest.end)
    } catch (error) {
      if (!isOutage(error)) throw error
    }
  }

  /** The window behind it is taken, and so many were passed over with that. */
  pass(lost: number): void {
    if (lost > 0) this.#passedAt = this.#options.clock.elapsed()
    this.#missing = 0
  }
}
