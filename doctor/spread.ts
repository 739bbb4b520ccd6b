/** How a job's shards lie on the masters of a cluster. Pure. */
import { away, type Finding, ok, warning } from './finding.ts'
import type { RedisFacts } from './redis.ts'

/** Nothing of a job with one shard, and of one server. */
export function judgeSpread(masters: RedisFacts['shards']): Finding[] {
  const what = 'shards'
  const all = masters.flatMap(({ shards }) => shards)
  if (all.length < 2 || masters.length < 2) return []
  const places = masters.filter(({ shards }) => shards.length > 0)
  const found = places.map(({ address, shards }) => `${shards.join(', ')} at ${address}`).join('; ')
  const idle = masters.filter(({ shards }) => shards.length === 0).map(({ address }) => address)
  const crowded = places.some(({ shards }) => shards.length > 1)
  if (idle.length === 0 || !crowded) return [ok(what, found)]
  const todo = 'move a slot there (redis-cli --cluster reshard): a shard is as fast as its master'
  return [warning(what, `${found}; none at ${idle.join(', ')}`, todo)]
}

/** The whole job waits for each of its shards. */
export const judgeAway = (shards: RedisFacts['away']): Finding[] =>
  shards.map(({ shard, error }) => {
    const todo = 'start its master, or let a replica take over: the job stands still until then'
    return away('shards', `shard ${shard} does not answer: ${error}`, todo)
  })
