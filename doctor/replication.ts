/** What is asked of a Redis that others replace when it fails: a cluster's masters, or what Sentinels watch. */
import { type Finding, hint, ok, warning } from './finding.ts'
import type { Info, RedisFacts } from './redis.ts'

/** Nothing of a server by itself. */
export function judgeReplication(facts: RedisFacts): Finding[] {
  if (facts.kind === 'server') return []
  return [judgeReplicas(facts), ...judgeOthers(facts), ...judgeFence(facts)]
}

const replicasOf = (info: Info): number => Number(info.connected_slaves ?? 0)

function judgeReplicas({ address, info }: RedisFacts): Finding {
  const what = 'Redis replicas'
  const count = replicasOf(info)
  if (count > 0) return ok(what, `${count} of ${address}`)
  const found = `Redis at ${address} has no replica: the job stands still while it is away`
  return warning(what, found, 'give each master a replica')
}

/** The job's slot may be with any of them tomorrow. */
function judgeOthers({ others }: RedisFacts): Finding[] {
  const alone = others.filter(({ info }) => replicasOf(info) === 0).map(({ address }) => address)
  if (alone.length === 0) return []
  const found = `masters without a replica: ${alone.join(', ')}`
  return [hint('Redis replicas', found, 'give each master a replica')]
}

/**
 * A master that is cut off takes writes that its successor will not have, for as long as it may. With a
 * single replica the fence would stop the job whenever that is away, so that it is the operator's to choose.
 */
function judgeFence({ address, info, settings }: RedisFacts): Finding[] {
  if (settings?.['min-replicas-to-write'] !== '0' || replicasOf(info) < 2) return []
  const found = `min-replicas-to-write is 0 at ${address}: a master that is cut off goes on for itself`
  const todo = 'set min-replicas-to-write 1 and min-replicas-max-lag 10; see docs/scale-out.md'
  return [hint('Redis replication', found, todo)]
}
