/**
 * A job of three shards, each on a master of its own of a real Redis Cluster. Under load the master of one is
 * killed, then that of the first, where windows are joined; every window is what the records give by other
 * arithmetic.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import type { Keys } from '../../actors/keys.ts'
import { student } from '../../faults/student.ts'
import type { TestRecord } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { type Cluster, type ClusterNode, startCluster } from '../../services/cluster.ts'
import { holderOf, moveSlot, slotOf } from '../../services/slots.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { testServices } from '../support/services.ts'

const PARTITIONS = 6
const COURSES = ['Linear Algebra', 'Operating Systems', 'Web Engineering']
/** Of one of the job's windows, and by how much the next begins later; ms. */
const [SIZE, SLIDE] = [10_000, 5_000]
/** Event time goes faster than the clock, so that windows close meanwhile. */
const BATCH = { records: 600, spanMs: 2_000, everyMs: 150 }

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.stop())

/** Window's start, course → its records and lines of code. */
class Oracle {
  readonly rows = new Map<string, { events: number; total_loc: number }>()
  readonly #began = systemClock.now() - 3_600_000
  #sent = 0

  next(): TestRecord[] {
    return Array.from({ length: BATCH.records }, () => {
      const i = this.#sent++
      const time = this.#began + Math.floor((i * BATCH.spanMs) / BATCH.records)
      const course = COURSES[i % COURSES.length]!
      this.#count(time, course, i % 100)
      const fields = { timestamp: time / 1_000, course, lines_of_code: i % 100 }
      return { value: student(fields), partition: (i >> 2) % PARTITIONS }
    })
  }

  #count(time: number, course: string, lines: number): void {
    const newest = Math.floor(time / SLIDE) * SLIDE
    for (let start = newest; start > time - SIZE; start -= SLIDE) {
      const place = `${start} ${course}`
      const { events, total_loc } = this.rows.get(place) ?? { events: 0, total_loc: 0 }
      this.rows.set(place, { events: events + 1, total_loc: total_loc + lines })
    }
  }
}

/** Batches until it is told to end; resolves when Kafka has all. */
function load(pipeline: Pipeline, oracle: Oracle): { end(): Promise<void> } {
  const ended = new AbortController()
  const flowing = (async () => {
    while (!ended.signal.aborted) {
      await pipeline.topic.produce(oracle.next())
      await systemClock.sleep(BATCH.everyMs, ended.signal)
    }
  })()
  flowing.catch(() => {})
  return {
    end: () => {
      ended.abort()
      return flowing
    },
  }
}

/** A window is joined that was not when this was asked, though what closed it has to come from every shard. */
async function joins(pipeline: Pipeline): Promise<void> {
  const joinedTo = async () => (await until('a look', () => pipeline.snapshot())).closedTo ?? 0
  const before = await joinedTo()
  const goesOn = async () => (await joinedTo()) >= before + 4 * SLIDE
  await until('windows to be joined', goesOn, { timeoutMs: 30_000 })
}

async function masterOf({ base }: Keys): Promise<ClusterNode> {
  const slot = await slotOf(cluster, base)
  return until('a holder of the slot', () => holderOf(cluster, slot))
}

/** Until another one is the master of the shard. */
async function killMaster(shard: Keys): Promise<ClusterNode> {
  const master = await masterOf(shard)
  await master.server.stop('SIGKILL')
  await until('a new master', async () => (await masterOf(shard)) !== master)
  return master
}

/** Each shard on a master of its own, before there is anything of the job. */
async function spread({ keys }: Pipeline): Promise<void> {
  for (const [i, { base }] of keys.shards.entries()) {
    const slot = await slotOf(cluster, base)
    const to = cluster.nodes[i]!
    if ((await holderOf(cluster, slot)) !== to) await moveSlot(cluster, slot, to)
  }
}

test('masters of two of three shards are killed, and every window is whole', async () => {
  const { kafkaBrokers } = await testServices()
  const { redisUrl } = cluster
  const environment = { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl }
  const services = { kafkaBrokers, redisUrl, environment }
  const topic = { partitions: PARTITIONS }
  const options = { label: 'cluster-shards', job: 'students.ts', services, topic, shards: 3 }
  await withPipeline(options, async (pipeline) => {
    await spread(pipeline)
    const [home, other] = pipeline.keys.shards as [Keys, Keys]
    await pipeline.begin()
    const oracle = new Oracle()
    const flowing = load(pipeline, oracle)
    await joins(pipeline)
    for (const shard of [other, home]) {
      await killMaster(shard)
      await joins(pipeline)
    }
    await flowing.end()
    const { totals } = await pipeline.drained()
    const rows = await pipeline.windows()
    const told = rows.map(({ start, key, values: { events, total_loc } }) => [
      `${Date.parse(start)} ${String(key.course)}`,
      { events: Number(events), total_loc: Number(total_loc) },
    ])
    expect(totals.late + totals.rejected + totals.waiting).toBe(0)
    expect(told.length).toBe(oracle.rows.size)
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(oracle.rows))
    const masters = await Promise.all(pipeline.keys.shards.map(masterOf))
    expect(new Set(masters).size).toBe(3)
  })
}, 120_000)
