/**
 * Kafka as the bridge needs it: record batches as the broker stored them, not opened, and the
 * partitions' ends. kafkajs keeps connections, authentication, metadata and retries; it has no
 * public way to hand out raw batches and no way to read without a consumer group, so this file, and
 * no other, uses its internals: one broker call each for fetch, topic identity and offset commit.
 * What a fetch answers is decoded in fetched.ts.
 *
 * There is no consumer group to join: the ledger in Redis says where to read, so a bridge that was
 * killed is replaced at once, without waiting for a session to time out.
 */
import type { Kafka } from 'kafkajs'
import Encoder from 'kafkajs/src/protocol/encoder'
import { createErrorFromCode } from 'kafkajs/src/protocol/error'
import { requests } from 'kafkajs/src/protocol/requests'
import { bounds } from './config.ts'
import { RefusalError } from './errors.ts'
import { decodeFetch, type FetchedPartition } from './fetched.ts'
import {
  decodeMetadata,
  METADATA_VERSION,
  metadataRequest,
  type TopicMetadata,
} from './metadata.ts'
import { answers } from './receive.ts'
import {
  type Asked,
  type Listed,
  matches,
  numberOf,
  partitionOf,
  type TopicInfo,
  topicIndexOf,
} from './topics.ts'

interface Protocol {
  request: { apiKey: number; apiVersion: number; apiName: string; encode(): Promise<Encoder> }
  response: { decode(raw: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> }
  requestTimeout?: number
}
interface Broker {
  lookupRequest(apiKey: number, definition: unknown): (request: object) => Protocol
  connectionPool: { send(protocol: Protocol): Promise<unknown> }
  offsetCommit(request: object): Promise<unknown>
  offsetFetch(request: object): Promise<{
    responses: { topic: string; partitions: { partition: number; offset: string }[] }[]
  }>
}
interface Cluster {
  brokerPool: { findConnectedBroker(): Promise<Broker> }
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  addMultipleTargetTopics(topics: string[]): Promise<void>
  refreshMetadata(): Promise<void>
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  findBroker(node: { nodeId: string }): Promise<Broker>
  findControllerBroker(): Promise<Broker>
  findGroupCoordinator(group: { groupId: string }): Promise<Broker>
  fetchTopicsOffset(
    topics: ({ topic: string; partitions: { partition: number }[] } & (
      | { fromBeginning: boolean }
      | { fromTimestamp: number }
    ))[],
  ): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
}

const FETCH = 1
const METADATA = 3
const FETCH_VERSION = 11
const READ_COMMITTED = 1

/** Kafka's codes. */
const UNKNOWN_TOPIC = 3

/** Partitions go by their numbers (topics.ts), in what is asked and in what is answered. */
export class RawKafka {
  readonly #cluster: Cluster
  readonly #asked: Asked
  readonly #wanted: (partition: number) => boolean
  /** Index of a topic → its name, and the other way round. */
  #names = new Map<number, string>()
  #indexes = new Map<string, number>()
  /** Those that kafkajs keeps the leaders of. */
  #followed: string[] = []

  /** `asked`: a topic, several, or all that match; of each the partitions that are `wanted`. */
  constructor(
    kafka: Kafka,
    asked: string | Asked,
    wanted: (partition: number) => boolean = () => true,
  ) {
    this.#cluster = clusterOf(kafka)
    this.#wanted = wanted
    this.#asked = typeof asked === 'string' ? [asked] : asked
  }

  /**
   * Connects and finds those topics that there are. By the order in which they are found they go by
   * their numbers, until `assign` says otherwise. Rejects with kafkajs's errors.
   */
  async connect(): Promise<TopicInfo[]> {
    await this.#cluster.connect()
    // It needs no metadata, which kafkajs would ask for all topics while it knows of none.
    const found = await this.#lookUp(await this.#cluster.brokerPool.findConnectedBroker())
    if (found.length === 0) return []
    const names = found.map(({ name }) => name)
    await this.#cluster.addMultipleTargetTopics(names)
    this.#followed = names
    const asked = await this.#lookUp(await this.#cluster.findControllerBroker())
    const topics = asked.filter(({ name }) => names.includes(name))
    this.assign(topics.map(({ name }, index) => ({ name, index })))
    return topics
  }

  /** Topics go by these indexes from now on. */
  assign(topics: readonly Pick<Listed, 'name' | 'index'>[]): void {
    this.#names = new Map(topics.map(({ name, index }) => [index, name]))
    this.#indexes = new Map(topics.map(({ name, index }) => [name, index]))
  }

  close(): Promise<void> {
    return this.#cluster.disconnect()
  }

