/**
 * Records of a user's own job: the newest of its topic, copied out once, or lines of a file. They are
 * fed in their order, each partition's into the same partition, so that event times come as they came.
 *
 *   the user's topic, read only → sample → feed → the topic of a pipeline that a fault happens to
 */
import { readFileSync } from 'node:fs'
import type { EachBatchPayload, Kafka } from 'kafkajs'
import { systemClock } from '../actors/clock.ts'
import { messageOf, RefusalError, UsageError } from '../actors/errors.ts'
import { kafkaMessage } from '../actors/kafka-client.ts'
import { forget, type PartitionOffsets, topicOffsets } from '../verify/topic.ts'
import type { TestRecord } from './topic.ts'
import { until } from './until.ts'

export interface Sample {
  /** In the order in which they came, as far as that can be told over partitions. */
  records: TestRecord[]
  partitions: number
}

const PARTITIONS = 4
const STALL_MS = 30_000

/** Each line is one record's value. @throws UsageError where the file can't be read or has none */
export function sampleOfFile(path: string): Sample {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--records ${path} can't be read: ${messageOf(error)}`)
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0) throw new UsageError(`--records ${path} holds no record`)
  const records = lines.map((value, i) => ({ value, partition: i % PARTITIONS }))
  return { records, partitions: PARTITIONS }
}

/**
 * The newest `count` records of a topic with their keys, headers, partitions and times. Reads only;
 * the consumer group that kafkajs needs for it is deleted again.
 * @throws RefusalError where there is no topic, or no record in it
 */
export async function sampleOfTopic(kafka: Kafka, topic: string, count: number): Promise<Sample> {
  const offsets = await topicOffsets(kafka, topic).catch((error: unknown) => {
    throw new RefusalError(`topic ${topic}: ${kafkaMessage(error)}`, { cause: error })
  })
  const ranges = newest(offsets, count)
  if (ranges.size === 0) {
    throw new RefusalError(`topic ${topic} holds no record; give some with --records file.ndjson`)
  }
  const groupId = `millrace-faults-${crypto.randomUUID()}`
  const found = await consume(kafka, topic, groupId, ranges)
  if (found.length === 0) throw new RefusalError(`no record of topic ${topic} could be read`)
  // Partitions stay in their order: sorting is stable, and times of one partition are not compared
  // where a producer set them out of order.
  const times = new Map<number, number>()
  const keyed = found.map((record) => {
    const at = Math.max(record.timestamp ?? 0, times.get(record.partition!) ?? 0)
    times.set(record.partition!, at)
    return { at, record }
  })
  keyed.sort((a, b) => a.at - b.at)
  return { records: keyed.map(({ record }) => record), partitions: offsets.length }
}

/** Offsets [from, to) of the newest records, the count shared evenly by partitions that have enough. */
export function newest(
  offsets: readonly PartitionOffsets[],
  count: number,
): Map<number, { from: number; to: number }> {
  const ranges = new Map<number, { from: number; to: number }>()
  let left = count
  const bySize = [...offsets].sort((a, b) => a.high - a.low - (b.high - b.low))
  for (const [i, { partition, low, high }] of bySize.entries()) {
    const share = Math.min(high - low, Math.ceil(left / (bySize.length - i)))
    left -= share
    if (share > 0) ranges.set(partition, { from: high - share, to: high })
  }
  return ranges
}

async function consume(
  kafka: Kafka,
  topic: string,
  groupId: string,
  ranges: Map<number, { from: number; to: number }>,
): Promise<TestRecord[]> {
  const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false, maxWaitTimeInMs: 200 })
  const records: TestRecord[] = []
  const next = new Map([...ranges].map(([partition, { from }]) => [partition, from]))
  const open = new Set(ranges.keys())
  const done = Promise.withResolvers<void>()
  let readAt = systemClock.elapsed()
  const reached = (partition: number, next: number) => {
    readAt = systemClock.elapsed()
    if (next >= (ranges.get(partition)?.to ?? 0)) open.delete(partition)
    if (open.size === 0) done.resolve()
  }
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    // Also of batches without a record for us: aborted ones, control records.
    reached(payload.partition, Number(payload.lastOffset) + 1)
  })
  const eachBatch = ({ batch }: EachBatchPayload) => {
    const range = ranges.get(batch.partition)
    for (const { offset, value, key, timestamp, headers } of batch.messages) {
      const at = Number(offset)
      // What came before the seek can come again after it.
      if (!range || at < next.get(batch.partition)! || at >= range.to) continue
      next.set(batch.partition, at + 1)
      records.push({
        value,
        key,
        partition: batch.partition,
        timestamp: Number(timestamp),
        ...(headers ? { headers } : {}),
      })
    }
    return Promise.resolve()
  }
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachBatch })
    const seek = () => {
      for (const [partition, { from }] of ranges) {
        consumer.seek({ topic, partition, offset: String(from) })
      }
      return true
    }
    // Where the group could not be joined at once, kafkajs goes on trying, and refuses to seek until then.
    await until('the reading to begin', seek, { timeoutMs: STALL_MS })
    // A topic that ends in markers may not say so: what came until then is the sample.
    const quiet = async () => {
      while (open.size > 0 && systemClock.elapsed() - readAt < STALL_MS)
        await systemClock.sleep(200)
    }
    await Promise.race([done.promise, quiet()])
  } finally {
    await consumer.disconnect()
    await forget(kafka, groupId)
  }
  return records
}

/**
 * A sample on its way into one topic. When all of it was sent it begins again: those records come
 * late by then, which is counted and checked like everything else.
 */
export class Feed {
  readonly sample: Sample
  #next = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(sample: Sample) {
    this.sample = sample
  }

  /** Sends the next records. One caller at a time, so that they come in their order. */
  next(count: number, send: (records: TestRecord[]) => Promise<void>): Promise<void> {
    const turn = this.#turn.then(() => send(this.take(count)))
    this.#turn = turn.catch(() => {})
    return turn
  }

  take(count: number): TestRecord[] {
    const { records } = this.sample
    const taken: TestRecord[] = []
    for (; taken.length < count; this.#next++) taken.push(records[this.#next % records.length]!)
    return taken
  }
}
