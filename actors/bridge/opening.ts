/**
 * What a session of the bridge begins with:
 *
 *   are the topics there → do they have their names in the ledger → where does each partition stand
 *
 * It refuses where that can't be right, and tells later whether the topics are still the same.
 */
import { agreedShape } from '../agree.ts'
import { RefusalError } from '../errors.ts'
import type { TopicReader } from '../kafka.ts'
import {
  anotherTopic,
  type Declared,
  type KnownTopic,
  knownTopics,
  type Listed,
  numberOf,
  type TopicInfo,
} from '../topics.ts'
import type { BridgeOptions } from './bridge.ts'
import { type From, fromOf, refuseUnknownTopics, startOf } from './from.ts'
import { entriesVanished, ledgerGone } from './frontiers.ts'
import { enlist, leaveGone, listTopicsOf } from './listing.ts'
import { passLoss } from './loss.ts'
import { beginOrRefuse } from './origin.ts'
import { type Positions, type Session, Stale } from './session.ts'
import type { Share } from './share.ts'

type Partitions = Share['partitions']

/** Kafka's first and last offsets by partition. */
interface Ends {
  earliest: Map<number, number>
  latest: Map<number, number>
}

/** What is there is looked at so often, and a topic that is missing for so long is gone. */
export const topicCheckMs = 5_000

export class Opening {
  readonly #options: BridgeOptions
  /** We waited for these topics to be made: whatever they hold came after our start. */
  readonly #awaited = new Set<string>()
  /** Index of a topic that matches → since when it is not there, by the monotonic clock. */
  readonly #missing = new Map<number, number>()
  /** There was a ledger: from then on it must not be missing, whatever the operator allows. */
  #begun: boolean

  constructor(options: BridgeOptions) {
    this.#options = options
    this.#begun = options.begun ?? false
  }

  /**
   * Connects, and learns of the topics and where they stand.
   * @throws Stale where it has to be tried again, after a wait where a topic is awaited
   */
  async session(kafka: TopicReader, share: Partitions, stopped: AbortSignal): Promise<Session> {
    const { store, keys, job, life, clock } = this.#options
    try {
      const found = await kafka.connect()
      const ledger = await store.redis.hgetall(keys.ledger)
      const absent = absentTopics(job, found, knownTopics(ledger))
      if (!absent) return await this.#open(kafka, found, ledger, share)
      // What comes to the others meanwhile must not lie before their beginning.
      if (found.length > 0) await this.#open(kafka, found, ledger, share)
      for (const name of absent.names) this.#awaited.add(name)
      life.explain(absent.text)
      await clock.sleep(500, stopped)
      throw new Stale(`${absent.text}; waiting for it`)
    } catch (error) {
      if ((error as { type?: string }).type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      throw new Stale(`${job.topic} changes just now; looking again`, { cause: error })
    }
  }

  /** Learns where our partitions stand; refuses where that can't be right. */
  async #open(
    kafka: TopicReader,
    found: TopicInfo[],
    ledger: Record<string, string>,
    share: Partitions,
  ): Promise<Session> {
    const { store, keys, job, from } = this.#options
    const isKnown = ledger.topicId !== undefined
    const shape = await agreedShape(store, keys, job)
    if (!isKnown && this.#begun) throw new RefusalError(ledgerGone(job))
    // One bridge begins a job, and that one has all of it.
    if (!isKnown && share) throw new Stale(`job ${job.name} has no ledger; looking again`)
    const listing = await listTopicsOf(this.#options, found, ledger)
    const { topics, known } = listing
    kafka.assign(topics)
    const numbers = numbersOf(topics)
    const earliest = await kafka.offsets('earliest', numbers)
    const latest = await kafka.offsets('latest', numbers)
    if (!isKnown) await beginOrRefuse(this.#options, kafka, latest, known)
    const isAwaited = (name: string) => this.#awaited.has(name) || this.#awaited.has(job.topic)
    const beginning = { job, from, known: isKnown, isAwaited }
    const starts = await startsOf(beginning, kafka, topics, { earliest, latest })
    await enlist(this.#options, knownTopics(ledger), known)
    // A list waits for what it names.
    const gone = job.topics instanceof RegExp ? this.#goneFor(topicCheckMs, listing.gone) : []
    await leaveGone(this.#options, ledger, { ...listing, gone })
    const next = await this.#register(topics, shape, starts, latest, share)
    this.#begun = true
    const positions = await this.#positions(kafka, next, { earliest, latest }, known)
    return { topics, known, positions, isInDoubt: this.#missing.size > gone.length }
  }

  /**
   * Registers all partitions, since one without a reader must hold the watermark. Answers with the next
   * offsets of ours as the ledger has them.
   */
  async #register(
    topics: readonly Listed[],
    shape: string,
    starts: ReadonlyMap<number, number>,
    latest: ReadonlyMap<number, number>,
    share: Partitions,
  ): Promise<Map<number, number>> {
    const { store, keys, job } = this.#options
    const isOurs = (partition: number) => share === null || share.has(partition)
    const reply = (await store.call('open', keys.base, [
      topics.find(({ index }) => index === 0)?.id ?? '',
      shape,
      // Only its reader says where a partition ends.
      ...numbersOf(topics).flatMap((p) => [
        p,
        starts.get(p) ?? 0,
        isOurs(p) ? (latest.get(p) ?? 0) : '',
      ]),
    ])) as string[]
    refuseUnopened(job, reply)
    const next = new Map<number, number>()
    for (let i = 1; i < reply.length; i += 2) {
      const partition = Number(reply[i])
      if (isOurs(partition)) next.set(partition, Number(reply[i + 1]))
    }
    return next
  }

  /** `next` is put right where records are lost, and that is accepted. */
  async #positions(
    kafka: TopicReader,
    next: Map<number, number>,
    { earliest, latest }: Ends,
    known: readonly KnownTopic[],
  ): Promise<Positions> {
    const high = new Map([...latest].filter(([partition]) => next.has(partition)))
    for (const partition of next.keys()) {
      await passLoss(this.#options, kafka, partition, { next, first: earliest, last: high }, known)
    }
    return { next, high, appended: new Map(next) }
  }

  /** A broker that has just started may not know of all topics yet: one look proves nothing. */
  #goneFor(ms: number, indexes: readonly number[]): number[] {
    const now = this.#options.clock.elapsed()
    for (const index of this.#missing.keys()) {
      if (!indexes.includes(index)) this.#missing.delete(index)
    }
    for (const index of indexes) if (!this.#missing.has(index)) this.#missing.set(index, now)
    return indexes.filter((index) => now - this.#missing.get(index)! >= ms)
  }
}

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
  ends: Ends,
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