  /** The topics as they are now; leaders are looked up afresh. */
  async topics(): Promise<TopicInfo[]> {
    // None was found when we connected.
    if (this.#followed.length === 0) {
      return this.#lookUp(await this.#cluster.brokerPool.findConnectedBroker())
    }
    const topics = await this.#lookUp(await this.#cluster.findControllerBroker())
    const here = new Set(topics.map(({ name }) => name))
    // kafkajs refuses where one of them is gone, which is for the caller to see.
    const whole = this.#followed.every((name) => here.has(name))
    if (whole) await this.#cluster.refreshMetadata()
    return topics
  }

  async #lookUp(broker: Broker): Promise<TopicInfo[]> {
    const asked = this.#asked
    const names = asked instanceof RegExp ? null : asked
    const answer = await broker.connectionPool.send(topicsRequest(names))
    const topics: TopicInfo[] = []
    for (const { name, id, error, internal, partitions } of answer as TopicMetadata[]) {
      if (names === null && (internal || !matches(asked, name))) continue
      if (error === UNKNOWN_TOPIC) continue
      if (error !== 0) throw createErrorFromCode(error)
      const ours = partitions.filter(this.#wanted).sort((a, b) => a - b)
      topics.push({ name, id, partitions: ours })
    }
    return topics.sort((a, b) => orderOf(asked, a.name, b.name))
  }

  /** The first or the last offset of each partition. */
  async offsets(end: 'earliest' | 'latest', partitions: number[]): Promise<Map<number, number>> {
    const which = { fromBeginning: end === 'earliest' }
    return this.#offsets(partitions, which)
  }

  /** The first offset from a time on (epoch ms), of those partitions that have one. */
  async offsetsFrom(time: number, partitions: number[]): Promise<Map<number, number>> {
    const found = await this.#offsets(partitions, { fromTimestamp: time })
    return new Map([...found].filter(([, offset]) => offset >= 0))
  }

