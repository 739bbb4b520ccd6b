/**
 * What the executors cost, and what a static fleet of `max` would have cost over the same time.
 *
 *   snapshot's executors, each from its start to its end → over the time between two looks → account
 *
 * Guarantees: an executor costs from its start until it is gone, whoever started it, draining included,
 * and not by how many happened to live when somebody looked. The leader counts while it leads and keeps
 * absolute values in Redis, so that writing one again counts nothing twice and the next leader goes on
 * from there. Time in which nobody led, or nobody could measure for over 10 s, counts for neither fleet.
 */
import type { Keys } from '../actors/keys.ts'
import type { Snapshot } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'

/** Answer of GET /api/cost; null where nothing was counted yet. */
export interface CostReport {
  /** Since when it is counted; ISO 8601. */
  since: string | null
  elapsedSeconds: number
  executorSeconds: number
  staticExecutorSeconds: number
  /** 1 − used ÷ static. */
  savedShare: number | null
  pricePerExecutorHour: number | null
  money: { used: number | null; static: number | null; saved: number | null }
}

/** Milliseconds counted; `since` in epoch ms. */
export interface CostAccount {
  since: number
  elapsedMs: number
  usedMs: number
  staticMs: number
}

/** A moment by our monotonic clock, and by the wall clock that actors' accounts are by; ms. */
export interface Moment {
  elapsed: number
  now: number
}

/** A gap longer than this (suspended, not leading, Redis away) is not counted. */
const gapMaxMs = 10_000
/** Between two times that Redis is told; with nothing but time to tell, longer. */
const saveEveryMs = { used: 1_000, idle: 10_000 }

export class CostMeter {
  readonly #store: Store
  readonly #keys: Keys
  readonly #pricePerHour: number
  #account: CostAccount | null = null
  #countedTo = 0
  #savedAt = 0

  constructor(store: Store, keys: Keys, pricePerHour: number) {
    this.#store = store
    this.#keys = keys
    this.#pricePerHour = pricePerHour
  }

  /** Goes on from what was counted before; counts from `from` on. Rejects on an outage. */
  async open(from: Moment): Promise<void> {
    this.#account = await loadCost(this.#store, this.#keys, from.now)
    this.#countedTo = from.elapsed
  }

  /**
   * Counts up to a moment that is not after the snapshot; tells Redis now and then. The last time it does
   * so in any case, and counts what it took to end the executors, however long that was.
   */
  async count(
    to: Moment,
    snapshot: Pick<Snapshot, 'actors'>,
    max: number,
    { last = false } = {},
  ): Promise<void> {
    if (!this.#account) return
    const ms = to.elapsed - this.#countedTo
    // Another may have led and counted meanwhile.
    if (ms > gapMaxMs && !last) return this.open(to)
    this.#countedTo = to.elapsed
    const usedMs = executorMs(snapshot.actors, to.now - ms, to.now)
    this.#account = addCost(this.#account, ms, usedMs, max)
    const everyMs = usedMs > 0 ? saveEveryMs.used : saveEveryMs.idle
    if (!last && to.elapsed - this.#savedAt < everyMs) return
    this.#savedAt = to.elapsed
    await saveCost(this.#store, this.#keys, this.#account, this.#pricePerHour)
  }
}

/** The account after `ms` more, of which executors used `usedMs`; a static fleet has `max`. Pure. */
export function addCost(
  account: CostAccount,
  ms: number,
  usedMs: number,
  max: number,
): CostAccount {
  return {
    since: account.since,
    elapsedMs: account.elapsedMs + ms,
    usedMs: account.usedMs + usedMs,
    staticMs: account.staticMs + max * ms,
  }
}

/**
 * Time that executors lived between two moments, summed: epoch ms. Who is not alive any more ended when
 * it said so, or with its last heartbeat. Other machines' clocks differ, so that a start or an end of
 * theirs may be off by that; the time in between is ours. Pure.
 */
export function executorMs(actors: Snapshot['actors'], from: number, to: number): number {
  return actors.reduce((sum, { kind, alive, startedAt, stoppedAt, at }) => {
    if (kind !== 'executor') return sum
    const end = alive ? to : Math.min(to, stoppedAt ?? at)
    return sum + Math.max(0, end - Math.max(from, startedAt))
  }, 0)
}

/** What was counted before, or a new account. */
async function loadCost(store: Store, keys: Keys, now: number): Promise<CostAccount> {
  const held = accountOf(await store.redis.hgetall(keys.cost))
  return held ?? { since: now, elapsedMs: 0, usedMs: 0, staticMs: 0 }
}

async function saveCost(
  store: Store,
  keys: Keys,
  account: CostAccount,
  pricePerHour: number,
): Promise<void> {
  await store.redis.hset(keys.cost, {
    since: account.since,
    elapsedMs: Math.round(account.elapsedMs),
    usedMs: Math.round(account.usedMs),
    staticMs: Math.round(account.staticMs),
    pricePerHour,
  })
}

export async function readCost(store: Store, keys: Keys): Promise<CostReport> {
  const held = await store.redis.hgetall(keys.cost)
  return costReport(
    accountOf(held),
    held.pricePerHour === undefined ? null : Number(held.pricePerHour),
  )
}

/** The account in hours and money. Pure. */
export function costReport(account: CostAccount | null, pricePerHour: number | null): CostReport {
  const used = (account?.usedMs ?? 0) / 1_000
  const fixed = (account?.staticMs ?? 0) / 1_000
  const money = (seconds: number) =>
    pricePerHour === null ? null : round((seconds / 3_600) * pricePerHour, 6)
  return {
    since: account ? new Date(account.since).toISOString() : null,
    elapsedSeconds: round((account?.elapsedMs ?? 0) / 1_000, 3),
    executorSeconds: round(used, 3),
    staticExecutorSeconds: round(fixed, 3),
    savedShare: fixed > 0 ? round(1 - used / fixed, 4) : null,
    pricePerExecutorHour: pricePerHour,
    money: { used: money(used), static: money(fixed), saved: money(fixed - used) },
  }
}

function accountOf(held: Record<string, string>): CostAccount | null {
  if (held.since === undefined) return null
  const value = (name: string) => Number(held[name] ?? 0)
  return {
    since: value('since'),
    elapsedMs: value('elapsedMs'),
    usedMs: value('usedMs'),
    staticMs: value('staticMs'),
  }
}

const round = (value: number, decimals: number) =>
  Math.round(value * 10 ** decimals) / 10 ** decimals
