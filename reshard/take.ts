/**
 * What was put together becomes what there is. From the decision on every step is done again until all are
 * done, and one that was done before does nothing.
 */
import { bounds } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Keys } from '../actors/keys.ts'
import { keysLike } from '../actors/scan.ts'
import { allShards, type Change, goingShards } from './change.ts'
import { asPattern } from './stage.ts'

/** What a shard gets anew, or has no more; its panes stay, and get those of the shards that go. */
const replaced = ['ledger', 'clock', 'joined', 'totals', 'judged', 'handled']
const inStreams = ['rejects', 'verdicts', 'losses']
const emptied = ['finished', 'progress', 'crashes', 'suspects', 'partial', 'emitted']

const REMOVE_TOGETHER = 100

/** Answers with how many panes were merged. */
export async function takeAll(change: Change): Promise<number> {
  const { to, from, lease } = change
  for (const shard of allShards(change)) {
    await lease.keep()
    await take(change, shard, shard.shard < to.shards.length)
  }
  let panes = 0
  if (from.shards.length > to.shards.length) {
    for (const shard of to.shards) panes += await absorbAll(change, shard)
  }
  return panes
}

async function take({ store, id }: Change, shard: Keys, stays: boolean): Promise<void> {
  const state = stays ? 'taken' : 'over'
  const names = stays ? [...replaced, ...inStreams, ...emptied] : []
  if ((await store.call('take', shard.base, [id, state, ...names])) === 1) return
  const [held, its] = await store.redis.hmget(shard.change, 'id', 'state')
  if (held === id && its === state) return
  throw new RefusalError(
    `shard ${shard.shard} does not hold what was put together for it: has its Redis come back as it was before?`,
  )
}

async function absorbAll(change: Change, shard: Keys): Promise<number> {
  const { store, id } = change
  const all = await store.redis.hkeys(shard.next(id, 'panes'))
  for (const which of all) await absorb(change, shard, which)
  return all.length
}

async function absorb(change: Change, { base }: Keys, which: string): Promise<void> {
  const { store, id, job, lease } = change
  const start = which.split(':')[1]!
  for (let cursor: unknown = '0'; cursor !== ''; ) {
    await lease.keep()
    const args = [id, job.ops, which, start, String(cursor), bounds.closeGroupsMax]
    cursor = await store.call('absorb', base, args)
    if (cursor === null) throw new Error(`pane ${which} holds states of another shape`)
  }
}

/** Shards that go are empty then, but for what says that they went. */
export async function clearGone(change: Change): Promise<number> {
  const { store, id, lease } = change
  let removed = 0
  for (const shard of goingShards(change)) {
    const { base } = shard
    for await (const keys of keysLike(store.redis, `${asPattern(base)}:*`)) {
      const names = keys
        .filter((key) => key !== shard.change)
        .map((key) => key.slice(base.length + 1))
      for (let i = 0; i < names.length; i += REMOVE_TOGETHER) {
        await lease.keep()
        const some = names.slice(i, i + REMOVE_TOGETHER)
        removed += Number(await store.call('clear', base, [id, ...some]))
      }
    }
  }
  return removed
}
