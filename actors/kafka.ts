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
import { answers } from './receive.ts'

export interface TopicInfo {
  /** Kafka's identity of the topic, '' where the broker is too old to have them (before 2.8). */
  id: string
  partitions: number[]
}

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
    responses: { partitions: { partition: number; offset: string }[] }[]
  }>
}
interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
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

export class RawKafka {
  readonly #cluster: Cluster
  readonly #topic: string

  constructor(kafka: Kafka, topic: string) {
    this.#cluster = clusterOf(kafka)
    this.#topic = topic
  }

  /** Connects and finds the topic; rejects with kafkajs's errors, also where it does not exist. */
  async connect(): Promise<TopicInfo> {
    await this.#cluster.connect()
    await this.#cluster.addTargetTopic(this.#topic)
    return this.topic()
  }

  close(): Promise<void> {
    return this.#cluster.disconnect()
  }

  /** The topic as it is now; leaders are looked up afresh. */
  async topic(): Promise<TopicInfo> {
    await this.#cluster.refreshMetadata()
    const partitions = this.#cluster
      .findTopicPartitionMetadata(this.#topic)
      .map(({ partitionId }) => partitionId)
      .sort((a, b) => a - b)
    return { id: await this.#topicId(), partitions }
  }

  /** The first or the last offset of each partition. */
  async offsets(end: 'earliest' | 'latest', partitions: number[]): Promise<Map<number, number>> {
    const [answer] = await this.#cluster.fetchTopicsOffset([
      {
        topic: this.#topic,
        partitions: partitions.map((partition) => ({ partition })),
        fromBeginning: end === 'earliest',
      },
    ])
    return new Map(
      answer?.partitions.map(({ partition, offset }) => [partition, Number(offset)]) ?? [],
    )
  }

  /** The first offset from a time on (epoch ms), of those partitions that have one. */
  async offsetsFrom(time: number, partitions: number[]): Promise<Map<number, number>> {
    const [answer] = await this.#cluster.fetchTopicsOffset([
      {
        topic: this.#topic,
        partitions: partitions.map((partition) => ({ partition })),
        fromTimestamp: time,
      },
    ])
    const found = answer?.partitions.map(
      ({ partition, offset }) => [partition, Number(offset)] as const,
    )
    return new Map(found?.filter(([, offset]) => offset >= 0))
  }

  /** Partitions by the node that leads them. */
  leaders(partitions: number[]): Map<string, number[]> {
    return new Map(Object.entries(this.#cluster.findLeaderForPartitions(this.#topic, partitions)))
  }

  /** One fetch from one leader: waits up to `waitMs` for the first record of any partition. */
  async fetch(
    nodeId: string,
    from: { partition: number; offset: number }[],
    waitMs: number,
  ): Promise<FetchedPartition[]> {
    const broker = await this.#cluster.findBroker({ nodeId })
    const protocol = broker.lookupRequest(
      FETCH,
      requests.Fetch,
    )({
      maxWaitTime: waitMs,
      minBytes: 1,
      maxBytes: bounds.fetchBytesMax,
      isolationLevel: READ_COMMITTED,
      topics: [
        {
          topic: this.#topic,
          partitions: from.map(({ partition, offset }) => ({
            partition,
            fetchOffset: offset,
            maxBytes: bounds.fetchPartitionBytesMax,
          })),
        },
      ],
    })
    if (protocol.request.apiVersion !== FETCH_VERSION) {
      throw new RefusalError('Kafka 2.3 or newer is needed')
    }
    const offsets = new Map(from.map(({ partition, offset }) => [partition, offset]))
    const response = {
      decode: (raw: Buffer) => Promise.resolve(decodeFetch(raw, offsets)),
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
    try {
      // Asking for a coordinator would make Kafka create this topic, and wait until it is there.
      await this.#cluster.addTargetTopic('__consumer_offsets')
    } catch (error) {
      if ((error as { type?: string }).type === 'UNKNOWN_TOPIC_OR_PARTITION') return new Map()
      throw error
    }
    const coordinator = await this.#cluster.findGroupCoordinator({ groupId })
    const topics = [
      { topic: this.#topic, partitions: partitions.map((partition) => ({ partition })) },
    ]
    const { responses } = await coordinator.offsetFetch({ groupId, topics })
    const known = (responses[0]?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0)
    return new Map(known.map(({ partition, offset }) => [partition, Number(offset)]))
  }

  /**
   * Tells Kafka how far a group is, for its own tools. Where to go on is the ledger's to say; we read
   * this back only to notice that the ledger is gone.
   */
  async commitOffsets(groupId: string, offsets: Map<number, number>): Promise<void> {
    const coordinator = await this.#cluster.findGroupCoordinator({ groupId })
    const partitions = [...offsets].map(([partition, offset]) => ({
      partition,
      offset: String(offset),
    }))
    await coordinator.offsetCommit({
      groupId,
      // A member of no generation: allowed while the group has no members, and ours never has.
      groupGenerationId: -1,
      memberId: '',
      topics: [{ topic: this.#topic, partitions }],
    })
  }

  async #topicId(): Promise<string> {
    const broker = await this.#cluster.findControllerBroker()
    const answer = await broker.connectionPool.send(topicIdRequest(this.#topic))
    return (answer as { id: string }).id
  }
}

/** What the bridge asks of a topic. */
export type TopicReader = Pick<
  RawKafka,
  | 'connect'
  | 'close'
  | 'topic'
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

/**
 * Metadata of version 10, the first with topic ids; kafkajs ends at 6. From 9 on the protocol is
 * "flexible": compact strings and arrays (length + 1 as a varint) and empty tag sections, of which
 * the first belongs to the request's header.
 */
function topicIdRequest(topic: string): Protocol {
  const name = Buffer.from(topic)
  return {
    request: {
      apiKey: METADATA,
      apiVersion: 10,
      apiName: 'Metadata',
      encode: () => {
        const body = Buffer.concat([
          Buffer.from([0, 2]), // header's tags; one topic
          Buffer.alloc(16), // no id: look up by name
          varint(name.length + 1),
          name,
          Buffer.from([0, 0, 0, 0, 0]), // tags; create no topic; no authorized operations; tags
        ])
        const encoder = new Encoder()
        encoder.writeBufferInternal(body)
        return Promise.resolve(encoder)
      },
    },
    response: {
      decode: (raw: Buffer) => Promise.resolve(decodeTopicId(raw)),
      parse: (data: unknown) => Promise.resolve(data),
    },
  }
}

function decodeTopicId(raw: Buffer): { id: string; clientSideThrottleTime: number } {
  let at = 1 + 4 // header's tags, throttle time
  const length = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = raw[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value - 1
    }
  }
  const skipString = () => {
    const bytes = length() // moves `at` itself, so it comes first
    at += Math.max(bytes, 0)
  }
  for (let brokers = length(); brokers > 0; brokers--) {
    at += 4 // node
    skipString() // host
    at += 4 // port
    skipString() // rack
    length() // tags
  }
  skipString() // cluster
  at += 4 // controller
  if (length() < 1) throw new Error('Kafka answered without the topic')
  const errorCode = raw.readInt16BE(at)
  if (errorCode !== 0) throw createErrorFromCode(errorCode)
  at += 2
  skipString() // name
  return { id: raw.toString('hex', at, at + 16), clientSideThrottleTime: 0 }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}
