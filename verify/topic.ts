/**
 * The topic's records as an ordinary consumer sees them: kafkajs's own decoding, committed records
 * only, in a group of its own that goes when the reading is done. Each partition is read from the
 * first offset that is asked for to the last; only offsets within the ranges are handed on.
 */
import { ConfigResourceTypes, type Consumer, type EachBatchPayload, type Kafka } from 'kafkajs'
import { RefusalError } from '../actors/errors.ts'
import { kafkaMessage } from '../actors/kafka-client.ts'
import type { TopicRecord } from './recount.ts'

/** Offsets, half-open. */
export interface Range {
  from: number
  to: number
}

/** A partition's ranges in order; none of them empty. */
export type Ranges = Map<number, Range[]>

export interface Reading {
  kafka: Kafka
  topic: string
  ranges: Ranges
  groupId: string
  /** Takes a partition's records in their order. */
  take: (records: TopicRecord[]) => Promise<void>
  /** Records handed on together. */
  together: number
}

/** Without a record for this long the topic does not hold what was asked for. */
const STALL_MS = 60_000

/** Resolves when every range was read. @throws RefusalError where the topic lacks offsets */
export async function readTopic(reading: Reading): Promise<void> {
  const { kafka, topic, ranges, groupId } = reading
  if (ranges.size === 0) return
  await checkRetention(kafka, topic, ranges)
  const consumer = kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: 200,
    maxBytesPerPartition: 1024 * 1024,
    maxBytes: 4 * 1024 * 1024,
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consume(consumer, reading)
  } finally {
    await consumer.disconnect()
    await forget(kafka, groupId)
  }
}

/** What retention has deleted can't be recomputed; kafkajs would silently start behind it. */
async function checkRetention(kafka: Kafka, topic: string, ranges: Ranges): Promise<void> {
  for (const { partition, low, high } of await topicOffsets(kafka, topic)) {
    const wanted = ranges.get(partition)
    if (!wanted) continue
    const first = wanted[0]!.from
    const end = wanted.at(-1)!.to
    if (first < low) {
      throw new RefusalError(
        `${topic}/${partition} begins at offset ${low}: records from ${first} on were processed and ` +
          `are not in Kafka any more, so they can't be recomputed`,
      )
    }
    if (end > high) {
      throw new RefusalError(
        `${topic}/${partition} ends at offset ${high}, but was processed up to ${end}: ` +
          `this is another topic than the one that the job has read`,
      )
    }
  }
}

export interface PartitionOffsets {
  partition: number
  low: number
  high: number
}

export async function topicOffsets(kafka: Kafka, topic: string): Promise<PartitionOffsets[]> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const offsets = await admin.fetchTopicOffsets(topic)
    return offsets.map(({ partition, low, high }) => ({
      partition,
      low: Number(low),
      high: Number(high),
    }))
  } finally {
    await admin.disconnect()
  }
}

/** Whether Kafka may remove records out of the middle; false where the broker won't say. */
export async function isCompacted(kafka: Kafka, topic: string): Promise<boolean> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const query = { type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['cleanup.policy'] }
    const answer = await admin.describeConfigs({ resources: [query], includeSynonyms: false })
    const entries = answer.resources.flatMap(({ configEntries }) => configEntries)
    return entries.some(({ configValue }) => configValue.includes('compact'))
  } catch {
    // Describing may be forbidden; only a note depends on it.
    return false
  } finally {
    await admin.disconnect()
  }
}

/** Where the reading of each partition stands. */
class Progress {
  readonly #next = new Map<number, number>()
  readonly #ranges: Ranges

  constructor(ranges: Ranges) {
    this.#ranges = ranges
    for (const [partition, wanted] of ranges) this.#next.set(partition, wanted[0]!.from)
  }

  /** A record's offset once; false for one that was handed on before or was not asked for. */
  takes(partition: number, offset: number): boolean {
    const next = this.#next.get(partition)
    if (next === undefined || offset < next) return false
    return this.#ranges.get(partition)!.some(({ from, to }) => offset >= from && offset < to)
  }

  /** Everything below `offset` was read. */
  reach(partition: number, offset: number): void {
    const next = this.#next.get(partition)
    if (next !== undefined && offset > next) this.#next.set(partition, offset)
  }

  done(partition: number): boolean {
    const next = this.#next.get(partition)
    return next === undefined || next >= this.#ranges.get(partition)!.at(-1)!.to
  }

  get allDone(): boolean {
    return this.open.length === 0
  }

  get open(): { partition: number; next: number }[] {
    return Array.from(this.#next, ([partition, next]) => ({ partition, next })).filter(
      ({ partition }) => !this.done(partition),
    )
  }
}

async function consume(consumer: Consumer, reading: Reading): Promise<void> {
  const progress = new Progress(reading.ranges)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const watchdog = stallWatch(() => reject(stalled(reading.topic, progress)))
  const reached = (partition: number, lastOffset: string) => {
    watchdog.alive()
    progress.reach(partition, Number(lastOffset) + 1)
    if (progress.allDone) resolve()
  }
  // Batches whose records were all aborted, or control records, do not come to eachBatch.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.batchSize === 0) reached(payload.partition, payload.lastOffset)
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) reject(new RefusalError(`reading: ${kafkaMessage(payload.error)}`))
  })
  const eachBatch = async (payload: EachBatchPayload) => {
    const { partition } = payload.batch
    try {
      if (await handOn(payload, reading, progress, () => watchdog.alive())) {
        reached(partition, payload.batch.lastOffset())
      }
      if (progress.done(partition)) payload.pause()
    } catch (error) {
      // kafkajs would hand the same batch on again.
      reject(error)
    }
  }
  await consumer.run({ autoCommit: false, eachBatch })
  for (const [partition, wanted] of reading.ranges) {
    consumer.seek({ topic: reading.topic, partition, offset: String(wanted[0]!.from) })
  }
  await promise.finally(() => watchdog.stop())
}

/** True when the whole batch was handed on, or needed no more; false where it has become stale. */
async function handOn(
  payload: EachBatchPayload,
  reading: Reading,
  progress: Progress,
  alive: () => void,
): Promise<boolean> {
  const { partition } = payload.batch
  let records: TopicRecord[] = []
  const flush = async () => {
    const last = records.at(-1)
    if (!last) return
    // Moved first: what fails half-way must not be counted again.
    progress.reach(partition, last.offset + 1)
    await reading.take(records)
    records = []
  }
  for (const message of payload.batch.messages) {
    const offset = Number(message.offset)
    if (!progress.takes(partition, offset)) continue
    records.push({ partition, offset, value: message.value })
    if (records.length < reading.together) continue
    await flush()
    alive()
    await payload.heartbeat()
    if (!payload.isRunning() || payload.isStale()) return false
  }
  await flush()
  return true
}

function stalled(topic: string, progress: Progress): RefusalError {
  const where = progress.open.map(({ partition, next }) => `${topic}/${partition} from ${next} on`)
  return new RefusalError(`no record came for ${STALL_MS / 1_000} s: ${where.join(', ')}`)
}

function stallWatch(stalledNow: () => void): { alive(): void; stop(): void } {
  let timer = setTimeout(stalledNow, STALL_MS)
  return {
    alive() {
      clearTimeout(timer)
      timer = setTimeout(stalledNow, STALL_MS)
    },
    stop: () => clearTimeout(timer),
  }
}

/** The group has done its work; Kafka would keep it for a week. */
async function forget(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.deleteGroups([groupId])
  } catch {
    // Only tidiness is lost.
  } finally {
    await admin.disconnect()
  }
}
