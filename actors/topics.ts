/**
 * The topics of a job, and the number by which a partition of any of them goes inside: in the ledger,
 * in entries, in hashes and orders. Of the topic that the job read first the number is Kafka's own, so
 * that a job of one topic has nothing else. Pure; the functions derive the same (functions/keys.lua).
 *
 *   number = index of the topic × 65,536 + partition
 *
 * A topic gets its index when the job first sees it, and keeps it for ever, also when it is left.
 */
import { RefusalError } from './errors.ts'

export const STRIDE = 65_536
/** Each is a few fields of the ledger, and a number must stay below 2³¹ (executor/tally.ts). */
export const TOPICS_MAX = 1_000

export const numberOf = (topic: number, partition: number): number => topic * STRIDE + partition
export const topicIndexOf = (number: number): number => Math.floor(number / STRIDE)
export const partitionOf = (number: number): number => number % STRIDE

/** Which topics a job reads: names, or all that match. */
export type Asked = readonly string[] | RegExp

/** As the ledger has it; its index is its place in the list. */
export interface KnownTopic {
  name: string
  /** Kafka's identity, '' where the broker has none. */
  id: string
  /** The job does not read it any more; what it has read of it counts. */
  left: boolean
}

/** What Kafka has now. */
export interface TopicInfo {
  name: string
  id: string
  partitions: number[]
}

export interface Declared {
  name: string
  /** For people, and the name where it is one. */
  topic: string
  /** Null for the one topic. */
  topics: Asked | null
}

export const askedOf = ({ topic, topics }: Pick<Declared, 'topic' | 'topics'>): Asked =>
  topics ?? [topic]

/** As people read it. */
export const topicsText = (asked: Asked): string =>
  asked instanceof RegExp ? String(asked) : asked.join(', ')

export const matches = (asked: Asked, name: string): boolean =>
  asked instanceof RegExp ? asked.test(name) : asked.includes(name)

/** The ledger's field of a topic, and what stands in it. */
export const topicField = (index: number): string => `topic:${index}`
export const topicText = ({ name, id, left }: KnownTopic): string =>
  `${name}|${id}|${left ? 'left' : 'read'}`

/** The topics of a ledger; none where it is of one topic, which it does not name. */
export function knownTopics(ledger: Readonly<Record<string, string | undefined>>): KnownTopic[] {
  const topics: KnownTopic[] = []
  for (;;) {
    const text = ledger[topicField(topics.length)]
    if (text === undefined) return topics
    topics.push(knownTopic(text))
  }
}

export function knownTopic(text: string): KnownTopic {
  const [name = '', id = '', state = ''] = text.split('|')
  return { name, id, left: state === 'left' }
}

/** The name of a partition's topic. */
export const topicOf = (
  number: number,
  known: readonly Pick<KnownTopic, 'name'>[],
  { topic }: Pick<Declared, 'topic'>,
): string => known[topicIndexOf(number)]?.name ?? topic

/** `partition 3`, and of which topic where the ledger has several. */
export function placeText(number: number, known: readonly Pick<KnownTopic, 'name'>[]): string {
  const name = known[topicIndexOf(number)]?.name
  const partition = `partition ${partitionOf(number)}`
  return name === undefined || known.length < 2 ? partition : `${partition} of topic ${name}`
}

/** A topic of this session, with the index by which its partitions go. */
export interface Listed extends TopicInfo {
  index: number
  /** The job sees it for the first time. */
  isNew: boolean
}

/** What the ledger must say from now on. Gone: indexes of topics that match, and that Kafka has no more. */
export interface Listing {
  topics: Listed[]
  known: KnownTopic[]
  gone: number[]
}

/**
 * Gives each topic that Kafka has its index. `begun` is the identity of the topic that a ledger without
 * names belongs to; null where there is no ledger.
 * @throws RefusalError where a topic was made anew, or is asked for no more
 */
export function listTopics(
  job: Declared,
  found: readonly TopicInfo[],
  known: readonly KnownTopic[],
  begun: string | null,
): Listing {
  const named = known.length > 0 || begun === null ? [...known] : [firstOf(job, found, begun)]
  const before = named.length
  refuseRemade(job, found, named)
  const topics = found.map((topic): Listed => {
    refuseWide(topic)
    const at = named.findIndex(({ name }) => name === topic.name)
    const index = at < 0 ? named.length : at
    const id = topic.id === '' ? (named[index]?.id ?? '') : topic.id
    named[index] = { name: topic.name, id, left: false }
    return { ...topic, index, isNew: index >= before }
  })
  if (named.length > TOPICS_MAX) {
    throw new RefusalError(
      `job ${job.name} would read topic ${TOPICS_MAX + 1}; narrow what it reads`,
    )
  }
  refuseDropped(job, named)
  const here = new Set(topics.map(({ index }) => index))
  const gone = named.flatMap(({ left }, index) => (left || here.has(index) ? [] : [index]))
  return { topics, known: named, gone }
}

/** Whose a ledger is that was begun for one topic, and does not name it. */
function firstOf(job: Declared, found: readonly TopicInfo[], id: string): KnownTopic {
  const first = found.find((topic) => id === '' || topic.id === '' || topic.id === id)
  if (first) return { name: first.name, id, left: false }
  throw new RefusalError(
    job.topics === null
      ? anotherTopic(job, job.topic)
      : `none of the topics ${job.topic} is the one that job ${job.name} has read so far: it is among them no more, or was deleted and made again; run the job under another name to begin anew`,
  )
}

function refuseRemade(
  job: Declared,
  found: readonly TopicInfo[],
  known: readonly KnownTopic[],
): void {
  for (const { name, id } of found) {
    const held = known.find((topic) => topic.name === name)
    if (!held || held.id === '' || id === '' || held.id === id) continue
    throw new RefusalError(anotherTopic(job, name))
  }
}

/** Numbers of one topic must not run into those of the next. */
function refuseWide({ name, partitions }: TopicInfo): void {
  if (partitions.every((partition) => partition < STRIDE)) return
  throw new RefusalError(`topic ${name} has more than ${STRIDE} partitions`)
}

/** @throws RefusalError where the job reads a topic no more that it has read, and that was not left */
export function refuseDropped(job: Declared, known: readonly KnownTopic[]): void {
  const dropped = known.filter(({ name, left }) => !left && !isAskedFor(job, name))
  if (dropped.length > 0)
    throw new RefusalError(
      droppedText(
        job,
        dropped.map(({ name }) => name),
      ),
    )
}

export const isAskedFor = (job: Declared, name: string): boolean => matches(askedOf(job), name)

const droppedText = ({ name, topic }: Declared, dropped: readonly string[]): string =>
  `job ${name} has read ${nounOf(dropped.length)} ${dropped.join(', ')}, and ${topic} is all that it reads now; start once with --accept-change to leave ${dropped.length === 1 ? 'it' : 'them'}, or name ${dropped.length === 1 ? 'it' : 'them'} again`

const nounOf = (count: number) => (count === 1 ? 'topic' : 'topics')

export const anotherTopic = (job: Pick<Declared, 'name'>, topic: string): string =>
  `topic ${topic} was deleted and made again since job ${job.name} began to read it; run the job under another name to begin anew`
