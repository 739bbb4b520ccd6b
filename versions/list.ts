/** The jobs that a Redis holds, versions of jobs among them; and taking one out of it. */
import { type Keys, keysOf } from '../actors/keys.ts'
import { readLineage } from '../actors/lineage.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'
import { presentKeys } from '../actors/shards.ts'
import { keysLike } from '../actors/scan.ts'

/** Keys that one call removes: none of them takes Redis long, as UNLINK frees beside it. */
const REMOVE_TOGETHER = 100

export interface Held {
  name: string
  shards: number
  snapshot: Snapshot
}

/** By name. */
export async function heldJobs(store: Store): Promise<Held[]> {
  const ledgers = await scan(store, 'millrace:{*/0}:ledger')
  const names = ledgers.flatMap((key) => /^millrace:\{([^/]+)\/0\}:ledger$/.exec(key)?.[1] ?? [])
  return Promise.all(
    names.sort().map(async (name) => {
      const keys = await presentKeys(store, name)
      return { name, shards: keys.shards.length, snapshot: await measure(store, keys) }
    }),
  )
}

/**
 * Everything of a job; how many keys that were. Nothing of it may be at work. Of one that was replaced it
 * stays known by which, so that it is not begun anew by mistake, until that one is dropped too.
 */
export async function dropJob(store: Store, keys: Keys): Promise<number> {
  const { base, version } = keys
  const lineage = await readLineage(store, keys)
  // The first shard's last: by its ledger a drop that was broken off is found again.
  const shards = await keysByShard(store, base)
  let removed = 0
  for (const [, all] of shards.toSorted(([one], [other]) => other - one)) {
    const found = lineage?.stage === 'replaced' ? all.filter((key) => key !== version) : all
    for (let i = 0; i < found.length; i += REMOVE_TOGETHER) {
      await store.redis.unlink(found.slice(i, i + REMOVE_TOGETHER))
    }
    removed += found.length
  }
  // Each is in a slot of its own.
  const before = lineage?.stage === 'live' ? lineage.before : []
  for (const name of before) await store.redis.unlink(keysOf(name).version)
  return removed
}

/** Those of a shard are in one slot. Also of shards that the job does not have any more. */
async function keysByShard(store: Store, base: string): Promise<[shard: number, keys: string[]][]> {
  const own = base.slice(0, base.lastIndexOf('/') + 1)
  const found = new Map<number, string[]>()
  for (const key of await scan(store, `${own.replace(/[[\]?*\\]/g, String.raw`\$&`)}*}:*`)) {
    const shard = /^(\d+)\}:/.exec(key.slice(own.length))?.[1]
    if (shard === undefined) continue
    const keys = found.get(Number(shard)) ?? []
    found.set(Number(shard), keys)
    keys.push(key)
  }
  return [...found]
}

async function scan(store: Store, match: string): Promise<string[]> {
  const found = new Set<string>()
  for await (const keys of keysLike(store.redis, match)) {
    for (const key of keys) found.add(key)
  }
  return [...found]
}
