/**
 * The leader's part of a job's quotas: writes what was given, and looks what the job has in Redis.
 *
 *   `weigh` every few seconds, where memory has a quota → `quota`: bytes, held or not → append.lua, pace.ts
 *
 * Each shard is read by a bridge of its own, which goes by what stands there: its part of the pace, and held.
 *
 * Held begins above the quota and ends at nine tenths of it, so that the bridge does not go on and off.
 */
import type { Clock } from '../actors/clock.ts'
import type { Keys } from '../actors/keys.ts'
import type { Snapshot } from '../actors/measure.ts'
import {
  allowed,
  type MemoryParts,
  memoryUsed,
  pacesOf,
  quotaFields,
  type QuotaName,
} from '../actors/quota.ts'
import type { Store } from '../actors/redis.ts'

/** What a job begins with; `given` are those of flags, which replace what Redis holds. */
export interface InitialQuotas {
  recordsPerSecond: number
  memoryMib: number
  given: ReadonlySet<QuotaName>
}

const weighEveryMs = 5_000
const panesWeighed = 64
/** The share of the quota at which a bridge that was held goes on. */
const GO_ON = 0.9

export class Quotas {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #initial: InitialQuotas
  #weighedAt = Number.NEGATIVE_INFINITY
  #weighedFor: number | null = null

  constructor(store: Store, keys: Keys, clock: Clock, initial: InitialQuotas) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#initial = initial
  }

  /** Writes what was given, but for fields that were changed meanwhile, and the rest where nothing is there yet. */
  async begin(changed: ReadonlySet<string> = new Set()): Promise<void> {
    const { redis } = this.#store
    for (const name of Object.keys(quotaFields) as QuotaName[]) {
      const [field, value] = [quotaFields[name], this.#initial[name]]
      const replaces = this.#initial.given.has(name) && !changed.has(field)
      if (replaces) await redis.hset(this.#keys.control, field, value)
      else if (value > 0) await redis.hsetnx(this.#keys.control, field, value)
    }
  }

  /** Divides the pace, and weighs the job where that is due; rejects on an outage. */
  async look(snapshot: Snapshot): Promise<void> {
    await this.#divide(snapshot)
    await this.#weigh(snapshot)
  }

  /** One shard goes by the quota itself, and so do all where there is none. */
  async #divide({ control, shards }: Snapshot): Promise<void> {
    const rate = shards.length > 1 ? allowed(control, 'recordsPerSecond') : null
    const paces =
      rate === null
        ? []
        : pacesOf(
            rate,
            shards.map(({ partitions }) => partitions),
          )
    for (const [i, { pace }] of shards.entries()) {
      const wanted = paces[i] ?? ''
      if (pace === wanted) continue
      const { quota } = this.#keys.shards[i]!
      // What is waited for by the pace before is forgotten with it.
      const change = this.#store.redis.multi().hdel(quota, 'due')
      await (wanted === ''
        ? change.hdel(quota, 'pace')
        : change.hset(quota, { pace: wanted })
      ).exec()
    }
  }

  async #weigh({ control, quota }: Snapshot): Promise<void> {
    const mib = allowed(control, 'memoryMib')
    if (mib === null) return this.#clear(quota)
    const now = this.#clock.elapsed()
    // A quota that was changed is heeded at once.
    if (mib === this.#weighedFor && now - this.#weighedAt < weighEveryMs) return
    const parts = await weigh(this.#store, this.#keys)
    const held = isHeld(memoryUsed(parts), mib * 2 ** 20, quota.memoryHeld === '1')
    const memory = [parts.entries, parts.panes, parts.closed, parts.rest].join(' ')
    const memoryHeld = held ? '1' : '0'
    // The first one's first, as the others are cleared by it.
    await this.#store.redis.hset(this.#keys.quota, { memory, memoryHeld })
    for (const { quota: other } of this.#keys.shards.slice(1)) {
      await this.#store.redis.hset(other, { memoryHeld })
    }
    this.#weighedAt = now
    this.#weighedFor = mib
  }

  async #clear(quota: Record<string, string>): Promise<void> {
    this.#weighedFor = null
    if (quota.memory === undefined && quota.memoryHeld === undefined) return
    for (const { quota: each } of this.#keys.shards.toReversed()) {
      await this.#store.redis.hdel(each, 'memory', 'memoryHeld')
    }
  }
}

/** Whether a job with so many bytes is to be held; `held` is whether it is. Pure. */
export const isHeld = (used: number, quota: number, held: boolean): boolean =>
  used > (held ? quota * GO_ON : quota)

/** What a job's keys hold of Redis's memory, in all shards. */
export async function weigh(store: Store, { shards }: Keys): Promise<MemoryParts> {
  const replies = await Promise.all(
    shards.map(({ base }) => store.call('weigh', base, [panesWeighed])),
  )
  const sum = { entries: 0, panes: 0, closed: 0, rest: 0 }
  for (const reply of replies as string[][]) {
    const [entries, panes, closed, rest] = reply.map(Number)
    sum.entries += entries!
    sum.panes += panes!
    sum.closed += closed!
    sum.rest += rest!
  }
  return sum
}
