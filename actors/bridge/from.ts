/**
 * Where a job begins in a topic that it has not read before: at the first record that Kafka has, behind
 * the last, at the first record from a time on, or at an offset of each partition.
 */
import { RefusalError, UsageError } from '../errors.ts'
import type { TopicReader } from '../kafka.ts'
import { type Declared, type Listed, numberOf, partitionOf } from '../topics.ts'

export type From =
  | 'earliest'
  | 'latest'
  /** Epoch ms, by Kafka's timestamps. */
  | { time: number }
  /** Offset by partition; partitions that are not named begin at their first record. */
  | { offsets: ReadonlyMap<number, number> }
  /** The same by topic, of several. */
  | { topics: ReadonlyMap<string, ReadonlyMap<number, number>> }

/** Of one topic, by its partitions' numbers (topics.ts). */
export type FromOfTopic = Exclude<From, { topics: unknown }>

export const FROM_FORMS =
  'earliest, latest, a time such as 2026-01-31T12:00:00Z, or offsets such as 0:1500,1:1720 (of several topics orders:0:1500,returns:0:20)'

/**
 * What --from says; `fallback` where it is absent.
 * @throws UsageError that names the forms
 */
export function fromFlag(text: string | undefined, fallback: From): From {
  if (text === undefined) return fallback
  if (text === 'earliest' || text === 'latest') return text
  if (/^\d+:\d+(,\d+:\d+)*$/.test(text)) return { offsets: offsetsOf(text) }
  if (/^(?!\d{4}-\d\d-\d\dT)[\w.-]+:\d+:\d+(,[\w.-]+:\d+:\d+)*$/.test(text))
    return { topics: topicsOf(text) }
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (Number.isFinite(time)) return { time }
  throw new UsageError(`--from must be ${FROM_FORMS}, not ${JSON.stringify(text)}`)
}

function offsetsOf(text: string): Map<number, number> {
  const pairs = text.split(',').map((pair) => pair.split(':').map(Number) as [number, number])
  const offsets = new Map(pairs)
  if (offsets.size < pairs.length) throw new UsageError(`--from names a partition twice: ${text}`)
  return offsets
}

function topicsOf(text: string): Map<string, Map<number, number>> {
  const topics = new Map<string, Map<number, number>>()
  for (const place of text.split(',')) {
    const [topic, partition, offset] = place.split(':') as [string, string, string]
    const offsets = topics.get(topic) ?? new Map<number, number>()
    if (offsets.has(Number(partition))) {
      throw new UsageError(`--from names a partition twice: ${text}`)
    }
    topics.set(topic, offsets.set(Number(partition), Number(offset)))
  }
  return topics
}

/** As the flag says it, for a child's command line. */
export function fromText(from: From): string {
  if (typeof from === 'string') return from
  if ('time' in from) return new Date(from.time).toISOString()
  if ('offsets' in from) return placesOf(from.offsets).join(',')
  return [...from.topics]
    .flatMap(([topic, offsets]) => placesOf(offsets).map((place) => `${topic}:${place}`))
    .join(',')
}

const placesOf = (offsets: ReadonlyMap<number, number>): string[] =>
  Array.from(offsets, ([partition, offset]) => `${partition}:${offset}`)

/**
 * What is said of one topic, with its partitions' numbers (topics.ts).
 * @throws RefusalError where it is not to be told which topic is meant
 */
export function fromOf(
  from: From,
  { name, index }: Pick<Listed, 'name' | 'index'>,
  job: Declared,
): FromOfTopic {
  if (typeof from === 'string' || 'time' in from) return from
  if ('offsets' in from && job.topics !== null) {
    throw new RefusalError(
      `--from names partitions without their topic, of which job ${job.name} has several; say topic:partition:offset`,
    )
  }
  const offsets =
    'offsets' in from ? from.offsets : (from.topics.get(name) ?? new Map<number, number>())
  return { offsets: new Map(Array.from(offsets, ([p, offset]) => [numberOf(index, p), offset])) }
}

/** @throws RefusalError where a topic is named that the job does not read */
export function refuseUnknownTopics(from: From, found: readonly { name: string }[]): void {
  if (typeof from === 'string' || !('topics' in from)) return
  const names = new Set(found.map(({ name }) => name))
  const unknown = [...from.topics.keys()].find((name) => !names.has(name))
  if (unknown === undefined) return
  throw new RefusalError(`--from names topic ${unknown}, which the job does not read`)
}

/**
 * Where each of a topic's partitions begins. `earliest` and `latest` are what Kafka has now.
 * @throws RefusalError where an offset is named that Kafka does not have (any more)
 */
export async function startOf(
  from: FromOfTopic,
  kafka: Pick<TopicReader, 'offsetsFrom'>,
  { earliest, latest }: { earliest: Map<number, number>; latest: Map<number, number> },
): Promise<Map<number, number>> {
  if (from === 'earliest') return earliest
  if (from === 'latest') return latest
  if ('time' in from) {
    const found = await kafka.offsetsFrom(from.time, [...latest.keys()])
    // Nothing so young in the partition: it begins with what comes.
    return new Map(Array.from(latest, ([p, end]) => [p, found.get(p) ?? end]))
  }
  const { offsets } = from
  const unknown = [...offsets.keys()].find((partition) => !latest.has(partition))
  if (unknown !== undefined)
    throw new RefusalError(
      `--from names partition ${partitionOf(unknown)}, which the topic has not`,
    )
  for (const [partition, offset] of offsets) {
    const [first, end] = [earliest.get(partition) ?? 0, latest.get(partition) ?? 0]
    if (offset >= first && offset <= end) continue
    throw new RefusalError(
      `--from names offset ${offset} of partition ${partitionOf(partition)}; Kafka has ${first} to ${end}`,
    )
  }
  return new Map(Array.from(earliest, ([p, first]) => [p, offsets.get(p) ?? first]))
}
