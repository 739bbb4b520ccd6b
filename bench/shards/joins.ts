/**
 * What joining costs: parts of windows as shards have closed them, joined by the supervisor's own code; its
 * processor time and the first shard's, by group of a window.
 */
import { type Config } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { emptyCells } from '../../actors/windows/aggregates.ts'
import { rowBytes } from '../../actors/windows/groups.ts'
import { encodeState } from '../../actors/windows/sketches.ts'
import type { Cluster } from '../../services/cluster.ts'
import { Joining } from '../../supervisor/joining.ts'
import { spread, threadMicros } from './nodes.ts'

export interface JoinCost {
  shards: number
  groups: number
  /** µs of processor time by a group of a window, which all shards hold. */
  supervisorMicros: number
  homeMicros: number
}

const WINDOWS = 20
/** Groups of one entry, as shards close them (bounds.closeGroupsMax). */
const ENTRY_GROUPS = 250
/** Where entries of parts lie: actors/windows/closed.lua. */
const PART_ORIGIN = 8_640_000_000_000_001

export async function joinCost(
  cluster: Cluster,
  config: Config,
  job: Job,
  { shards, groups }: Pick<JoinCost, 'shards' | 'groups'>,
): Promise<JoinCost> {
  const store = openStore(config, createLog('shards', 'error'))
  await untilReady(store)
  const keys = keysOf(`joined-${shards}-${groups}`, shards)
  await spread(cluster, keys)
  const ends = Array.from({ length: WINDOWS }, (_, i) => (i + 1) * job.windowSlideMs)
  for (const shard of keys.shards) await closeAll(store, shard, job, ends, groups)
  // What has been called once is compiled.
  await (await Joining.open(store, keys, job)).upTo(ends[1]!)
  const [home] = await threadMicros(cluster)
  const before = process.cpuUsage()
  const joining = await Joining.open(store, keys, job)
  if (!(await joining.upTo(ends.at(-1)!))) throw new Error('others join as well')
  const { user, system } = process.cpuUsage(before)
  const [homeAfter] = await threadMicros(cluster)
  await store.close()
  const all = (WINDOWS - 2) * groups
  return {
    shards,
    groups,
    supervisorMicros: (user + system) / all,
    homeMicros: (homeAfter! - home!) / all,
  }
}

/** Each of a shard's windows has all of the groups. */
async function closeAll(
  store: Store,
  { base, clock, closed }: Keys,
  job: Job,
  ends: number[],
  groups: number,
): Promise<void> {
  const state = encodeState(emptyCells(job.slots), [])
  const names = Array.from({ length: groups }, (_, i) => JSON.stringify([`group ${i}`, 'coding']))
  for (const end of ends) {
    for (let first = 0; first < groups; first += ENTRY_GROUPS) {
      const rows = names.slice(first, first + ENTRY_GROUPS).map((name) => rowBytes(name, state))
      const last = first + ENTRY_GROUPS >= groups ? '1' : '0'
      const id = `${end + PART_ORIGIN}-${first / ENTRY_GROUPS}`
      const fields = ['end', end, 'rows', Buffer.concat(rows), 'last', last] as const
      await store.redis.xadd(closed, id, 'start', end - job.windowSizeMs, ...fields)
    }
  }
  await store.redis.hset(clock, 'closedTo', ends.at(-1)!)
  // The first call loads the library.
  await store.call('measure', base, [])
}
