/**
 * Who may write to a sink: one process at a time, by a lease in the job's Redis. It keeps two from doing
 * the same work. It is no proof: a process that was stopped between its look at the lease and its write
 * writes nevertheless. What is exactly once is so by the sink's own transaction, or by names.
 */
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import type { SinkAccount } from './accounts.ts'

export class SinkLease {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #sink: string
  readonly #who: string
  /** Until when it is ours for certain, by the monotonic clock. */
  #until = -Infinity

  constructor(options: { store: Store; keys: Keys; clock: Clock; sink: string; who: string }) {
    this.#store = options.store
    this.#keys = options.keys
    this.#clock = options.clock
    this.#sink = options.sink
    this.#who = options.who
  }

  get held(): boolean {
    return this.#clock.elapsed() < this.#until
  }

  async take(): Promise<boolean> {
    return this.#renewed(async () => {
      const args = [`sink:${this.#sink}`, this.#who, bounds.sinkLeaseMs]
      return (await this.#store.call('lead', this.#keys.base, args)) === this.#who
    })
  }

  /** Renews it with an account, and moves the position; false where it is somebody else's. */
  async tell(account: SinkAccount, position = ''): Promise<boolean> {
    return this.#renewed(async () => {
      const args = [this.#sink, this.#who, bounds.sinkLeaseMs, JSON.stringify(account), position]
      return (await this.#store.call('took', this.#keys.base, args)) === 1
    })
  }

  async giveBack(): Promise<void> {
    this.#until = -Infinity
    await this.#store.call('resign', this.#keys.base, [`sink:${this.#sink}`, this.#who])
  }

  async #renewed(ask: () => Promise<boolean>): Promise<boolean> {
    // From before the question: it may have been answered long before the answer came.
    const asked = this.#clock.elapsed()
    const ours = await ask()
    this.#until = ours ? asked + bounds.sinkLeaseMs - marginMs : -Infinity
    return ours
  }
}

/** So much earlier than Redis do we take it for lost. */
const marginMs = 500
