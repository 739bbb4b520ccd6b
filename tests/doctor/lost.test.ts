/**
 * Redis is emptied, or turns into one that evicts, under a pipeline of real processes: both are
 * said aloud, and a job that was lost begins anew only when the operator says so.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Addresses, Pipeline } from '../../faults/pipeline.ts'
import { withPipeline } from '../../faults/with-pipeline.ts'
import { until } from '../../faults/until.ts'
import { silent } from '../../cli/progress.ts'
import type { Server } from '../../services/server.ts'
import { startRedis } from '../../services/services.ts'
import { expectExact } from '../faults/exact.ts'
import { student } from '../integration/student.ts'
import { testServices } from '../support/services.ts'

const { kafkaBrokers } = await testServices()
const job = 'faults/jobs/students.ts'
const fromStart = ['--from', 'earliest', '--no-web']

let dir: string
let redis: Server
let services: Addresses

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-lost-'))
  redis = await startRedis({ dir, detached: false }, silent)
  const redisUrl = `redis://127.0.0.1:${redis.port}`
  const environment = { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl }
  services = { kafkaBrokers, redisUrl, environment }
})
afterAll(async () => {
  await redis.stop()
  rmSync(dir, { recursive: true, force: true })
})

test('Redis is emptied: no silent new start, but a fresh one on request, and only once', async () => {
  await withPipeline({ label: 'lost', job, services, args: fromStart }, async (pipeline) => {
    await pipeline.topic.produce(records(200))
    await pipeline.start()
    await pipeline.drained()
    await untilKafkaKnows(pipeline, 200)

    // While it runs: the bridge that has nothing to append notices as well.
    await pipeline.store.redis.flushall()
    await untilLogged(pipeline, /the ledger of job \S+ is gone/)
    await untilLogged(pipeline, /bridge failed: the ledger of job.*--fresh/)
    await pipeline.stop()

    // A restart does not forget it.
    expect(await pipeline.store.redis.hexists(pipeline.keys.ledger, 'topicId')).toBe(0)
    const before = pipeline.logLines(/bridge failed/).length
    await pipeline.start()
    await until('the refusal', () => pipeline.logLines(/bridge failed/).length > before)
    await untilLogged(pipeline, /bridge failed: Redis has lost the ledger.*up to 0:200.*--fresh/)
    await pipeline.stop()

    await pipeline.start([...fromStart, '--fresh'])
    await expectExact(pipeline, 200)
    expect(pipeline.logLines(/beginning anew/)).toHaveLength(1)

    // What is lost after that is another loss, of which the operator has not spoken.
    await untilKafkaKnows(pipeline, 200)
    const failures = pipeline.logLines(/bridge failed/).length
    await pipeline.store.redis.flushall()
    await until('another refusal', () => pipeline.logLines(/bridge failed/).length > failures)
    expect(pipeline.logLines(/beginning anew/)).toHaveLength(1)
  })
}, 90_000)

test('only the ledger is gone: what is left is not counted a second time', async () => {
  await withPipeline({ label: 'evicted', job, services, args: fromStart }, async (pipeline) => {
    await pipeline.topic.produce(records(100))
    await pipeline.start()
    await pipeline.drained()
    await pipeline.stop()
    await pipeline.store.redis.del(pipeline.keys.ledger)
    await pipeline.start([...fromStart, '--fresh'])
    await expectExact(pipeline, 100)
  })
}, 60_000)

test('a first start is none the worse for it', async () => {
  await withPipeline({ label: 'first', job, services, args: fromStart }, async (pipeline) => {
    await pipeline.start([...fromStart, '--fresh'])
    await pipeline.topic.produce(records(10))
    await pipeline.drained()
    expect(pipeline.logLines(/beginning anew|lost/)).toEqual([])
  })
}, 60_000)

test('a Redis that begins to evict degrades the job until it is put right', async () => {
  await withPipeline(
    { label: 'evicting', job, services, args: ['--from', 'earliest'] },
    async (pipeline) => {
      await pipeline.begin()
      const { redis: client } = pipeline.store
      await client.config('SET', 'maxmemory-policy', 'allkeys-lru')
      // As another server at the same address would: by a new connection.
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await untilState(pipeline, 'degraded')
      expect((await pipeline.status()).reason).toMatch(/maxmemory-policy allkeys-lru.*noeviction/)
      await pipeline.topic.produce(records(10))
      await pipeline.drained()
      await client.config('SET', 'maxmemory-policy', 'noeviction')
      await untilState(pipeline, 'running')
    },
  )
}, 60_000)

const records = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => student({ timestamp: 1_750_000_000 + i / 10 }))

/** Kafka has been told how far the job is; without that there is no witness. */
async function untilKafkaKnows(pipeline: Pipeline, offset: number): Promise<void> {
  const admin = pipeline.topic.kafka.admin()
  await admin.connect()
  try {
    await until('Kafka to know the group', async () => {
      const { groupId, topic } = pipeline
      const [answer] = await admin.fetchOffsets({ groupId, topics: [topic.name] })
      return answer?.partitions[0]?.offset === String(offset)
    })
  } finally {
    await admin.disconnect()
  }
}

function untilLogged(pipeline: Pipeline, pattern: RegExp): Promise<boolean> {
  return until(`a line with ${pattern}`, () => pipeline.logLines(pattern).length > 0)
}

function untilState(pipeline: Pipeline, state: string): Promise<boolean> {
  return until(`the state ${state}`, async () => (await pipeline.status()).state === state, {
    timeoutMs: 20_000,
  })
}
