/**
 * Faults of the data: how records stand in the topic, and what stands in them. A record is in its
 * windows or in the rejects with its reason, wherever it comes from and whatever it holds.
 */
import { systemClock } from '../../actors/clock.ts'
import { recordMaker } from '../../actors/producer/records.ts'
import studentsJob from '../../jobs/students.ts'
import * as batches from '../actions/batches.ts'
import * as kafka from '../actions/kafka.ts'
import type { Fault } from '../fault.ts'
import { records } from '../load.ts'
import { oddities, ODDITIES_CONFIG, type Oddity, oddRecords } from '../oddities.ts'
import { student } from '../student.ts'
import type { TestRecord } from '../topic.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import { degraded, nobodyBlamed } from './recovery.ts'

/** A topic of one's own for records by hand: no others come between them. */
const byHand = { rate: 0, topic: { partitions: 2, config: ODDITIES_CONFIG } }
const BATCH = 500
const SEED = 4

export const dataFaults: Fault[] = [
  {
    id: 'F34',
    title: 'transactions are committed and aborted while it runs, and one hangs',
    holds: 'aborted records never count; behind an open transaction nothing is read until it ends',
    async happens(world) {
      const { pipeline } = world
      for (let round = 0; round < 5; round++) {
        await batches.transaction(pipeline, records(pipeline, 100), 'abort')
        await batches.transaction(pipeline, records(pipeline, 100), 'commit')
      }
      await batches.hangingTransaction(pipeline, records(pipeline, 10))
      // What can be read ends where the open transaction begins.
      const [behind] = await pipeline.topic.ends()
      await world.commits(1_000, 'records of the other partitions')
      const { partitions } = await pipeline.snapshot()
      if (partitions[0]!.next > Number(behind)) {
        throw new Error('an open transaction was read over')
      }
      await world.recovers(
        'Kafka to end the transaction, and what is behind it read',
        60_000,
        async () => {
          const { partitions } = await pipeline.snapshot()
          return partitions[0]!.frontier > Number(behind)
        },
      )
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F34b',
    title: 'a compacted topic, read when most of its records are gone',
    holds: 'gaps between offsets are no loss',
    shippedJobOnly: true,
    setting: { rate: 0, unstarted: true, topic: { partitions: 1, config: kafka.COMPACTED } },
    async happens(world) {
      const { pipeline } = world
      const keyed = Array.from({ length: 200 }, (_, i) => ({ key: `${i % 10}`, value: student() }))
      await pipeline.topic.produce(keyed)
      const compacted = async () => {
        // Only segments that are not written to any more are compacted.
        await pipeline.topic.produce([{ key: 'roll', value: student() }])
        return (await kafka.recordsLeft(pipeline)) < 150
      }
      await until('compaction', compacted, { timeoutMs: 60_000, everyMs: 500 })
      await kafka.compactionEnded.inject(world)
      await pipeline.begin()
      const { totals } = await pipeline.drained()
      world.note(`${totals.committed} records of ${(await pipeline.topic.ends()).join()} offsets`)
    },
  },
  {
    id: 'F35',
    title: 'record batches by each codec of Kafka',
    holds: 'every record counts',
    async happens(world) {
      const { pipeline } = world
      for (const codec of batches.compressions) {
        await batches.sendCompressed(pipeline, codec, records(pipeline, BATCH))
      }
      await batches.sendXerial(pipeline, records(pipeline, BATCH))
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F35b',
    title: "record batches are damaged on Kafka's disk, in their records",
    holds: 'exactly their records are rejected as corrupt; the others count',
    shippedJobOnly: true,
    setting: { servers: 'own', rate: 0, topic: { partitions: 1 } },
    happens: (world) =>
      damagedOnDisk(world, [1, 2, 6], (batch, nth) => {
        if ([1, 2, 6].includes(nth)) batch[200] = batch[200]! ^ 0xff
      }),
  },
  {
    id: 'F35d',
    title: "record batches are damaged on Kafka's disk, in their headers: offsets and count",
    holds: 'no offset is skipped or repeated; what the next batch proves is put right',
    shippedJobOnly: true,
    setting: { servers: 'own', rate: 0, topic: { partitions: 1 } },
    happens: (world) =>
      damagedOnDisk(world, [6], (batch, nth) => {
        if (nth === 2) batch.writeInt32BE(BATCH + 300, LAST_OFFSET)
        if (nth === 4) batch.writeInt32BE(BATCH - 300, LAST_OFFSET)
        if (nth === 6) batch.writeInt32BE(BATCH * 2, RECORDS)
      }),
  },
  {
    id: 'F35e',
    title: "a record batch's length is damaged on Kafka's disk",
    holds: 'what is in front of it counts; then the job says at which offset it can not go on',
    shippedJobOnly: true,
    setting: { servers: 'own', rate: 0, topic: { partitions: 1 }, ends: 'by itself' },
    shows: /CORRUPT_MESSAGE|is damaged/,
    async happens(world) {
      const { pipeline } = world
      await damageOnDisk(world, (batch, nth) => {
        if (nth === 3) batch.writeInt32BE(7, LENGTH)
      })
      await pipeline.start()
      // Kafka itself notices; where it does not, we do.
      await degraded(world, /at offset 1500/)
      await until('what is in front of it to be counted', async () => {
        const { totals } = await pipeline.snapshot()
        return totals.counted === 3 * BATCH
      })
    },
  },
  {
    id: 'F35c',
    title: 'batches that unpack to far too much, by each codec',
    holds: 'each is rejected as corrupt with a clear message; memory stays bounded',
    shippedJobOnly: true,
    setting: byHand,
    async happens(world) {
      const { pipeline } = world
      const codecs = batches.compressions.filter((codec) => codec !== 'none')
      for (const codec of codecs) {
        await batches.sendBomb(pipeline, codec)
        await pipeline.topic.produce([{ value: student(), partition: 0 }])
      }
      const { totals } = await pipeline.drained()
      const rejects = await pipeline.rejects()
      const wrong = rejects.filter(({ message }) => !/unpacks to more than 256 MB/.test(message))
      if (totals.rejected !== codecs.length || wrong.length > 0) {
        throw new Error(`rejected: ${JSON.stringify(rejects).slice(0, 1_000)}`)
      }
      const executor = world.monitor?.peaksMb.executor ?? 0
      if (executor > 700) throw new Error(`an executor took ${executor} MB`)
    },
  },
  {
    id: 'F36',
    title:
      'records that come twice, out of order, late or malformed; and every oddity of F37 to F41',
    holds: 'each is counted, or rejected by name at its offset; duplicates are records like others',
    smoke: true,
    shippedJobOnly: true,
    setting: byHand,
    async happens(world) {
      await eachInItsPlace(world, oddities())
      const { pipeline } = world
      const made = disorder(5_000)
      await pipeline.topic.produce(made)
      await pipeline.topic.produce(made.slice(0, 500))
      // The watermark has passed most of them by now: what comes again is late.
      await pipeline.drained()
      await pipeline.topic.produce(made.slice(-2_000))
      const { totals } = await pipeline.drained()
      world.note(`${totals.late} late, ${totals.partly} partly, ${totals.rejected} rejected`)
    },
  },
  ...odd('F37', 'times before 1970, at 0, in the year 9999 and beyond any calendar'),
  ...odd('F39', 'values that are no JSON, no UTF-8, null, 10 MB or nested 100,000 deep'),
  ...odd('F40', 'groups named __proto__, with NUL, separators, lone surrogates, of 64 KB'),
  ...odd('F41', 'numbers that no sum can hold: NaN, Infinity, 1e400, 2^53 + 1'),
  {
    id: 'F42',
    title: '100,000 distinct keys in each of two windows, and the windows close',
    holds: 'no call of ours holds Redis for long, memory stays bounded, and every row is right',
    shippedJobOnly: true,
    setting: {
      servers: 'own',
      rate: 0,
      redisSettings: { 'slowlog-log-slower-than': '10000', 'slowlog-max-len': '10000' },
    },
    happens: manyKeys,
  },
]

function odd(fault: Oddity['fault'], title: string): Fault[] {
  const holds = 'each counts, or is rejected by name at its offset; the others count'
  const happens = async (world: World) => {
    await eachInItsPlace(
      world,
      oddities().filter((one) => one.fault === fault),
    )
    await world.pipeline.topic.produce(disorder(1_000))
  }
  return [{ id: fault, title, holds, shippedJobOnly: true, setting: byHand, happens }]
}

/** Sends them to partition 0, which is empty; each must become what it should. */
async function eachInItsPlace(world: World, list: readonly Oddity[]): Promise<void> {
  const { pipeline } = world
  await pipeline.topic.produce(oddRecords(list, 0))
  await pipeline.drained()
  const reasons = new Map(
    (await pipeline.rejects()).map(({ partition, offset, reason }) => [
      `${partition}:${offset}`,
      reason,
    ]),
  )
  const courses = new Set((await pipeline.windows()).map(({ key }) => key.course))
  const wrong = list.flatMap(({ what, becomes }, offset) => {
    const reason = reasons.get(`0:${offset}`)
    if (typeof becomes === 'string') {
      return reason === becomes ? [] : [`${what}: ${reason ?? 'counted'}, not ${becomes}`]
    }
    if (reason) return [`${what}: rejected as ${reason}`]
    return courses.has(becomes.course) ? [] : [`${what}: in no window`]
  })
  if (wrong.length > 0) throw new Error(wrong.join('; '))
}

/** The shipped producer's records with its shares of everything that goes wrong. */
function disorder(count: number): TestRecord[] {
  const { watermarkDelayMs, windowSizeMs } = studentsJob
  const shares = { seed: SEED, malformed: 0.01, late: 0.01, outOfOrder: 0.2 }
  const make = recordMaker({ ...shares, watermarkDelayMs, windowSizeMs })
  return Array.from({ length: count }, () => ({ value: make(systemClock.now()).value }))
}

const DAMAGED = 8
/** Bytes of a batch's header: its length, the offset of its last record, the number of its records. */
const LENGTH = 8
const LAST_OFFSET = 23
const RECORDS = 57

/** Batches that nobody has read yet are damaged while Kafka and the job are down. */
async function damageOnDisk(
  world: World,
  damage: (batch: Buffer, nth: number) => void,
): Promise<void> {
  const { pipeline } = world
  await until('the ledger to be there', async () => {
    return (await pipeline.snapshot()).partitions.length === 1
  })
  await pipeline.stop()
  for (let nth = 0; nth < DAMAGED; nth++) {
    const values = Array.from({ length: BATCH }, () => ({ value: student(), partition: 0 }))
    await batches.sendCompressed(pipeline, nth % 2 === 0 ? 'none' : 'lz4', values)
  }
  await kafka.kafkaStopped.inject(world)
  kafka.damageBatches(kafka.segmentOf(world, 0), damage)
  await kafka.kafkaStopped.heal(world)
}

/** `corrupt`: the batches whose records can't be saved. */
async function damagedOnDisk(
  world: World,
  corrupt: readonly number[],
  damage: (batch: Buffer, nth: number) => void,
): Promise<void> {
  const { pipeline } = world
  await damageOnDisk(world, damage)
  await pipeline.begin()
  const { totals } = await pipeline.drained()
  const rejects = await pipeline.store.redis.xrange(pipeline.keys.rejects, '-', '+')
  const found = rejects.map(([, fields]) => fields[fields.indexOf('o') + 1])
  const expected = corrupt.flatMap((nth) =>
    Array.from({ length: BATCH }, (_, i) => String(nth * BATCH + i)),
  )
  const counted = DAMAGED * BATCH - expected.length
  if (totals.counted !== counted || found.join() !== expected.join()) {
    throw new Error(
      `${totals.counted} counted, should be ${counted}; rejected: ${found.join().slice(0, 500)}`,
    )
  }
}

const KEYS = 100_000
const PAUSE_MS = 20

/** Half a minute of event time, in which two windows have every key. */
async function manyKeys(world: World): Promise<void> {
  const { pipeline } = world
  const { redis } = pipeline.store
  await redis.slowlog('RESET')
  const minuteAgo = Math.floor((systemClock.now() - 120_000) / 10_000) * 10
  for (let from = 0; from < KEYS; from += 10_000) {
    const keys = Array.from({ length: 10_000 }, (_, i) =>
      student({ course: `course ${from + i}`, timestamp: minuteAgo + 1 }),
    )
    await pipeline.topic.produce(keys)
    await systemClock.sleep(PAUSE_MS)
  }
  await pipeline.drained({ timeoutMs: 120_000 })
  // Every partition goes on, so that the watermark passes both windows.
  const later = Array.from({ length: 400 }, (_, i) =>
    student({ timestamp: minuteAgo + 100 + i / 400 }),
  )
  await pipeline.topic.produce(later)
  await world.recovers('both windows of all keys to be closed', 60_000, async () => {
    const { closedTo } = await pipeline.snapshot()
    const closing = await redis.hexists(pipeline.keys.clock, 'closing')
    return closedTo !== null && closedTo >= (minuteAgo + 10) * 1_000 && closing === 0
  })
  await heldForLong(world)
  const memory = world.monitor?.peaksMb.redis ?? 0
  if (memory > 300) throw new Error(`Redis took ${memory} MB`)
}

/**
 * Redis tells time by the clock on the wall, also while others use its core: single calls say
 * little, a share of them does.
 */
async function heldForLong(world: World): Promise<void> {
  const { redis } = world.pipeline.store
  const stats = /^cmdstat_fcall:calls=(\d+),usec=(\d+)/m.exec(await redis.info('commandstats'))
  const [calls, us] = [Number(stats?.[1]), Number(stats?.[2])]
  const slow = (await redis.slowlog('GET', 10_000)) as [number, number, number, string[]][]
  const ours = slow.filter(([, , , command]) => command[0]?.toLowerCase() === 'fcall')
  const worst = Math.max(0, ...ours.map(([, , one]) => one))
  world.note(
    `${calls} calls of ${Math.round(us / calls)} µs on average, ${ours.length} over 10 ms, the longest ${Math.round(worst / 1_000)} ms`,
  )
  if (!(ours.length <= calls / 20)) throw new Error(`${ours.length} of ${calls} calls over 10 ms`)
}
