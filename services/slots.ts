/**
 * Who holds a slot of a cluster, and the way of a slot from one master to another, by the steps that
 * redis-cli takes: import, migrate, keys over a few at a time, and the word to everybody.
 */
import { ask, type Cluster, type ClusterNode } from './cluster.ts'

/** Keys that one MIGRATE takes along: the nodes answer nobody else meanwhile. */
const KEYS_TOGETHER = 4
const MIGRATE_MS = 5_000

/** The master that holds the slot, as the nodes that answer see it; undefined while nobody does. */
export async function holderOf(
  { nodes }: Pick<Cluster, 'nodes'>,
  slot: number,
): Promise<ClusterNode | undefined> {
  const id = await idOfHolder(nodes, slot)
  return nodes.find((node) => node.id === id)
}

/** The replica of a master that answers. */
export async function replicaOf(
  { nodes }: Pick<Cluster, 'nodes'>,
  master: ClusterNode,
): Promise<ClusterNode | undefined> {
  for (const node of nodes.filter(({ server }) => server.running && server !== master.server)) {
    const info = await ask<string>(node.server.port, (redis) => redis.info('replication'))
    const follows = /^master_port:(\d+)/m.exec(info)?.[1]
    if (Number(follows) === master.server.port) return node
  }
  return undefined
}

export function slotOf({ nodes }: Pick<Cluster, 'nodes'>, key: string): Promise<number> {
  const [{ server } = nodes[0]!] = nodes.filter((node) => node.server.running)
  return ask(server.port, (redis) => redis.call('CLUSTER', 'KEYSLOT', key))
}

/** `midway` runs when some of the keys are over and some are not. */
export async function moveSlot(
  cluster: Pick<Cluster, 'nodes'>,
  slot: number,
  to: ClusterNode,
  midway: () => Promise<void> = async () => {},
): Promise<number> {
  const from = await holderOf(cluster, slot)
  if (!from) throw new Error(`nobody holds slot ${slot}`)
  await tell(to, slot, 'IMPORTING', from.id)
  await tell(from, slot, 'MIGRATING', to.id)
  let moved = 0
  for (let keys = await some(from, slot); keys.length > 0; keys = await some(from, slot)) {
    const target = ['127.0.0.1', to.server.port, '', 0, MIGRATE_MS, 'KEYS'] as const
    await ask(from.server.port, (redis) => redis.call('MIGRATE', ...target, ...keys))
    if (moved === 0) await midway()
    moved += keys.length
  }
  // The new holder first: from then on nobody else can be asked.
  const masters = cluster.nodes.filter(({ server }) => server.running)
  for (const node of [to, from, ...masters.filter((one) => one !== to && one !== from)]) {
    await tell(node, slot, 'NODE', to.id).catch((error: unknown) => {
      // A replica learns it from its master.
      if (!/master/i.test(String(error))) throw error
    })
  }
  return moved
}

const some = ({ server }: ClusterNode, slot: number) =>
  ask<string[]>(server.port, (redis) => redis.call('CLUSTER', 'GETKEYSINSLOT', slot, KEYS_TOGETHER))

const tell = ({ server }: ClusterNode, slot: number, state: string, id: string) =>
  ask(server.port, (redis) => redis.call('CLUSTER', 'SETSLOT', slot, state, id))

async function idOfHolder(nodes: ClusterNode[], slot: number): Promise<string | undefined> {
  for (const { server } of nodes.filter((node) => node.server.running)) {
    const ranges = await ask<[number, number, [string, number, string]][]>(server.port, (redis) =>
      redis.call('CLUSTER', 'SLOTS'),
    ).catch(() => [])
    const found = ranges.find(([first, last]) => first <= slot && slot <= last)
    if (found) return found[2][2]
  }
  return undefined
}
