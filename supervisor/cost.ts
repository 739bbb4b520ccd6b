/**
 * What the executors cost, and what a static fleet of `max` would have cost over the same time.
 * The leader counts while it leads and keeps absolute values in Redis, so that writing one again
 * counts nothing twice and the next leader goes on from there.
 */
import type { Keys } from '../actors/keys.ts'
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

/** A gap longer than this (suspended, not leading) is not counted: nobody knows who ran. */
const gapMaxMs = 10_000

/** The account after `ms` more with `executors` running where a static fleet has `max`. Pure. */
export function addCost(
  account: CostAccount,
  ms: number,
  executors: number,
  max: number,
): CostAccount {
  if (ms <= 0 || ms > gapMaxMs) return account
  return {
    since: account.since,
    elapsedMs: account.elapsedMs + ms,
    usedMs: account.usedMs + executors * ms,
    staticMs: account.staticMs + Math.max(max, executors) * ms,
  }
}

/** What was counted before, or a new account. */
export async function loadCost(store: Store, keys: Keys, now: number): Promise<CostAccount> {
  const held = accountOf(await store.redis.hgetall(keys.cost))
  return held ?? { since: now, elapsedMs: 0, usedMs: 0, staticMs: 0 }
}

export async function saveCost(
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
