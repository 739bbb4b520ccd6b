/**
 * For how long an executor tries again what an outage stopped: for ever while it runs, and once it drains
 * for half of its grace. What is not through by then is handed back as it is.
 */
import { backoffDelayMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { isOutage } from '../redis.ts'
import type { Stats } from './stats.ts'

export interface PatienceOptions {
  clock: Clock
  log: Log
  stats: Stats
}

export class Patience {
  readonly #options: PatienceOptions
  /** By the monotonic clock. */
  #endsAt = Infinity

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /** We drain from now on. */
  limit(): void {
    this.#endsAt = this.#options.clock.elapsed() + bounds.drainGraceMs / 2
  }

  /** Draining takes too long. */
  get isOver(): boolean {
    return this.#options.clock.elapsed() > this.#endsAt
  }

  /** Runs an action that is safe to repeat until no outage stops it; undefined where this is over first. */
  async throughOutages<T>(action: () => Promise<T>): Promise<T | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await action()
      } catch (error) {
        if (!isOutage(error)) throw error
        if (this.isOver) return undefined
        const { clock, log, stats } = this.#options
        stats.moved()
        log.debug('Redis did not answer', { attempt, error: messageOf(error) })
        const backoff = { baseMs: 20, capMs: bounds.redisRetryCapMs }
        await clock.sleep(backoffDelayMs(backoff, attempt, clock.random()))
      }
    }
  }
}
