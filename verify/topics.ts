/** Reads a job's topics, of which a TopicReader knows one, and says where they end. */
import type { Kafka } from 'kafkajs'
import { RefusalError } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import { PARTITIONS_OF_A_TOPIC, type ReadTopic, type Topics, topicsRead } from './numbers.ts'
import type { Ranges } from './ranges.ts'
import { type PartitionOffsets, type Reading, TopicReader, topicOffsets } from './topic.ts'

export interface TopicEnd extends PartitionOffsets {
  topic: string
  /** Null where the pipeline does not know the topic yet. */
  number: number | null
}

/** What Kafka holds of the topics that the job is to read: those of a list, or all that match. */
export async function endsOf(kafka: Kafka, job: Job, state: Topics): Promise<TopicEnd[]> {
  const known = new Map(topicsRead(job, state).map((topic) => [topic.name, topic]))
  const ends: TopicEnd[] = []
  for (const name of await namesOf(kafka, job)) {
    const { index = null } = known.get(name) ?? {}
    for (const one of await topicOffsets(kafka, name)) {
      const number = index === null ? null : index * PARTITIONS_OF_A_TOPIC + one.partition
      ends.push({ ...one, topic: name, number })
    }
  }
  return ends
}

async function namesOf(kafka: Kafka, { topic, topics }: Job): Promise<readonly string[]> {
  if (!(topics instanceof RegExp)) return topics ?? [topic]
  const admin = kafka.admin()
  await admin.connect()
  try {
    return (await admin.listTopics()).filter((name) => topics.test(name) && !name.startsWith('__'))
  } finally {
    await admin.disconnect()
  }
}

/** Reads several topics, one after the other; what it hands on goes by numbers. */
export class TopicsReader {
  readonly #kafka: Kafka
  readonly #stallMs: number | undefined
  readonly #readers = new Map<string, TopicReader>()

  constructor(kafka: Kafka, stallMs?: number) {
    this.#kafka = kafka
    this.#stallMs = stallMs
  }

  /** Resolves when every range was read. @throws RefusalError where a topic lacks offsets */
  async read(topics: readonly ReadTopic[], { ranges, take, together }: Reading): Promise<void> {
    for (const { name, index, isOnly } of topics) {
      const own = rangesOf(ranges, index)
      if (own.size === 0) continue
      const reader = await this.#open(name)
      await reader.read({
        ranges: own,
        together,
        take: (records, partition, through) => {
          const number = index! * PARTITIONS_OF_A_TOPIC + partition
          for (const record of isOnly ? [] : records) {
            record.topic = name
            record.partition = number
          }
          return take(records, number, through)
        },
      })
    }
  }

  async close(): Promise<void> {
    const readers = [...this.#readers.values()]
    this.#readers.clear()
    await Promise.all(readers.map((reader) => reader.close()))
  }

  async #open(name: string): Promise<TopicReader> {
    const known = this.#readers.get(name)
    if (known) return known
    await topicOffsets(this.#kafka, name).catch((error: unknown) => {
      if ((error as { type?: string }).type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      throw new RefusalError(
        `topic ${name} does not exist any more: what was read of it can't be recomputed`,
        { cause: error },
      )
    })
    const reader = await TopicReader.open(this.#kafka, name, this.#stallMs)
    this.#readers.set(name, reader)
    return reader
  }
}

/** Of one topic, by Kafka's partitions. */
function rangesOf(ranges: Ranges, index: number | null): Ranges {
  const own: Ranges = new Map()
  for (const [number, held] of ranges) {
    if (Math.trunc(number / PARTITIONS_OF_A_TOPIC) !== index) continue
    own.set(number - index * PARTITIONS_OF_A_TOPIC, held)
  }
  return own
}
