/**
 * What a drained pipeline may have left in Redis: parts of entries that are gone.
 */
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { keysLike } from '../actors/scan.ts'
import type { Leftovers } from '../verify/checks.ts'

export async function readLeftovers(store: Store, keys: Keys): Promise<Leftovers> {
  const { redis } = store
  const [finished, progress, crashes, suspects, hands, waitingBytes] = await Promise.all([
    redis.hkeys(keys.finished),
    redis.hkeys(keys.progress),
    redis.hkeys(keys.crashes),
    redis.hkeys(keys.suspects),
    redis.hkeys(keys.hand),
    redis.hget(keys.totals, 'waitingBytes'),
  ])
  return {
    payloads: await lastingPayloads(store, keys),
    finished,
    progress,
    crashes,
    suspects,
    hands: await deadOf(store, keys, hands),
    waitingBytes: Number(waitingBytes ?? 0),
  }
}

/** Payloads that expire by themselves are those of appends that never came. */
export async function payloadKeys(store: Store, keys: Keys): Promise<string[]> {
  const found: string[] = []
  const match = `${keys.base.replace(/[[\]*?\\]/g, '\\$&')}:payload:*`
  for await (const some of keysLike(store.redis, match)) found.push(...some)
  return found
}

async function lastingPayloads(store: Store, keys: Keys): Promise<string[]> {
  const lasting: string[] = []
  for (const key of await payloadKeys(store, keys)) {
    if ((await store.redis.pttl(key)) === -1) lasting.push(key)
  }
  return lasting
}

async function deadOf(store: Store, keys: Keys, ids: string[]): Promise<string[]> {
  const now = Number((await store.redis.time())[0]) * 1_000
  const dead: string[] = []
  for (const id of ids) {
    if (Number((await store.redis.zscore(keys.leases, id)) ?? 0) < now) dead.push(id)
  }
  return dead
}
