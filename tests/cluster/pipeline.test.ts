/**
 * The real pipeline on a real Redis Cluster of three masters and their replicas. Under load the master
 * of the job's slot is killed, its successor dies while its own replica lags behind, and the slot moves to a
 * node that has just joined; the recomputation finds every record counted once.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { produce } from '../../faults/load.ts'
import { until } from '../../faults/until.ts'
import { ask, type Cluster, type ClusterNode, startCluster } from '../../services/cluster.ts'
import { holderOf, moveSlot, replicaOf, slotOf } from '../../services/slots.ts'
import { isOutage, library } from '../../actors/redis.ts'
import { expectExact } from '../faults/exact.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'

const RATE = 4_000
/** Records that are committed while the replica is cut off. */
const LOST = 4_000
let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.stop())

/** So many more than now, and those have gone through all of it. */
async function commits(pipeline: Pipeline, records = 2_000): Promise<void> {
  const before = await committed(pipeline)
  const more = async () => (await committed(pipeline)) >= before + records
  await until('records to be committed', more, { timeoutMs: 30_000 })
}

/** A client that has just learned of other nodes may have to ask again, as actors do. */
async function committed(pipeline: Pipeline): Promise<number> {
  return (await until('the counters', () => pipeline.snapshot())).totals.committed
}

async function holder(slot: number): Promise<ClusterNode> {
  return until('a holder of the slot', () => holderOf(cluster, slot))
}

/** Kills the master of a slot, and waits for its replica to be one. */
async function failOver(slot: number, master: ClusterNode): Promise<void> {
  await master.server.stop('SIGKILL')
  await until('a new master', async () => {
    const next = await holderOf(cluster, slot)
    return next && next !== master
  })
}

/** The replica gets nothing more, and is none the wiser: a login that nobody has keeps it out. */
async function cutOff(replica: ClusterNode, master: ClusterNode): Promise<void> {
  await ask(replica.server.port, (redis) => redis.config('SET', 'masterauth', 'nobody'))
  await ask(master.server.port, (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'replica'))
}

/** It comes back as a replica of who took over. */
async function comesBack(node: ClusterNode): Promise<void> {
  await node.server.start()
  await until('the old master to follow the new one', async () => {
    const info = await ask<string>(node.server.port, (redis) => redis.info('replication'))
    return info.includes('role:slave') && info.includes('master_link_status:up')
  })
}

test('a master is killed, one dies with what its replica has not got, and the slot moves', async () => {
  const { kafkaBrokers } = await testServices()
  const { redisUrl } = cluster
  const environment = { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl }
  const services = { kafkaBrokers, redisUrl, environment }
  const options = { label: 'cluster', job: 'students.ts', services, topic: { partitions: 4 } }
  await withPipeline(options, async (pipeline) => {
    await pipeline.begin()
    const load = produce(pipeline, RATE)
    await commits(pipeline)
    const slot = await slotOf(cluster, pipeline.keys.base)
    for (const step of [killed, killedBehind, moved]) {
      await step(pipeline, slot)
      await commits(pipeline)
    }
    await load.end()
    await expectExact(pipeline)
    await until('the job to run', async () => (await pipeline.status()).state === 'running')
  })
}, 120_000)

/** Its replica has all, the functions too. */
async function killed(pipeline: Pipeline, slot: number): Promise<void> {
  const master = await holder(slot)
  await failOver(slot, master)
  await commits(pipeline)
  await comesBack(master)
}

/** Its replica has not got thousands of commits: Kafka gives them again. */
async function killedBehind(pipeline: Pipeline, slot: number): Promise<void> {
  const master = await holder(slot)
  const replica = await until('its replica', () => replicaOf(cluster, master))
  const held = await committed(pipeline)
  await cutOff(replica, master)
  await commits(pipeline, LOST)
  await failOver(slot, master)
  expect(await holder(slot)).toBe(replica)
  expect(await committed(pipeline)).toBeLessThan(held + LOST)
  await ask(replica.server.port, (redis) => redis.config('SET', 'masterauth', ''))
}

/** To a node that has just joined, and knows no function. */
async function moved(pipeline: Pipeline, slot: number): Promise<void> {
  const node = await cluster.join()
  let looks = 0
  const keys = await moveSlot(cluster, slot, node, async () => {
    // Half of the job is here, half there: whoever worked on it now would find no ledger.
    expect(isOutage(await rejection(pipeline.snapshot()))).toBe(true)
    looks++
  })
  expect([looks, keys > 4]).toEqual([1, true])
  await commits(pipeline)
  expect(await holder(slot)).toBe(node)
  const list = await ask<unknown>(node.server.port, (redis) => redis.call('FUNCTION', 'LIST'))
  expect(JSON.stringify(list)).toContain(library)
}
