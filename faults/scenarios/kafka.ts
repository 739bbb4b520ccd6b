/**
 * Faults of Kafka: restarted, killed, frozen; topics that grow, shrink and are replaced; a group that
 * others use. What can be wrong with the records themselves is in data.ts.
 */
import { systemClock } from '../../actors/clock.ts'
import type { Action } from '../actions/action.ts'
import * as kafka from '../actions/kafka.ts'
import type { Fault } from '../fault.ts'
import { records } from '../load.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import { degraded, goesOn, nobodyBlamed } from './recovery.ts'

const RESTARTED_WITHIN_MS = 30_000
/** Longer than every lease, and than what a command may take. */
const OUTAGE_MS = 6_000
const FROZEN_MS = 15_000

async function away(world: World, action: Action, forMs: number): Promise<void> {
  await action.inject(world)
  await systemClock.sleep(forMs)
  await action.heal(world)
  await goesOn(world, RESTARTED_WITHIN_MS, action.name)
}

/** The readiness check names what is missing; the page itself goes on. */
async function missing(world: World, name: string): Promise<void> {
  await until(`readiness to name ${name}`, async () => {
    const answer = await world.pipeline.fetch('/readyz')
    const told = (await answer.json()) as { missing: string[] }
    return told.missing.join() === name
  })
  const { status } = await world.pipeline.fetch('/healthz')
  if (status !== 200) throw new Error(`/healthz answers ${status}`)
}

/** Kafka's tools see the job at the end of each partition. */
async function toldToKafka(world: World): Promise<void> {
  const { pipeline } = world
  await pipeline.drained({ timeoutMs: 120_000 })
  await until('Kafka to be told how far the job is', async () => {
    const [ends, told] = [await pipeline.topic.ends(), await kafka.groupOffsets(pipeline)]
    if (ends.map(Number).join() === told.join()) return true
    throw new Error(`ends ${ends.join()}, told ${told.join()}`)
  })
}

