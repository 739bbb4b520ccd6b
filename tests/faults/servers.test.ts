/**
 * Redis stops, is killed, loses its last seconds, and comes back: everything goes on by
 * itself, nothing is lost, and meanwhile the readiness check says what is missing.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import type { Server } from '../../services/server.ts'
import { type Services, startServices } from '../../services/services.ts'
import { type Pipeline, scale, withPipeline } from '../integration/pipeline.ts'
import { until } from '../../faults/until.ts'
import { produce } from '../../faults/load.ts'
import { expectExact } from './exact.ts'
import { type MonitorOptions, watch } from '../../faults/monitor.ts'

/** Longer than every lease and than the time that a Redis command may take. */
const OUTAGE_MS = 6_000 * scale
const RATE = 4_000
const EXECUTORS_MAX = 4

let services: Services
beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services.stop())

/** A pipeline at work, with something that happens to it; everything has counted once after it. */
async function through(
  label: string,
  happens: (pipeline: Pipeline) => Promise<void>,
  monitoring: Partial<MonitorOptions> = {},
): Promise<void> {
  const options = { label, job: 'students.ts', topic: { partitions: 3 }, services }
  await withPipeline(options, async (pipeline) => {
    await pipeline.begin()
    const monitor = watch(pipeline, { executorsMax: EXECUTORS_MAX, ...monitoring })
    const producer = produce(pipeline, RATE)
    await untilMore(pipeline, 'the first records')
    await happens(pipeline)
    await untilMore(pipeline, 'records to be committed again')
    await producer.end()
    await expectExact(pipeline)
    await monitor.end()
    // The bridge tells of its recovery with its next heartbeat.
    await until('the state to be running', async () => {
      const { state, reason } = await pipeline.status()
      if (state === 'running') return true
      throw new Error(`${state}: ${reason}`)
    })
    expect(pipeline.logLines(/unhandled|TypeError|ReferenceError/i)).toEqual([])
  })
}

test(
  'Redis stops for a while and comes back',
  async () => {
    await through('redis-stop', async (pipeline) => {
      await services.redis.stop()
      await until('readiness to name it', async () => (await missing(pipeline)).includes('redis'))
      expect(await missing(pipeline)).toEqual(['redis'])
      expect((await pipeline.fetch('/healthz')).status).toBe(200)
      await systemClock.sleep(OUTAGE_MS)
      await restart(services.redis, pipeline)
    })
  },
  90_000 + OUTAGE_MS,
)

test(
  'Redis is killed and comes back: it goes on within seconds',
  async () => {
    await through('redis-kill', async (pipeline) => {
      for (let times = 0; times < 3 * scale; times++) {
        await services.redis.stop('SIGKILL')
        await restart(services.redis, pipeline)
        await untilMore(pipeline, 'work to go on')
      }
    })
  },
  90_000 * scale,
)

test('Redis comes back with what it held seconds ago: Kafka gives the rest again', async () => {
  const data = join(services.dir, 'redis', 'data')
  const copy = join(services.dir, 'earlier')
  const rollBack = async (pipeline: Pipeline) => {
    // A copy of the files while they are written to is what a crash of the machine leaves.
    cpSync(data, copy, { recursive: true })
    await untilMore(pipeline, 'records that will be forgotten', 10_000)
    const { committed } = (await pipeline.snapshot()).totals
    await services.redis.stop('SIGKILL')
    rmSync(data, { recursive: true })
    cpSync(copy, data, { recursive: true })
    await services.redis.start()
    const held = await until('Redis to answer', () => pipeline.snapshot())
    expect(held.totals.committed).toBeLessThan(committed)
    await restart(services.redis, pipeline)
  }
  await through('redis-earlier', rollBack, { mayGoBack: true })
}, 90_000)

/** Starts a server again, and tells how long the pipeline needed from then on. */
async function restart(server: Server, pipeline: Pipeline): Promise<void> {
  await server.start()
  const startedAt = systemClock.elapsed()
  await until('the pipeline to be ready again', () => pipeline.isReady(), { timeoutMs: 30_000 })
  await untilMore(pipeline, 'the first commit')
  const ms = Math.round(systemClock.elapsed() - startedAt)
  process.stdout.write(`${server.name} came back: committing ${ms} ms later\n`)
}

async function missing(pipeline: Pipeline): Promise<string[]> {
  const answer = (await (await pipeline.fetch('/readyz')).json()) as { missing: string[] }
  return answer.missing
}

async function untilMore(pipeline: Pipeline, what: string, records = 1): Promise<void> {
  const committed = async () => (await pipeline.snapshot()).totals.committed
  const before = await until('the counters', async () => ({ now: await committed() }))
  const more = async () => (await committed()) >= before.now + records
  await until(what, more, { timeoutMs: 45_000 })
}
