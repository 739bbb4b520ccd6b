/**
 * The topics of a job, as the ledger names them, and the numbers by which their partitions go there. By
 * code of its own, from what docs/redis.md says:
 *   number = index of the topic × 65,536 + partition
 */
import type { Job } from '../actors/job.ts'

export const PARTITIONS_OF_A_TOPIC = 2 ** 16

export interface ReadTopic {
  name: string
  /** Null where the pipeline has not seen it yet. */
  index: number | null
  /** It is not read any more. */
  left: boolean
  /** The one of a job that has read no other. */
  isOnly?: boolean
}

export interface Topics {
  /** By their indexes; none of a job that has read one only. */
  topics: readonly ReadTopic[]
}

/** Fields `topic:0`, `topic:1`, … of the ledger; one that was begun for one topic has none. */
export function namedTopics(ledger: Readonly<Record<string, string>>): ReadTopic[] {
  const texts = Object.entries(ledger).flatMap(([field, text]): [number, string][] => {
    const index = /^topic:(\d+)$/.exec(field)?.[1]
    return index === undefined ? [] : [[Number(index), text]]
  })
  return texts
    .sort(([a], [b]) => a - b)
    .map(([index, text]) => {
      const [name, , state] = text.split('|')
      return { name: name!, index, left: state === 'left' }
    })
}

/** Those of which the pipeline has read something. */
export const topicsRead = (job: Job, { topics }: Topics): readonly ReadTopic[] =>
  topics.length > 0 ? topics : [{ name: job.topic, index: 0, left: false, isOnly: true }]

/** `3`, and where several topics are read `orders:3`. */
export function partitionText(number: number, { topics }: Topics): string {
  const index = Math.trunc(number / PARTITIONS_OF_A_TOPIC)
  const partition = String(number - index * PARTITIONS_OF_A_TOPIC)
  const topic = topics.find((one) => one.index === index)?.name ?? `topic ${index}`
  return topics.length > 1 ? `${topic}:${partition}` : partition
}

/** The topic of a number, and Kafka's partition. */
export function placeOf(
  number: number,
  job: Job,
  state: Topics,
): { topic: string; partition: number } {
  const index = Math.trunc(number / PARTITIONS_OF_A_TOPIC)
  const topic = topicsRead(job, state).find((one) => one.index === index)?.name
  return { topic: topic ?? `topic:${index}`, partition: number - index * PARTITIONS_OF_A_TOPIC }
}