export const kafkaFaults: Fault[] = [
  {
    id: 'F26',
    title: `Kafka stops in order, is away for ${OUTAGE_MS / 1_000} s, and comes back`,
    holds: 'readiness names it meanwhile; committing again within 30 s',
    setting: { servers: 'own' },
    shows: /Kafka at \S+ does not answer/,
    async happens(world) {
      await kafka.kafkaStopped.inject(world)
      await missing(world, 'kafka')
      await systemClock.sleep(OUTAGE_MS)
      await kafka.kafkaStopped.heal(world)
      await goesOn(world, RESTARTED_WITHIN_MS, 'Kafka came back')
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F26b',
    title: 'kill -9 of Kafka',
    holds: 'committing again within 30 s',
    smoke: true,
    setting: { servers: 'own' },
    shows: /Kafka at \S+ does not answer|Connection/,
    async happens(world) {
      await away(world, kafka.kafkaKilled, 0)
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F27',
    title: `SIGSTOP of Kafka for ${FROZEN_MS / 1_000} s`,
    holds: 'committing again within 30 s',
    setting: { servers: 'own' },
    async happens(world) {
      await away(world, kafka.kafkaFrozen, FROZEN_MS)
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F28',
    title: 'rebalance storm: consumers of somebody else come and go in the group of the job',
    holds: 'the job reads on, says that Kafka can not tell its lag, and tells Kafka afterwards',
    shows: /Kafka's tools can't tell/,
    async happens(world) {
      const { pipeline } = world
      const storm = new kafka.RebalanceStorm()
      await storm.inject(world)
      try {
        const said = () => pipeline.logLines(/Kafka's tools can't tell/).length > 0
        await until('the job to say that Kafka is not told', said, { timeoutMs: 30_000 })
        await world.commits(5_000, 'records committed in the storm')
      } finally {
        await storm.heal()
      }
      await world.commits()
      await world.quiet()
      await toldToKafka(world)
      const lines = pipeline.logLines(/Kafka's tools can't tell/).length
      world.note(`said ${lines} times`)
      if (lines > 20) throw new Error(`the log was told ${lines} times`)
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F29',
    title: 'partitions are added while it runs, with records in them before it can know',
    holds: 'new partitions are read from their beginning, also with --from latest',
    smoke: true,
    setting: { args: ['--from', 'latest'], topic: { partitions: 2 } },
    async happens(world) {
      const { pipeline } = world
      await kafka.partitionsAdded(4).inject(world)
      const more = records(pipeline, 1_000)
      await pipeline.topic.produce(more.map((one, i) => ({ ...one, partition: 2 + (i % 2) })))
      await world.recovers('the new partitions read to their ends', 15_000, async () => {
        const { partitions } = await pipeline.snapshot()
        const added = partitions.filter(({ partition }) => partition >= 2)
        return added.length === 2 && added.every(({ frontier }) => frontier === 500)
      })
      const { partitions } = await pipeline.snapshot()
      const starts = partitions.filter(({ partition }) => partition >= 2).map(({ start }) => start)
      if (starts.join() !== '0,0') throw new Error(`new partitions were read from ${starts.join()}`)
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F30',
    title: 'the topic is deleted and made again while it runs',
    holds: 'the job stops loudly, and counts nothing of the new topic',
    setting: { rate: 0, backlog: 2_000, ends: 'by itself' },
    shows: /deleted and made again/,
    async happens(world) {
      const { pipeline } = world
      const { totals } = await pipeline.drained()
      await kafka.topicRecreated.inject(world)
      await world.fill(3_000, 2)
      await degraded(world, /deleted and made again/)
      await nothingMore(world, totals.committed)
      const path = '/api/decisions?limit=5'
      const { decisions } = await pipeline.get<{ decisions: { reason: string }[] }>(path)
      if (!decisions.some(({ reason }) => reason === 'degraded')) {
        throw new Error('no decision says that the job is degraded')
      }
    },
  },
  {
    id: 'F30b',
    title: 'the topic is made again while the job is down, with more records than before',
    holds: 'the job refuses to start, although its offsets would fit the new topic',
    setting: { rate: 0, backlog: 2_000, ends: 'by itself' },
    shows: /deleted and made again/,
    async happens(world) {
      const { pipeline } = world
      const { totals } = await pipeline.drained()
      await pipeline.stop()
      await kafka.topicRecreated.inject(world)
      await world.fill(10_000, 2)
      await pipeline.start()
      await degraded(world, /deleted and made again/)
      await nothingMore(world, totals.committed)
    },
  },
  {
    id: 'F31',
    title: 'retention deletes records that were not read yet',
    holds:
      'the job names the exact range and refuses; with --accept-loss it goes on, and counts it',
    smoke: true,
    setting: { rate: 0 },
    shows: /were deleted by retention before they were read/,
    happens: lossByRetention,
  },
  {
    id: 'F32',
    title: 'Kafka comes back with older data: the ledger is beyond its end',
    holds: 'the job stops loudly, and counts nothing twice',
    setting: { servers: 'own', rate: 0, backlog: 2_000, ends: 'by itself' },
    shows: /the topic was emptied or replaced/,
    async happens(world) {
      await world.pipeline.drained()
      await kafka.kafkaStopped.inject(world)
      kafka.keepCopy(world)
      await kafka.kafkaStopped.heal(world)
      await world.fill(2_000, 2)
      const { totals } = await world.pipeline.drained()
      await kafka.kafkaRolledBack.inject(world)
      await kafka.kafkaRolledBack.heal(world)
      await degraded(world, /the topic was emptied or replaced/)
      await nothingMore(world, totals.committed)
    },
  },
  {
    id: 'F33',
    title: "somebody sets the group's offsets in Kafka, while it runs and while it is down",
    holds: 'the ledger says where to read, and Kafka is told anew',
    async happens(world) {
      const { pipeline } = world
      for (const offset of [0, 1_000_000_000]) {
        await kafka.groupOffsetsSet(offset).inject(world)
        await world.commits(1_000)
      }
      await pipeline.stop()
      await kafka.groupOffsetsSet(1).inject(world)
      await pipeline.begin()
      await world.commits(1_000)
      await world.quiet()
      await toldToKafka(world)
      await nobodyBlamed(world)
    },
  },
]

/** Nothing was committed beyond what is known, and nothing is on its way. */
async function nothingMore(world: World, committed: number): Promise<void> {
  const { totals, entries } = await world.pipeline.snapshot()
  if (totals.committed !== committed || entries > 0) {
    throw new Error(`${totals.committed} records committed, should be ${committed}`)
  }
}

/** Nothing was read of what is deleted, so that the rest can be recomputed. */
async function lossByRetention(world: World): Promise<void> {
  const { pipeline } = world
  await until('the ledger to be there', async () => {
    const { partitions } = await pipeline.snapshot()
    return partitions.length === (await pipeline.topic.ends()).length
  })
  await pipeline.stop()
  await world.fill(8_000)
  const [first, second] = (await pipeline.topic.ends()).map(Number)
  await kafka.recordsDeleted({ 0: first! - 100, 1: 1 }).inject(world)
  await pipeline.start()
  await degraded(world, new RegExp(`records 0 to ${first! - 101} of partition 0 of topic`))
  await nothingMore(world, 0)
  await pipeline.stop()

  await pipeline.begin(['--from', 'earliest', '--accept-loss'])
  const { totals } = await pipeline.drained()
  const lost = first! - 100 + 1
  if (totals.lost !== lost) throw new Error(`${totals.lost} records lost, should be ${lost}`)
  const status = await until('the status to tell the loss', async () => {
    const { totals } = await pipeline.status()
    return totals.lost > 0 ? totals : null
  })
  if (status.lost !== lost) throw new Error(`the status says ${status.lost} lost, not ${lost}`)
  const { declaredLost } = await pipeline.verify()
  if (declaredLost !== lost) throw new Error(`verify says ${declaredLost} lost, not ${lost}`)
  world.note(`${lost} records lost of ${(second ?? 0) + first!} in two partitions`)
}
