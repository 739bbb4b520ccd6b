/**
 * Kafka as the bridge needs it: record batches as the broker stored them, not opened, and the
 * partitions' ends. kafkajs keeps connections, authentication, metadata and retries; it has no
 * public way to hand out raw batches and no way to read without a consumer group, so this file, and
 * no other, uses its internals: one broker call each for fetch, topic identity and offset commit.
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

/** A record batch of format v2, whole, as it stands in the log. */
export interface RawBatch {
  /** Offsets, half-open; `to` is the last record's plus one, also where compaction took records. */
  from: number
  to: number
  records: number
  bytes: Buffer
}

export interface FetchedPartition {
  partition: number
  /** Kafka's error type, such as OFFSET_OUT_OF_RANGE; null where there was none. */
  error: string | null
  /** The end of what can be read: last stable offset, which no open transaction hides. */
  high: number
  logStart: number
  /** Batches that hold records for us: no control batches, none of aborted transactions. */
  batches: RawBatch[]
  /** Where the next fetch goes on, past batches that were left out as well. */
  next: number
}

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
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
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
  | 'leaders'
  | 'fetch'
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

const HEADER_BYTES = 61
const CONTROL = 0x20
const TRANSACTIONAL = 0x10

/**
 * Decodes a fetch response of version 11 down to whole record batches.
 * Layout: Kafka protocol guide, Fetch API and "Record Batch".
 */
export function decodeFetch(
  raw: Buffer,
  offsets: Map<number, number>,
): { clientSideThrottleTime: number; partitions: FetchedPartition[] } {
  let at = 4 // Throttle time: the broker has already held the answer back.
  const errorCode = raw.readInt16BE(at)
  if (errorCode !== 0) throw createErrorFromCode(errorCode)
  at += 2 + 4 // error, session id
  const partitions: FetchedPartition[] = []
  const topics = raw.readInt32BE(at)
  at += 4
  for (let topic = 0; topic < topics; topic++) {
    at += 2 + raw.readInt16BE(at) // name
    const count = raw.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++) {
      const decoded = decodePartition(raw, at, offsets)
      partitions.push(decoded.fetched)
      at = decoded.end
    }
  }
  return { clientSideThrottleTime: 0, partitions }
}

function decodePartition(raw: Buffer, start: number, offsets: Map<number, number>) {
  const partition = raw.readInt32BE(start)
  const errorCode = raw.readInt16BE(start + 4)
  const stable = int64(raw, start + 14)
  const logStart = int64(raw, start + 22)
  const abortedCount = Math.max(raw.readInt32BE(start + 30), 0)
  let at = start + 34
  const aborted: { producer: bigint; from: number }[] = []
  for (let i = 0; i < abortedCount; i++, at += 16) {
    aborted.push({ producer: raw.readBigInt64BE(at), from: int64(raw, at + 8) })
  }
  at += 4 // preferred read replica
  const size = Math.max(raw.readInt32BE(at), 0)
  at += 4
  const offset = offsets.get(partition) ?? 0
  const { batches, next } = splitBatches(raw.subarray(at, at + size), offset, aborted)
  const error = errorCode === 0 ? null : createErrorFromCode(errorCode).type
  return {
    fetched: { partition, error, high: stable, logStart, batches, next },
    end: at + size,
  }
}

/** Cuts a partition's record data into batches; the last one may be cut off and is left for later. */
function splitBatches(
  data: Buffer,
  offset: number,
  aborted: { producer: bigint; from: number }[],
): { batches: RawBatch[]; next: number } {
  const batches: RawBatch[] = []
  const starting = [...aborted].sort((a, b) => a.from - b.from)
  const abortedProducers = new Set<bigint>()
  let next = offset
  for (let at = 0; at + HEADER_BYTES <= data.length; ) {
    const end = at + 12 + data.readInt32BE(at + 8)
    if (end > data.length) break
    const batch = data.subarray(at, end)
    at = end
    if (batch[16] !== 2) throw new RefusalError('the topic holds messages of Kafka before 0.11')
    const from = int64(batch, 0)
    const to = from + batch.readInt32BE(23) + 1
    if (to <= offset) continue
    next = Math.max(next, to)
    while (starting.length > 0 && starting[0]!.from < to) {
      abortedProducers.add(starting.shift()!.producer)
    }
    const attributes = batch.readInt16BE(21)
    const producer = batch.readBigInt64BE(43)
    if (attributes & CONTROL) {
      if (isAbortMarker(batch)) abortedProducers.delete(producer)
    } else if (!(attributes & TRANSACTIONAL && abortedProducers.has(producer))) {
      const records = batch.readInt32BE(57)
      // Compaction can leave a batch without records: there is nothing to hand on.
      if (records > 0) batches.push({ from, to, records, bytes: batch })
    }
  }
  return { batches, next }
}

/**
 * A control record's key is its version and its type, 0 for abort. The record's fields before it
 * are varints; a control batch is never compressed.
 */
function isAbortMarker(batch: Buffer): boolean {
  let at = HEADER_BYTES
  const skipVarint = () => {
    while (batch[at]! & 0x80) at++
    at++
  }
  skipVarint() // length
  at++ // attributes
  skipVarint() // timestamp delta
  skipVarint() // offset delta
  skipVarint() // key length
  return batch.readInt16BE(at + 2) === 0
}

/** Offsets are below 2⁵³ for any topic that can be: 285 years at a million records a second. */
function int64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
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
