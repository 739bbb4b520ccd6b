/**
 * Whether the bridge may append now: a job's quotas (quota.ts) hold it, whoever set them and while it runs.
 *
 *   reply of an append: how long to wait, what a second may have → here → next fetch cut, next append late
 *
 * The pace is kept in Redis, by Redis's clock, so that several bridges share one quota (append.lua). What
 * waits is not fetched or lies in hand; Kafka has it.
 */
import type { Clock } from '../clock.ts'
import type { Keys } from '../keys.ts'
import { allowed, quotaFields } from '../quota.ts'
import type { Store } from '../redis.ts'

/** While it is held it looks this often whether it still is: a quota may be raised meanwhile. */
const pollMs = 500

export class Pace {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  #freeAt = 0
  /** Resolves, never rejects, when the append before has come to its end. */
  #turn: Promise<void> = Promise.resolve()
  #recordsMax = Number.POSITIVE_INFINITY

  constructor({ store, keys, clock }: { store: Store; keys: Keys; clock: Clock }) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
  }

  /** What one entry and one append may have: about what a second may, so that they come evenly. */
  get recordsMax(): number {
    return this.#recordsMax
  }

  /** Whether nothing may be appended at this moment. */
  get holds(): boolean {
    return this.#clock.elapsed() < this.#freeAt
  }

  /** What a session begins with. */
  async look(): Promise<void> {
    const { recordsPerSecond } = quotaFields
    const { control, quota } = this.#keys
    const [rate, [held, part]] = await Promise.all([
      this.#store.redis.hget(control, recordsPerSecond),
      this.#store.redis.hmget(quota, 'memoryHeld', 'pace'),
    ])
    const own = part ? String(Math.ceil(Number(part))) : rate
    const most = allowed({ [recordsPerSecond]: own ?? '' }, 'recordsPerSecond')
    this.#recordsMax = most ?? Number.POSITIVE_INFINITY
    this.#freeAt = held === '1' ? this.#clock.elapsed() + pollMs : 0
  }

  /** The end of an append's reply: ms to wait, and records a second; nothing where there is no quota. */
  heed(waitMs: number | undefined, recordsPerSecond: number | undefined): void {
    this.#recordsMax = recordsPerSecond || Number.POSITIVE_INFINITY
    this.#freeAt = waitMs ? this.#clock.elapsed() + waitMs : 0
  }

  /**
   * Appends; where there is a quota when it is free, and one append after the other: all partitions of a
   * fetch at once would be as many seconds of it. False where the signal came first.
   */
  async inTurn(append: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    if (this.#recordsMax === Number.POSITIVE_INFINITY && !this.holds) {
      await append()
      return true
    }
    const before = this.#turn
    const turn = Promise.withResolvers<void>()
    this.#turn = turn.promise
    try {
      await before
      if (!(await this.free(signal))) return false
      await append()
      return true
    } finally {
      turn.resolve()
    }
  }

  /** Waits until it is free; false where the signal came first. */
  async free(signal: AbortSignal): Promise<boolean> {
    while (this.#clock.elapsed() < this.#freeAt) {
      if (signal.aborted) return false
      const leftMs = this.#freeAt - this.#clock.elapsed()
      await this.#clock.sleep(Math.min(leftMs, pollMs), signal)
      if (!signal.aborted) await this.#lookAgain()
    }
    return true
  }

  /** Memory holds until somebody says that it no longer does; a pace that was given up is gone. */
  async #lookAgain(): Promise<void> {
    const fields = await this.#store.redis.hmget(this.#keys.quota, 'memoryHeld', 'due')
    const [held, due] = fields
    if (held === '1') this.#freeAt = this.#clock.elapsed() + pollMs
    else if (due === null) this.#freeAt = 0
  }
}
