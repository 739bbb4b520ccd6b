/**
 * What happens to Kafka: stopped, killed, frozen; a topic that grows, is emptied, is made again; a
 * group that others use; damage on its disk. Whatever touches the server itself needs servers of a
 * world's own.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Admin, ConfigResourceTypes, type Consumer } from 'kafkajs'
import { systemClock } from '../../actors/clock.ts'
import { killQuietly, type Pipeline } from '../pipeline.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import type { Action } from './action.ts'

const nothing = async () => {}

export const kafkaStopped: Action = {
  name: 'Kafka: stopped in order',
  inject: ({ services }) => services.kafka.stop(),
  heal: ({ services }) => services.kafka.start(),
}

export const kafkaKilled: Action = {
  name: 'Kafka: kill -9',
  inject: ({ services }) => services.kafka.stop('SIGKILL'),
  heal: ({ services }) => services.kafka.start(),
}

/** Its connections stay, and nothing comes over them. */
export const kafkaFrozen: Action = {
  name: 'Kafka: SIGSTOP',
  async inject({ services }) {
    killQuietly(services.kafka.pid, 'SIGSTOP')
  },
  async heal({ services }) {
    killQuietly(services.kafka.pid, 'SIGCONT')
  },
}

async function asAdmin<T>({ topic }: Pipeline, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = topic.kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** The topic has `count` partitions from now on. */
export const partitionsAdded = (count: number): Action => ({
  name: `Kafka: ${count} partitions`,
  inject: ({ pipeline }) =>
    asAdmin(pipeline, async (admin) => {
      const topicPartitions = [{ topic: pipeline.topic.name, count }]
      await admin.createPartitions({ topicPartitions })
      // A refused one makes kafkajs send the others' records twice.
      await until('the partitions to answer', () => admin.fetchTopicOffsets(pipeline.topic.name))
    }),
  heal: nothing,
})

/** What retention does, at a chosen place: each partition's records before its offset are gone. */
export const recordsDeleted = (before: Record<number, number>): Action => ({
  name: 'Kafka: records deleted',
  inject: ({ pipeline }) =>
    asAdmin(pipeline, async (admin) => {
      const partitions = Object.entries(before).map(([partition, offset]) => ({
        partition: Number(partition),
        offset: String(offset),
      }))
      // Without this kafkajs does not know the topic's leaders.
      await admin.fetchTopicOffsets(pipeline.topic.name)
      await admin.deleteTopicRecords({ topic: pipeline.topic.name, partitions })
    }),
  heal: nothing,
})

export const topicRecreated: Action = {
  name: 'Kafka: the topic deleted and made again',
  inject: ({ pipeline }) => pipeline.topic.recreate(),
  heal: nothing,
}

/** Where Kafka's tools see the job, by partition. */
export function groupOffsets(pipeline: Pipeline): Promise<number[]> {
  return asAdmin(pipeline, async (admin) => {
    const topics = [pipeline.topic.name]
    const [held] = await admin.fetchOffsets({ groupId: pipeline.groupId, topics })
    const partitions = held?.partitions ?? []
    return partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
  })
}

/** Somebody sets the group's offsets by hand, all to one place. */
export const groupOffsetsSet = (offset: number): Action => ({
  name: `Kafka: group offsets set to ${offset}`,
  inject: ({ pipeline }) =>
    asAdmin(pipeline, async (admin) => {
      const ends = await pipeline.topic.ends()
      const partitions = ends.map((_, partition) => ({ partition, offset: String(offset) }))
      await admin.setOffsets({
        groupId: pipeline.groupId,
        topic: pipeline.topic.name,
        partitions,
      })
    }),
  heal: nothing,
})

/** Consumers of somebody else in the job's group, who come and go so that it is never at rest. */
export class RebalanceStorm implements Action {
  readonly name = 'Kafka: rebalance storm in the group'
  readonly #members = 3
  readonly #stayMs = 500
  #ended = new AbortController()
  #storm: Promise<unknown> = Promise.resolve()

  inject({ pipeline }: World): Promise<void> {
    this.#ended = new AbortController()
    const members = Array.from({ length: this.#members }, () => this.#comeAndGo(pipeline))
    this.#storm = Promise.all(members)
    return Promise.resolve()
  }

  async heal(): Promise<void> {
    this.#ended.abort()
    await this.#storm
  }

  async #comeAndGo(pipeline: Pipeline): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const member = pipeline.topic.kafka.consumer({ groupId: pipeline.groupId })
      try {
        await joined(member, pipeline.topic.name)
        await systemClock.sleep(systemClock.random() * this.#stayMs, this.#ended.signal)
      } catch {
        // A member that was thrown out comes back.
      } finally {
        await member.disconnect().catch(() => undefined)
      }
    }
  }
}

async function joined(member: Consumer, topic: string): Promise<void> {
  await member.connect()
  await member.subscribe({ topic, fromBeginning: true })
  await member.run({ autoCommit: false, eachBatch: () => Promise.resolve() })
}

/** Where a partition's records lie on disk; for a Kafka that is stopped. */
export function segmentOf({ services, pipeline }: World, partition: number): string {
  const dir = join(dataOf(services.dir), `${pipeline.topic.name}-${partition}`)
  const names = readdirSync(dir).filter((name) => name.endsWith('.log'))
  return join(dir, names.sort().at(-1)!)
}

/** Changes the batches of a segment's file, in their order; for a Kafka that is stopped. */
export function damageBatches(file: string, damage: (batch: Buffer, nth: number) => void): void {
  const bytes = readFileSync(file)
  for (let at = 0, nth = 0; at + 12 < bytes.length; nth++) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    damage(bytes.subarray(at, end), nth)
    at = end
  }
  writeFileSync(file, bytes)
}

const dataOf = (dir: string) => join(dir, 'kafka', 'data')
const copyOf = (dir: string) => join(dir, 'kafka', 'earlier')

/** For a Kafka that is stopped: it can come back as it is now. */
export function keepCopy({ services }: World): void {
  rmSync(copyOf(services.dir), { recursive: true, force: true })
  cpSync(dataOf(services.dir), copyOf(services.dir), { recursive: true })
}

/** Kafka comes back with the files of the copy: what came since is lost, also to itself. */
export const kafkaRolledBack: Action = {
  name: 'Kafka: back to what it held before',
  async inject({ services }) {
    await services.kafka.stop()
    rmSync(dataOf(services.dir), { recursive: true })
    cpSync(copyOf(services.dir), dataOf(services.dir), { recursive: true })
  },
  heal: ({ services }) => services.kafka.start(),
}

/** Of a topic that Kafka compacts as soon as it can; its records need keys. */
export const COMPACTED = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.01',
  'segment.ms': '100',
  'max.compaction.lag.ms': '200',
  'delete.retention.ms': '0',
}

/** A compacted topic stays as it is from now on. */
export const compactionEnded: Action = {
  name: 'Kafka: no more compaction',
  inject: ({ pipeline }) =>
    asAdmin(pipeline, async (admin) => {
      const configEntries = [{ name: 'cleanup.policy', value: 'delete' }]
      const resource = { type: ConfigResourceTypes.TOPIC, name: pipeline.topic.name, configEntries }
      await admin.alterConfigs({ validateOnly: false, resources: [resource] })
    }),
  heal: nothing,
}

/** How many records a consumer finds in partition 0. */
export async function recordsLeft({ topic }: Pipeline): Promise<number> {
  const [end] = await topic.ends()
  const consumer = topic.kafka.consumer({ groupId: `${topic.name}-${crypto.randomUUID()}` })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: topic.name, fromBeginning: true })
    return await new Promise<number>((resolve, reject) => {
      let count = 0
      const eachMessage = ({ message }: { message: { offset: string } }) => {
        count++
        if (BigInt(message.offset) === end! - 1n) resolve(count)
        return Promise.resolve()
      }
      consumer.run({ autoCommit: false, eachMessage }).catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
}
