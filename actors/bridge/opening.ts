/**
 * What a session of the bridge begins with: whether the topics are there, where those begin that the
 * ledger does not know, and later whether they are still the same.
 */
import { RefusalError } from '../errors.ts'
import type { TopicReader } from '../kafka.ts'
import {
  anotherTopic,
  type Declared,
  type KnownTopic,
  type Listed,
  numberOf,
  type TopicInfo,
} from '../topics.ts'
import { type From, fromOf, refuseUnknownTopics, startOf } from './from.ts'
import { entriesVanished } from './frontiers.ts'
import { Stale } from './session.ts'

export const numbersOf = (topics: readonly Listed[]): number[] => topics.flatMap(numbersIn)

const numbersIn = ({ index, partitions }: Listed): number[] =>
  partitions.map((partition) => numberOf(index, partition))

/**
 * The topics for which a job has to wait: of a list each one, since the watermark must not leave one
 * behind; of a pattern the first one that matches.
 */
export function absentTopics(
  job: Declared,
  found: readonly TopicInfo[],
  known: readonly KnownTopic[],
): { names: string[]; text: string } | null {
  if (job.topics instanceof RegExp) {
    if (found.length + known.length > 0) return null
    return { names: [job.topic], text: `no topic matches ${job.topic} yet` }
  }
  const here = new Set(found.map(({ name }) => name))
  const names = (job.topics ?? [job.topic]).filter((name) => !here.has(name))
  const [first] = names
  if (first === undefined) return null
  const read = known.some(({ name, left }) => name === first && !left)
  return { names, text: `topic ${first} does not exist ${read ? 'any more' : 'yet'}` }
}

export interface Beginning {
  job: Declared
  from: From
  /** The job has a ledger. */
  known: boolean
  /** We waited for the topic to be made: whatever it holds came after our start. */
  isAwaited: (name: string) => boolean
}

/** Offset by number, of each partition, for those that the ledger does not know. */
export async function startsOf(
  beginning: Beginning,
  kafka: Pick<TopicReader, 'offsetsFrom'>,
  topics: readonly Listed[],
  ends: { earliest: Map<number, number>; latest: Map<number, number> },
): Promise<Map<number, number>> {
  const { job, from, known } = beginning
  if (!known) refuseUnknownTopics(from, topics)
  const starts = new Map<number, number>()
  for (const topic of topics) {
    const numbers = new Set(numbersIn(topic))
    const own = (offsets: Map<number, number>) =>
      new Map([...offsets].filter(([number]) => numbers.has(number)))
    const begin = isOnItsWay(beginning, topic) ? 'earliest' : fromOf(from, topic, job)
    const of = { earliest: own(ends.earliest), latest: own(ends.latest) }
    for (const [number, offset] of await startOf(begin, kafka, of)) starts.set(number, offset)
  }
  return starts
}

/**
 * Whether whatever it holds is for the job: a partition that was added to a topic that we read already,
 * a topic that we waited for, and one that came to those that match.
 */
function isOnItsWay({ job, known, isAwaited }: Beginning, { name, isNew }: Listed): boolean {
  if (isAwaited(name)) return true
  return known && (!isNew || job.topics instanceof RegExp)
}

/**
 * What is different now, for a session to begin anew; null for nothing.
 * @throws RefusalError where a topic was made anew
 */
export function changeOf(
  job: Declared,
  topics: readonly Listed[],
  now: readonly TopicInfo[],
): string | null {
  for (const { name, id, partitions } of topics) {
    const other = now.find((topic) => topic.name === name)
    if (!other) return `topic ${name} is not there; looking again`
    if (other.id !== id) throw new RefusalError(anotherTopic(job, name))
    const count = other.partitions.length
    if (count !== partitions.length) return `topic ${name} has ${count} partitions now`
  }
  const added = now.find(({ name }) => topics.every((topic) => topic.name !== name))
  return added ? `topic ${added.name} has come` : null
}

/** What `open` says where it did not. */
export function refuseUnopened(job: Declared, [outcome, detail]: string[]): void {
  if (outcome === 'topic') throw new RefusalError(anotherTopic(job, job.topic))
  if (outcome === 'vanished') throw new RefusalError(entriesVanished(job, Number(detail)))
  // Another version opened it just now: what it says is looked at again.
  if (outcome === 'shape') throw new Stale(`job ${job.name} was opened by another version`)
  if (outcome !== 'topics') return
  throw new Stale(`the topics of job ${job.name} are others now; looking again`)
}
