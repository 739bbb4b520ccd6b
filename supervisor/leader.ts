/**
 * Who leads: a lease in Redis, renewed at a third of its time. One supervisor leads; the others
 * stand by, ask more often than that, and take over as soon as the lease ends.
 *
 *   unknown ──► leading ◄──► standby
 *
 * An outage is *unknown*, not a loss: while nobody can ask, nobody else leads either, and the
 * children go on. Only when Redis names another are they drained.
 */
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import { isOutage, type Store } from '../actors/redis.ts'

export const roles = { unknown: 'unknown', leading: 'leading', standby: 'standby' } as const
export type Role = (typeof roles)[keyof typeof roles]

export class Leadership {
  readonly #store: Store
  readonly #keys: Keys
  readonly #id: string
  readonly #clock: Clock
  readonly #leaseMs: number
  #role: Role = roles.unknown
  #holder = ''
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(
    store: Store,
    keys: Keys,
    id: string,
    clock: Clock,
    leaseMs: number = bounds.leaderLeaseMs,
  ) {
    this.#store = store
    this.#keys = keys
    this.#id = id
    this.#clock = clock
    this.#leaseMs = leaseMs
  }

  /** Id of whoever led when last asked. */
  get holder(): string {
    return this.#holder
  }

  /** The role now; asks Redis when the last answer is old: a part of the lease, by the role. */
  async look(): Promise<Role> {
    const now = this.#clock.elapsed()
    // A little less than a third: an idle supervisor looks once a second, also a moment early.
    const part = this.#role === roles.standby ? 12 : 3.1
    if (now - this.#askedAt < this.#leaseMs / part) return this.#role
    try {
      const args = ['leader', this.#id, this.#leaseMs]
      this.#holder = (await this.#store.call('lead', this.#keys.base, args)) as string
      this.#role = this.#holder === this.#id ? roles.leading : roles.standby
      this.#askedAt = now
    } catch (error) {
      if (!isOutage(error)) throw error
      this.#role = roles.unknown
    }
    return this.#role
  }

  /** A snapshot names the leader for nothing: another one there means that we were too late. */
  heed(leader: string): Role {
    if (this.#role === roles.leading && leader !== this.#id) {
      this.#role = roles.unknown
      this.#askedAt = Number.NEGATIVE_INFINITY
    }
    return this.#role
  }

  /** Gives the lease back, so that another need not wait for its end. */
  async resign(): Promise<void> {
    await this.#store.call('resign', this.#keys.base, ['leader', this.#id])
    this.#role = roles.unknown
  }
}
