/**
 * The topic's records as an ordinary consumer sees them: kafkajs's own decoding, committed records
 * only, in a group of its own that goes when the reading is done. Each partition is read from the
 * first offset that is asked for to the last; only offsets within the ranges are handed on. A reader
 * can be asked again and again: between readings its partitions are paused.
 */
import { ConfigResourceTypes, type Consumer, type EachBatchPayload, type Kafka } from 'kafkajs'
import { RefusalError } from '../actors/errors.ts'
import { checkBatches, isCorrupt } from './batches.ts'
import { clip, type Range, type Ranges } from './ranges.ts'
import type { TopicRecord } from './recount.ts'

export interface Reading {
  ranges: Ranges
  /** Takes a partition's records in their order; with them `through` of its ranges is read. */
  take: (records: TopicRecord[], partition: number, through: Range[]) => Promise<void>
  /** Records handed on together. */
  together: number
}

/** Without a record for this long the topic does not hold what was asked for. */
const STALL_MS = 60_000

export class TopicReader {
  readonly #kafka: Kafka
  readonly #topic: string
  readonly #groupId: string
  readonly #stallMs: number
  readonly #consumer: Consumer
  #run: Run | null = null
  #broken: Error | null = null

  private constructor(kafka: Kafka, topic: string, stallMs: number) {
    this.#kafka = kafka
    this.#topic = topic
    this.#stallMs = stallMs
    this.#groupId = `millrace-verify-${crypto.randomUUID()}`
    checkBatches()
    this.#consumer = kafka.consumer({
      groupId: this.#groupId,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: 200,
      maxBytesPerPartition: 1024 * 1024,
      maxBytes: 4 * 1024 * 1024,
    })
  }

  static async open(kafka: Kafka, topic: string, stallMs = STALL_MS): Promise<TopicReader> {
    const reader = new TopicReader(kafka, topic, stallMs)
    try {
      await reader.#start()
      return reader
    } catch (error) {
      await reader.close()
      throw error
    }
  }

  /** Resolves when every range was read. @throws RefusalError where the topic lacks offsets */
  async read(reading: Reading): Promise<void> {
    if (reading.ranges.size === 0) return
    if (this.#broken) throw this.#broken
    await checkRetention(this.#kafka, this.#topic, reading.ranges)
    const run = new Run(reading)
    const stall = () => run.reject(stalled(this.#topic, run, this.#stallMs))
    run.watchdog = stallWatch(stall, this.#stallMs)
    this.#run = run
    try {
      for (const partition of reading.ranges.keys()) this.#seek(partition, run.next(partition))
      const partitions = [...reading.ranges.keys()]
      whileJoined(() => this.#consumer.resume([{ topic: this.#topic, partitions }]))
      await run.ended
    } finally {
      run.watchdog.stop()
      this.#run = null
    }
  }

  async close(): Promise<void> {
    this.#run?.reject(new RefusalError('the reading was ended'))
    await this.#consumer.disconnect()
    await forget(this.#kafka, this.#groupId)
  }

  async #start(): Promise<void> {
    const consumer = this.#consumer
    await consumer.connect()
    await consumer.subscribe({ topic: this.#topic, fromBeginning: true })
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#passed(payload)
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (payload.restart) return
      this.#broken = payload.error
      this.#run?.reject(payload.error)
    })
    await consumer.run({ autoCommit: false, eachBatch: (payload) => this.#eachBatch(payload) })
  }

  #seek(partition: number, offset: number): void {
    const place = { topic: this.#topic, partition, offset: String(offset) }
    whileJoined(() => this.#consumer.seek(place))
  }

  /** Batches whose records were all aborted, or control records, do not come to eachBatch. */
  #passed({ partition, firstOffset, lastOffset }: Passed): void {
    const run = this.#run
    if (!run?.wants(partition)) return
    run.watchdog.alive()
    // An empty answer may be to a fetch from before the seek; the next one is not.
    if (firstOffset === null && !run.emptyAgain(partition)) return
    void run.reach(partition, Number(lastOffset) + 1)
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { partition } = payload.batch
    const run = this.#run
    if (!run?.wants(partition)) {
      payload.pause()
      return
    }
    try {
      const { fetchedOffset } = payload.batch as { fetchedOffset?: string }
      const next = run.next(partition)
      if (Number(fetchedOffset ?? 0) > next) {
        this.#seek(partition, next)
        return
      }
      if (await handOn(payload, run)) {
        await run.reach(partition, Number(payload.batch.lastOffset()) + 1)
      }
      if (!run.wants(partition)) payload.pause()
      // Joined again, the consumer begins at the beginning.
      else if (Number(payload.batch.lastOffset()) < next) this.#seek(partition, next)
    } catch (error) {
      // kafkajs would hand the same batch on again.
      run.reject(error)
    }
  }
}

/**
 * Consumers that are about to join again, after an outage, take no orders: they will begin at the
 * beginning, nothing paused, and eachBatch leads them where they should be.
 */
function whileJoined(order: () => void): void {
  try {
    order()
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'KafkaJSNonRetriableError') throw error
  }
}

interface Passed {
  partition: number
  firstOffset: string | null
  lastOffset: string
}

/** Reads once. Resolves when every range was read. */
export async function readTopic(reading: Reading & { kafka: Kafka; topic: string }): Promise<void> {
  if (reading.ranges.size === 0) return
  const reader = await TopicReader.open(reading.kafka, reading.topic)
  try {
    await reader.read(reading)
  } finally {
    await reader.close()
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

/** One reading, and where each of its partitions stands. */
class Run {
  readonly ended: Promise<void>
  readonly reading: Reading
  /** Nobody waits for it any more: nothing may be handed on. */
  over = false
  watchdog: Watchdog = { alive() {}, stop() {} }
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void
  readonly #next = new Map<number, number>()
  readonly #empty = new Set<number>()

  constructor(reading: Reading) {
    this.reading = reading
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.ended = promise
    this.#resolve = resolve
    this.#reject = reject
    // It may be ended before anybody waits.
    promise.catch(() => {})
    for (const [partition, wanted] of reading.ranges) this.#next.set(partition, wanted[0]!.from)
  }

  reject(error: unknown): void {
    this.over = true
    this.#reject(error)
  }

  next(partition: number): number {
    return this.#next.get(partition) ?? 0
  }

  wants(partition: number): boolean {
    const wanted = this.reading.ranges.get(partition)
    return wanted !== undefined && this.next(partition) < wanted.at(-1)!.to
  }

  /** A record's offset once; false for one that was handed on before or was not asked for. */
  takes(partition: number, offset: number): boolean {
    if (offset < this.next(partition)) return false
    return this.reading.ranges.get(partition)!.some(({ from, to }) => offset >= from && offset < to)
  }

  /** Everything of a partition below `offset` was read; the last of it are these records. */
  async reach(partition: number, offset: number, records: TopicRecord[] = []): Promise<void> {
    const from = this.next(partition)
    if (offset <= from || this.over) return
    // Moved first: what fails half-way must not be counted again.
    this.#next.set(partition, offset)
    this.#empty.delete(partition)
    const through = clip(this.reading.ranges.get(partition)!, { from, to: offset })
    try {
      await this.reading.take(records, partition, through)
    } catch (error) {
      this.reject(error)
    }
    if (this.open.length === 0) this.#resolve()
  }

  /** Whether the partition brought nothing the last time already. */
  emptyAgain(partition: number): boolean {
    if (this.#empty.has(partition)) return true
    this.#empty.add(partition)
    return false
  }

  get open(): { partition: number; next: number }[] {
    return Array.from(this.#next, ([partition, next]) => ({ partition, next })).filter(
      ({ partition }) => this.wants(partition),
    )
  }
}

/** True when the whole batch was handed on, or needed no more; false where it has become stale. */
async function handOn(payload: EachBatchPayload, run: Run): Promise<boolean> {
  const { partition } = payload.batch
  let records: TopicRecord[] = []
  for (const message of payload.batch.messages) {
    const offset = Number(message.offset)
    if (!run.takes(partition, offset)) continue
    const corrupt = isCorrupt(message.value)
    const { value } = message
    records.push({ partition, offset, value, told: message, ...(corrupt ? { corrupt } : {}) })
    if (records.length < run.reading.together) continue
    await run.reach(partition, offset + 1, records)
    records = []
    run.watchdog.alive()
    await payload.heartbeat()
    if (run.over || !payload.isRunning() || payload.isStale()) return false
  }
  const last = records.at(-1)
  if (last) await run.reach(partition, last.offset + 1, records)
  run.watchdog.alive()
  return true
}

/** Kafka is away, or the topic does not hold what was asked for. */
export class StalledError extends RefusalError {}

function stalled(topic: string, run: Run, stallMs: number): RefusalError {
  const where = run.open.map(({ partition, next }) => `${topic}/${partition} from ${next} on`)
  return new StalledError(`no record came for ${stallMs / 1_000} s: ${where.join(', ')}`)
}

interface Watchdog {
  alive(): void
  stop(): void
}

function stallWatch(stalledNow: () => void, stallMs: number): Watchdog {
  let timer = setTimeout(stalledNow, stallMs)
  return {
    alive() {
      clearTimeout(timer)
      timer = setTimeout(stalledNow, stallMs)
    },
    stop: () => clearTimeout(timer),
  }
}

/** The group has done its work; Kafka would keep it for a week. */
export async function forget(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.deleteGroups([groupId])
  } catch {
    // Only tidiness is lost.
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
