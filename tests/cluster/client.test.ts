/**
 * A connection to a real Redis Cluster: where commands, large values, blocking reads and functions go
 * when the slot of a job is with another node than before, or on its way there.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import { readConfig } from '../../actors/config.ts'
import { GROUP, type Keys, keysOf } from '../../actors/keys.ts'
import { measure } from '../../actors/measure.ts'
import { isOutage, library, openStore, type Store, untilReady } from '../../actors/redis.ts'
import { redisStream } from '../../actors/sinks/redis.ts'
import { forbids } from '../../doctor/finding.ts'
import { judgeRedis } from '../../doctor/redis.ts'
import { readRedis } from '../../doctor/redis-facts.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { ask, type Cluster, type ClusterNode, startCluster } from '../../services/cluster.ts'
import { holderOf, moveSlot, slotOf } from '../../services/slots.ts'
import { dropJob, heldJobs } from '../../versions/list.ts'
import { silentLog } from '../support/redis.ts'
import { rejection } from '../support/rejection.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster({ replicas: false })
})
afterAll(() => cluster.stop())

let store: Store
let keys: Keys
let slot: number
beforeEach(async () => {
  store = open()
  await untilReady(store)
  keys = keysOf(uniqueName('client'))
  slot = await slotOf(cluster, keys.base)
  await store.call('open', keys.base, ['topic-id', 'shape', 0, 0, 0])
  for (let i = 0; i < 8; i++) await store.redis.set(`${keys.base}:filler:${i}`, i)
})
afterEach(() => store.close())

const open = (options = {}) =>
  openStore(readConfig({ REDIS_URL: cluster.redisUrl }), silentLog, options)

/** A master that has not got the slot. */
async function another(): Promise<ClusterNode> {
  const holder = await holderOf(cluster, slot)
  return cluster.nodes.find((node) => node !== holder)!
}

const value = Buffer.alloc(300_000, 'payload ')
const append = (from: number) =>
  store.call('append', keys.base, [0, from, from + 1, from + 1, 1, from, from + 1, 1, ''])

/** As the bridge does: sent together, so that the function finds what was set before it. */
async function appendLarge(from: number): Promise<[done: number, waiting: number]> {
  const aside = store.setNew(keys.payload(0, from, from + 1), value, 60_000)
  const [, reply] = await Promise.all([aside, append(from)])
  const [done, waiting] = reply as number[]
  return [done!, waiting!]
}

test('a large value goes where its slot is, and the call behind it finds it', async () => {
  await appendLarge(0)
  await moveSlot(cluster, slot, await another())
  // Sent to the node that had the slot before, which says where it is now.
  expect(await appendLarge(1)).toEqual([1, 2])
  const held = await store.redis.getBuffer(keys.payload(0, 1, 2))
  expect(held!.equals(value)).toBe(true)
})

test('while a slot is on its way a call waits, and never sees half of a job', async () => {
  await appendLarge(0)
  const refusals: Error[] = []
  await moveSlot(cluster, slot, await another(), async () => {
    refusals.push(await rejection(measure(store, keys)))
    refusals.push(await rejection(store.call('open', keys.base, ['other', 'other', 0, 9, 9])))
    // One key alone is where it is, be it here or there.
    expect(await store.redis.hget(keys.ledger, 'topicId')).toBe('topic-id')
    expect(await store.redis.strlen(keys.payload(0, 0, 1))).toBe(value.length)
    refusals.push(await rejection(appendLarge(1)))
  })
  expect(refusals.map(isOutage)).toEqual([true, true, true])
  expect(await store.redis.hget(keys.ledger, '0:next')).toBe('1')
  expect(await appendLarge(1)).toEqual([1, 2])
})

test('a node without our functions gets them by the call that needs them', async () => {
  const { server } = (await holderOf(cluster, slot))!
  await ask(server.port, (redis) => redis.call('FUNCTION', 'FLUSH'))
  expect((await measure(store, keys)).partitions).toHaveLength(1)
  for (const node of cluster.nodes) {
    const list = await ask<unknown>(node.server.port, (redis) => redis.call('FUNCTION', 'LIST'))
    expect(JSON.stringify(list)).toContain(library)
  }
})

test('a read that waits is told that its slot has moved, and the next one goes there', async () => {
  const reader = open({ blockMs: 5_000 })
  try {
    await untilReady(reader)
    const read = () => {
      const to = ['GROUP', GROUP, 'me', 'COUNT', 1, 'BLOCK', 5_000, 'STREAMS', keys.entries, '>']
      return reader.redis.call('XREADGROUP', ...to)
    }
    const waiting = rejection(read())
    const blocked = async () => {
      const { server } = (await holderOf(cluster, slot))!
      return /blocked_clients:1/.test(
        await ask<string>(server.port, (redis) => redis.info('clients')),
      )
    }
    await until('the read to wait', blocked)
    await moveSlot(cluster, slot, await another())
    expect(isOutage(await waiting)).toBe(true)
    const next = read()
    expect(await appendLarge(0)).toEqual([1, 1])
    expect(await next).toMatchObject([[keys.entries, [[expect.any(String), expect.anything()]]]])
  } finally {
    await reader.close()
  }
})

test('the start-up check looks at each master', async () => {
  const config = readConfig({ REDIS_URL: cluster.redisUrl })
  const judged = async () => judgeRedis(await readRedis(store, keys, config, 4))
  expect((await judged()).filter(forbids)).toEqual([])
  const { server } = await another()
  const policy = (name: string) =>
    ask(server.port, (redis) => redis.config('SET', 'maxmemory-policy', name))
  await policy('allkeys-lru')
  try {
    const refusals = (await judged()).filter(forbids).map(({ found }) => found)
    expect(refusals).toEqual([expect.stringContaining(`127.0.0.1:${server.port}`)])
  } finally {
    await policy('noeviction')
  }
})

test('jobs are found on whichever master they are, and dropped there', async () => {
  const others = Array.from({ length: 6 }, () => keysOf(uniqueName('client')))
  const names = others.map(({ base }) => /\{(.+)\/0\}/.exec(base)![1]!)
  for (const { base } of others) await store.call('open', base, ['topic-id', 'shape', 0, 0, 0])
  const found = (await heldJobs(store)).map(({ name }) => name)
  expect(found).toEqual(expect.arrayContaining(names))
  for (const one of others) expect(await dropJob(store, one)).toBeGreaterThan(0)
  const left = (await heldJobs(store)).map(({ name }) => name)
  expect(left.filter((name) => names.includes(name))).toEqual([])
})

test('a sink may write to a cluster, stream and position in one slot', async () => {
  const key = uniqueName('out')
  const sink = redisStream({ urlFrom: 'TEST_REDIS', key })
  const environment = { TEST_REDIS: cluster.redisUrl }
  const opened = await sink.open({
    job: null!,
    environment,
    store,
    clock: null!,
    log: null!,
    kept: null,
  })
  try {
    const window = { start: 0, end: 10, number: 1, position: '1-0/1/10', rows: [] }
    const batch = { expected: null, position: window.position, windows: [window] }
    await opened.write(batch, new AbortController().signal)
    expect(await opened.position?.()).toBe(window.position)
    expect(await store.redis.get(`{${key}}:position`)).toBe(window.position)
  } finally {
    await opened.close()
  }
})
