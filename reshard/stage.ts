/**
 * Puts together what the new shards are to hold, beside what the old ones hold and without touching that. An
 * attempt that ended in the middle is thrown away, and the next one begins anew.
 */
import type { Keys } from '../actors/keys.ts'
import { keysLike } from '../actors/scan.ts'
import { shardOf } from '../actors/shards.ts'
import { allShards, type Change, goingShards, heirOf } from './change.ts'
import { type Held, type HeldShard, layoutsOf } from './layout.ts'
import { stageStream, streams } from './streams.ts'

/** HSCAN's COUNT: well under a millisecond of Redis's time. */
const SCAN_COUNT = 200
/** Keys that one call removes. */
const REMOVE_TOGETHER = 100

export interface Staged {
  held: Held
  /** Of shards that go; entries of streams; marks of rejects. */
  panes: number
  entries: number
  marks: number
}

/** Nothing may happen in the old shards meanwhile. */
export async function stage(change: Change): Promise<Staged> {
  const { store, id } = change
  await dropStaged(change)
  const held = await readHeld(change)
  await stageHashes(change, held)
  let entries = 0
  for (const name of streams) entries += await stageStream(change, name)
  let marks = 0
  for (const shard of change.from.shards) marks += await stageMarks(change, shard)
  let panes = 0
  for (const shard of goingShards(change)) panes += await stagePanes(change, shard)
  for (const shard of allShards(change)) {
    await change.lease.keep()
    await store.redis.hset(shard.change, { id, state: 'staged' })
  }
  return { held, panes, entries, marks }
}

/** Of all attempts. */
export async function dropStaged(change: Change): Promise<void> {
  const { store, lease } = change
  for (const { base } of allShards(change)) {
    for await (const keys of keysLike(store.redis, `${asPattern(base)}:next:*`)) {
      await lease.keep()
      for (let i = 0; i < keys.length; i += REMOVE_TOGETHER) {
        await store.redis.unlink(keys.slice(i, i + REMOVE_TOGETHER))
      }
    }
  }
}

/** A name as MATCH takes it literally. */
export const asPattern = (text: string): string => text.replace(/[[\]?*\\]/g, String.raw`\$&`)

export async function readHeld({ store, from, lease }: Change): Promise<Held> {
  const shards: HeldShard[] = []
  for (const shard of from.shards) {
    await lease.keep()
    shards.push({
      ledger: await store.redis.hgetall(shard.ledger),
      clock: await store.redis.hgetall(shard.clock),
      totals: await store.redis.hgetall(shard.totals),
      judged: (await store.redis.get(shard.judged)) ?? '',
    })
  }
  return { shards, joined: await store.redis.hgetall(from.clock) }
}

async function stageHashes({ store, to, id, lease }: Change, held: Held): Promise<void> {
  for (const [i, layout] of layoutsOf(held, to.shards.length).entries()) {
    const shard = to.shards[i]!
    const { judged, ...hashes } = layout
    await lease.keep()
    for (const [name, fields] of Object.entries(hashes)) {
      if (Object.keys(fields).length > 0) await store.redis.hset(shard.next(id, name), fields)
    }
    if (judged !== '') await store.redis.set(shard.next(id, 'judged'), judged)
  }
}

/** What became of rejects goes with their partitions. */
async function stageMarks(change: Change, { handled }: Keys): Promise<number> {
  const { store, to, id } = change
  let marks = 0
  for await (const page of fieldsOf(change, handled)) {
    const parts = new Map<Keys, Buffer[]>()
    for (let i = 0; i < page.length; i += 2) {
      const shard = shardOf(to, Number(page[i]!.toString().split(':')[0]))
      parts.set(shard, [...(parts.get(shard) ?? []), page[i]!, page[i + 1]!])
    }
    for (const [shard, fields] of parts) {
      await store.redis.hset(shard.next(id, 'handled'), ...fields)
    }
    marks += page.length / 2
  }
  return marks
}

/** Panes of a shard that goes lie with its heir, each by itself. */
async function stagePanes(change: Change, shard: Keys): Promise<number> {
  const { store, id } = change
  const heir = heirOf(shard.shard, change)
  const versions = Object.entries(await store.redis.hgetall(shard.panes))
  for (const [start, version] of versions) {
    const which = `${shard.shard}:${start}`
    for await (const page of fieldsOf(change, shard.pane(Number(start)))) {
      await store.redis.hset(heir.next(id, `pane:${which}`), ...page)
    }
    await store.redis.hset(heir.next(id, 'panes'), which, version)
  }
  return versions.length
}

/** Page by page; a field may come twice. */
async function* fieldsOf({ store, lease }: Change, key: string): AsyncGenerator<Buffer[], void> {
  let cursor = '0'
  do {
    await lease.keep()
    const [next, page] = await store.redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT)
    if (page.length > 0) yield page
    cursor = next.toString()
  } while (cursor !== '0')
}