  async #offsets(
    partitions: number[],
    which: { fromBeginning: boolean } | { fromTimestamp: number },
  ): Promise<Map<number, number>> {
    if (partitions.length === 0) return new Map()
    const topics = this.#byTopic(partitions).map(([topic, numbers]) => ({
      topic,
      partitions: numbers.map((number) => ({ partition: partitionOf(number) })),
      ...which,
    }))
    return this.#numbered(await this.#cluster.fetchTopicsOffset(topics))
  }

  /** Partitions by the node that leads them. */
  leaders(partitions: number[]): Map<string, number[]> {
    const nodes = new Map<string, number[]>()
    for (const [topic, numbers] of this.#byTopic(partitions)) {
      const leaders = this.#cluster.findLeaderForPartitions(topic, numbers.map(partitionOf))
      for (const [node, led] of Object.entries(leaders)) {
        const index = this.#indexes.get(topic)!
        const more = led.map((partition) => numberOf(index, partition))
        nodes.set(node, [...(nodes.get(node) ?? []), ...more])
      }
    }
    return nodes
  }

  /** One fetch from one leader: waits up to `waitMs` for the first record of any partition. */
  async fetch(
    nodeId: string,
    from: { partition: number; offset: number }[],
    waitMs: number,
  ): Promise<FetchedPartition[]> {
    const broker = await this.#cluster.findBroker({ nodeId })
    const offsets = new Map(from.map(({ partition, offset }) => [partition, offset]))
    const protocol = broker.lookupRequest(
      FETCH,
      requests.Fetch,
    )({
      maxWaitTime: waitMs,
      minBytes: 1,
      maxBytes: bounds.fetchBytesMax,
      isolationLevel: READ_COMMITTED,
      // In the order that was asked for: what comes first may be beyond the bounds.
      topics: this.#byTopic(from.map(({ partition }) => partition)).map(([topic, numbers]) => ({
        topic,
        partitions: numbers.map((number) => ({
          partition: partitionOf(number),
          fetchOffset: offsets.get(number)!,
          maxBytes: bounds.fetchPartitionBytesMax,
        })),
      })),
    })
    if (protocol.request.apiVersion !== FETCH_VERSION) {
      throw new RefusalError('Kafka 2.3 or newer is needed')
    }
    const indexOf = (topic: string) => this.#indexes.get(topic) ?? 0
    const response = {
      decode: (raw: Buffer) => Promise.resolve(decodeFetch(raw, offsets, indexOf)),
      parse: (data: unknown) => Promise.resolve(data),
    }
    const answer = await broker.connectionPool.send({ ...protocol, response })
    return (answer as { partitions: FetchedPartition[] }).partitions
  }

  /** The batches of a fetch were read: what they lie in may hold the next ones. Nobody has to say so. */
  release(fetched: FetchedPartition[]): void {
    const batch = fetched.find(({ batches }) => batches.length > 0)?.batches[0]
    // All of a fetch is in one answer.
    if (batch) answers.giveBack(batch.bytes)
  }

  /** How far a group was said to be; empty where Kafka knows nothing of it. */
  async committedOffsets(groupId: string, partitions: number[]): Promise<Map<number, number>> {
    if (partitions.length === 0) return new Map()
    try {
      // Asking for a coordinator would make Kafka create this topic, and wait until it is there.
      await this.#cluster.addTargetTopic('__consumer_offsets')
    } catch (error) {
      if ((error as { type?: string }).type === 'UNKNOWN_TOPIC_OR_PARTITION') return new Map()
      throw error
    }
    const coordinator = await this.#cluster.findGroupCoordinator({ groupId })
    const topics = this.#byTopic(partitions).map(([topic, numbers]) => ({
      topic,
      partitions: numbers.map((number) => ({ partition: partitionOf(number) })),
    }))
    const { responses } = await coordinator.offsetFetch({ groupId, topics })
    return new Map([...this.#numbered(responses)].filter(([, offset]) => offset >= 0))
  }

  /**
   * Tells Kafka how far a group is, for its own tools. Where to go on is the ledger's to say; we read
   * this back only to notice that the ledger is gone.
   */
  async commitOffsets(groupId: string, offsets: Map<number, number>): Promise<void> {
    if (offsets.size === 0) return
    const coordinator = await this.#cluster.findGroupCoordinator({ groupId })
    const topics = this.#byTopic([...offsets.keys()]).map(([topic, numbers]) => ({
      topic,
      partitions: numbers.map((number) => ({
        partition: partitionOf(number),
        offset: String(offsets.get(number)),
      })),
    }))
    await coordinator.offsetCommit({
      groupId,
      // A member of no generation: allowed while the group has no members, and ours never has.
      groupGenerationId: -1,
      memberId: '',
      topics,
    })
  }

  /** Each topic with its partitions' numbers, in the order in which they come. */
  #byTopic(partitions: readonly number[]): [topic: string, numbers: number[]][] {
    const topics = Map.groupBy(partitions, (number) => {
      const name = this.#names.get(topicIndexOf(number))
      if (name === undefined) throw new Error(`no topic has partition number ${number}`)
      return name
    })
    return [...topics]
  }

  #numbered(
    answer: { topic: string; partitions: { partition: number; offset: string }[] }[],
  ): Map<number, number> {
    return new Map(
      answer.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }): [number, number] => [
          numberOf(this.#indexes.get(topic)!, partition),
          Number(offset),
        ]),
      ),
    )
  }
}

/** As a list has them; those of a pattern by their names. */
function orderOf(asked: Asked, a: string, b: string): number {
  if (asked instanceof RegExp) return a < b ? -1 : 1
  return asked.indexOf(a) - asked.indexOf(b)
}

function topicsRequest(names: readonly string[] | null): Protocol {
  return {
    request: {
      apiKey: METADATA,
      apiVersion: METADATA_VERSION,
      apiName: 'Metadata',
      encode: () => {
        const encoder = new Encoder()
        encoder.writeBufferInternal(metadataRequest(names))
        return Promise.resolve(encoder)
      },
    },
    response: {
      decode: (raw: Buffer) => Promise.resolve({ topics: decodeMetadata(raw), ...UNTHROTTLED }),
      parse: (data: unknown) => Promise.resolve((data as { topics: TopicMetadata[] }).topics),
    },
  }
}

/** kafkajs looks for it. */
const UNTHROTTLED = { clientSideThrottleTime: 0 }

/** What the bridge asks of its topics. */
export type TopicReader = Pick<
  RawKafka,
  | 'connect'
  | 'close'
  | 'assign'
  | 'topics'
  | 'offsets'
  | 'offsetsFrom'
  | 'leaders'
  | 'fetch'
  | 'release'
  | 'committedOffsets'
  | 'commitOffsets'
>

/** The factory of clusters is behind a symbol; with it come brokers, TLS, SASL, retries and log. */
function clusterOf(kafka: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    (candidate) => candidate.description === 'private:Kafka:createCluster',
  )
  if (!symbol) throw new Error('kafkajs is not the pinned version: it has no cluster factory')
  const create = (kafka as unknown as Record<symbol, (options: object) => Cluster>)[symbol]!
  return create({ metadataMaxAge: 60_000, allowAutoTopicCreation: false })
}
