/**
 * A Redis Cluster of local processes: some masters, a replica for each, on free ports. It is put
 * together by the same commands that redis-cli uses, without waiting longer than the nodes need.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { freePort } from './ports.ts'
import { silent } from '../cli/progress.ts'
import { createRedis, findRedis } from './redis.ts'
import type { Server } from './server.ts'
import { stopWithUs } from './together.ts'

export interface ClusterOptions {
  masters?: number
  replicas?: boolean
  /** Beyond or instead of those of createRedis and those below, by their names in redis.conf. */
  settings?: Record<string, string>
}

export interface ClusterNode {
  id: string
  server: Server
}

export interface Cluster {
  /** All nodes as one REDIS_URL. */
  redisUrl: string
  nodes: ClusterNode[]
  /** Starts one more node and introduces it; it holds no slots yet. */
  join(): Promise<ClusterNode>
  /** Stops all; harmless when called again. */
  stop(): Promise<void>
}

export const SLOTS = 16_384

/** How long a node may be silent until the others begin a failover, in ms. */
const NODE_TIMEOUT_MS = 1_000
const FORMED_TIMEOUT_MS = 20_000
const ASK_EVERY_MS = 25

/** Resolves when every node says that the cluster is complete. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { masters = 3, replicas = true } = options
  const dir = mkdtempSync(join(tmpdir(), 'millrace-cluster-'))
  const servers: Server[] = []
  const stop = stopWithUs(servers, () => rmSync(dir, { recursive: true, force: true }))
  const startOne = async () => {
    const server = await createNode(join(dir, String(servers.length)), options.settings)
    servers.push(server)
    await server.start()
    return { id: await ask<string>(server.port, (redis) => redis.call('CLUSTER', 'MYID')), server }
  }
  try {
    const count = masters * (replicas ? 2 : 1)
    const nodes: ClusterNode[] = []
    for (let i = 0; i < count; i++) nodes.push(await startOne())
    await formed(nodes, masters)
    return {
      redisUrl: nodes.map(({ server }) => `redis://127.0.0.1:${server.port}`).join(),
      nodes,
      async join() {
        const node = await startOne()
        // One may be down, as after a failover.
        const running = nodes.filter(({ server }) => server.running)
        await introduce(node, running[0]!)
        nodes.push(node)
        await known([...running, node])
        await untilAll('the new node to be one of them', [...running, node])
        return node
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** One command or a few to a server by itself. */
export async function ask<T>(port: number, work: (redis: Redis) => Promise<unknown>): Promise<T> {
  const redis = new Redis({ port, protocol: 2, retryStrategy: () => null })
  redis.on('error', () => undefined)
  try {
    return (await work(redis)) as T
  } finally {
    redis.disconnect()
  }
}

async function createNode(dir: string, settings: Record<string, string> = {}): Promise<Server> {
  mkdirSync(dir, { recursive: true })
  return createRedis({
    program: await findRedis(silent),
    dir,
    port: await freePort(),
    detached: false,
    settings: {
      'cluster-enabled': 'yes',
      'cluster-port': String(await freePort()),
      'cluster-node-timeout': String(NODE_TIMEOUT_MS),
      // Without a delay before its data is asked for: the first replica is there within a second.
      'repl-diskless-sync-delay': '0',
      ...settings,
    },
  })
}

/** Slots in equal shares to the first nodes; each of the others follows one of them. */
async function formed(nodes: ClusterNode[], masters: number): Promise<void> {
  const first = nodes[0]!
  await Promise.all(
    nodes.map(({ server }, i) =>
      ask(server.port, async (redis) => {
        // Epochs of their own, so that nobody has to settle who is right.
        await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
        if (i >= masters) return
        const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / masters))
        await redis.call('CLUSTER', 'ADDSLOTSRANGE', from!, to! - 1)
      }),
    ),
  )
  for (const node of nodes.slice(1)) await introduce(node, first)
  await known(nodes)
  await Promise.all(
    nodes
      .slice(masters)
      .map(({ server }, i) =>
        ask(server.port, (redis) => redis.call('CLUSTER', 'REPLICATE', nodes[i]!.id)),
      ),
  )
  await untilAll('the cluster to be complete', nodes, nodes.length - masters)
}

async function introduce(node: ClusterNode, to: ClusterNode): Promise<void> {
  const bus = await ask<string[]>(to.server.port, (redis) => redis.config('GET', 'cluster-port'))
  await ask(node.server.port, (redis) =>
    redis.call('CLUSTER', 'MEET', '127.0.0.1', to.server.port, bus[1]!),
  )
}

/** Until each knows each. */
async function known(nodes: ClusterNode[]): Promise<void> {
  await waitFor('the nodes to know each other', async () => {
    const lists = await Promise.all(
      nodes.map(({ server }) =>
        ask<string>(server.port, (redis) => redis.call('CLUSTER', 'NODES')),
      ),
    )
    return lists.every((list) => nodes.every(({ id }) => list.includes(id)))
  })
}

async function untilAll(what: string, nodes: ClusterNode[], replicas = 0): Promise<void> {
  await waitFor(what, async () => {
    const states = await Promise.all(
      nodes.map(({ server }) =>
        ask<string>(server.port, async (redis) => {
          const info = await redis.call('CLUSTER', 'INFO')
          return `${String(info)}${await redis.info('replication')}`
        }),
      ),
    )
    const linked = states.filter((text) => text.includes('master_link_status:up')).length
    return linked >= replicas && states.every((text) => text.includes('cluster_state:ok'))
  })
}

async function waitFor(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.elapsed() + FORMED_TIMEOUT_MS
  while (!(await condition())) {
    if (systemClock.elapsed() > deadline) throw new RefusalError(`waited in vain for ${what}`)
    await systemClock.sleep(ASK_EVERY_MS)
  }
}
