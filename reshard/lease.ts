/**
 * The leader's lease, for as long as a change of shards takes: no supervisor leads meanwhile. It is renewed
 * by whoever is at work, between two steps, each of which is far shorter than it.
 */
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'

const RETRY_MS = 200

export class Lease {
  readonly id: string
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  #keptAt = -Infinity

  constructor(store: Store, keys: Keys, clock: Clock) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.id = attemptOf('reshard', clock)
  }

  /**
   * Takes it; from one that was killed it comes when its lease has ended.
   * @throws RefusalError where somebody has it
   */
  async take(withinMs: number): Promise<void> {
    const deadline = this.#clock.elapsed() + withinMs
    for (;;) {
      const holder = await this.#lead()
      if (holder === this.id) return
      if (this.#clock.elapsed() >= deadline) throw new RefusalError(led(holder))
      await this.#clock.sleep(RETRY_MS)
    }
  }

  /** @throws RefusalError where another one has it by now */
  async keep(): Promise<void> {
    if (this.#clock.elapsed() - this.#keptAt < bounds.leaderLeaseMs / 3) return
    const holder = await this.#lead()
    if (holder !== this.id) throw new RefusalError(led(holder))
  }

  /** Waits, and keeps it meanwhile. */
  async wait(ms: number): Promise<void> {
    const until = this.#clock.elapsed() + ms
    for (let left = ms; left > 0; left = until - this.#clock.elapsed()) {
      await this.#clock.sleep(Math.min(left, bounds.leaderLeaseMs / 6))
      await this.keep()
    }
  }

  async giveBack(): Promise<void> {
    await this.#store.call('resign', this.#keys.base, ['leader', this.id])
  }

  async #lead(): Promise<string> {
    const at = this.#clock.elapsed()
    const args = ['leader', this.id, bounds.leaderLeaseMs]
    const holder = (await this.#store.call('lead', this.#keys.base, args)) as string
    if (holder === this.id) this.#keptAt = at
    return holder
  }
}

const led = (holder: string): string =>
  `${holder} leads the job; end it first (of one that was killed the lease ends within ${bounds.leaderLeaseMs / 1_000} s)`

/** A name that nobody else has. */
export const attemptOf = (kind: string, clock: Clock): string =>
  `${kind}-${clock.now().toString(36)}${Math.floor(clock.random() * 36 ** 6).toString(36)}`
