/**
 * The nodes of a cluster that a job's shards are on, one each, and the processor time of their threads.
 */
import type { Keys } from '../../actors/keys.ts'
import { ask, type Cluster } from '../../services/cluster.ts'
import { holderOf, moveSlot, slotOf } from '../../services/slots.ts'

/** Each shard to a master of its own, before there is anything of the job. */
export async function spread(cluster: Cluster, keys: Keys): Promise<void> {
  for (const [i, { base }] of keys.shards.entries()) {
    const slot = await slotOf(cluster, base)
    const to = cluster.nodes[i]!
    if ((await holderOf(cluster, slot)) !== to) await moveSlot(cluster, slot, to)
  }
}

/** Processor time of each node's main thread since its start; µs. */
export function threadMicros({ nodes }: Cluster): Promise<number[]> {
  return Promise.all(
    nodes.map(async ({ server }) => {
      const cpu = await ask<string>(server.port, (redis) => redis.info('cpu'))
      const seconds = (kind: string) =>
        Number(new RegExp(`used_cpu_${kind}_main_thread:([\\d.]+)`).exec(cpu)?.[1])
      return (seconds('user') + seconds('sys')) * 1e6
    }),
  )
}
