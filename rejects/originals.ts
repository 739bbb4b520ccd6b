/**
 * The records that were rejected, whole, as Kafka still has them: key, value, headers and timestamp by
 * partition and offset. What is gone by retention or compaction, or can't be read, is said to be.
 */
import type { Message } from 'kafkajs'
import type { RawBatch } from '../actors/fetched.ts'
import type { RawKafka } from '../actors/kafka.ts'
import { partitionOf, topicIndexOf } from '../actors/topics.ts'
import { RecordCursor } from '../actors/executor/records.ts'
import type { Reject } from './rejects.ts'

/** The record, or why there is none to replay. */
export type Original =
  | { message: Pick<Message, 'key' | 'value' | 'headers' | 'timestamp'> }
  | { missing: string }

const GONE = 'Kafka does not have it any more'

export class Originals {
  readonly #kafka: Pick<RawKafka, 'fetch' | 'leaders'>
  /** The batches that were fetched last: rejects are often neighbours. */
  #held: { partition: number; batches: RawBatch[] } = { partition: -1, batches: [] }
  readonly #indexes: ReadonlySet<number>

  /** `indexes`: of the topics that Kafka still has. */
  constructor(
    kafka: Pick<RawKafka, 'fetch' | 'leaders'>,
    indexes: ReadonlySet<number> = new Set([0]),
  ) {
    this.#kafka = kafka
    this.#indexes = indexes
  }

  async find(reject: Reject): Promise<Original> {
    const { number, offset } = reject
    if (!this.#indexes.has(topicIndexOf(number))) return { missing: GONE }
    const batch = await this.#batchWith(number, offset)
    if (!batch) return { missing: GONE }
    const cursor = new RecordCursor(batch.bytes, offset, offset + 1)
    const step = cursor.next()
    if (step === 'corrupt') return { missing: `it can't be read: ${cursor.corrupt!.message}` }
    if (step === 'end' || cursor.offset !== offset) return { missing: GONE }
    const record = readRecord(cursor.buffer, cursor.recordAt)
    if (record.value === null) return { missing: 'it has no value, so there is nothing to replay' }
    // The topic may have been made anew under a broker that has no identities for topics.
    const head = record.value.subarray(0, reject.value.length)
    if (!head.equals(reject.value)) return { missing: 'the topic has another record there' }
    // Its time is a part of it: a job may go by it. A record may have none.
    const { timestamp } = cursor
    return { message: { ...record, ...(timestamp >= 0 && { timestamp: String(timestamp) }) } }
  }

  async #batchWith(partition: number, offset: number): Promise<RawBatch | null> {
    const holds = ({ from, to }: RawBatch) => from <= offset && offset < to
    if (this.#held.partition === partition) {
      const known = this.#held.batches.find(holds)
      if (known) return known
    }
    const [node] = [...this.#kafka.leaders([partition]).keys()]
    if (node === undefined) return null
    const [fetched] = await this.#kafka.fetch(node, [{ partition, offset }], 0)
    if (!fetched || fetched.error === 'OFFSET_OUT_OF_RANGE') return null
    if (fetched.error)
      throw new Error(`Kafka: ${fetched.error} for partition ${partitionOf(partition)}`)
    this.#held = { partition, batches: fetched.batches }
    return fetched.batches.find(holds) ?? null
  }
}

interface Whole {
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | (Buffer | string)[]>
}

/** One record of format 2 from its length on; copies, because the batch goes. */
export function readRecord(buffer: Buffer, start: number): Whole {
  let at = start
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = buffer[at++]
      if (byte === undefined) throw new Error('a record is cut off')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
  }
  const bytes = (): Buffer | null => {
    const length = varint()
    if (length < 0) return null
    at += length
    return Buffer.from(buffer.subarray(at - length, at))
  }
  varint() // length
  at++ // attributes
  varint() // timestamp
  varint() // offset
  const key = bytes()
  const value = bytes()
  const headers: Whole['headers'] = Object.create(null) as Whole['headers']
  for (let left = varint(); left > 0; left--) {
    const name = bytes()!.toString()
    const held = headers[name]
    const content = bytes() ?? Buffer.alloc(0)
    headers[name] = held === undefined ? content : [held, content].flat()
  }
  return { key, value, headers }
}
