/**
 * Record batches that producers seldom send: by each codec, in transactions that are aborted or never
 * end, small ones that unpack to far too much.
 */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import kafkajs, { type CompressionTypes, type Producer } from 'kafkajs'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import {
  type Compression,
  compressions,
  compressionType,
} from '../../actors/producer/compression.ts'
import type { Pipeline } from '../pipeline.ts'
import type { TestRecord } from '../topic.ts'

export { compressions }

const messagesOf = (records: readonly TestRecord[]) =>
  records.map(({ value, key, partition }, i) => ({
    value,
    key: key ?? null,
    partition: partition ?? i % 2,
  }))

async function withProducer<T>(
  { topic }: Pipeline,
  transactionalId: string | null,
  work: (producer: Producer) => Promise<T>,
): Promise<T> {
  const producer = topic.kafka.producer(
    transactionalId === null
      ? {}
      : { transactionalId, idempotent: true, maxInFlightRequests: 1, transactionTimeout: 8_000 },
  )
  await producer.connect()
  try {
    return await work(producer)
  } finally {
    await producer.disconnect()
  }
}

/** One batch for each of the first two partitions, or where the records say. */
export async function sendCompressed(
  pipeline: Pipeline,
  compression: Compression,
  records: readonly TestRecord[],
): Promise<void> {
  const type = compressionType(compression)
  const { name: topic } = pipeline.topic
  const messages = messagesOf(records)
  await withProducer(pipeline, null, (producer) =>
    producer.send({ topic, compression: type, messages }),
  )
}

/** As Java's clients send snappy: blocks behind a header. */
export async function sendXerial(
  pipeline: Pipeline,
  records: readonly TestRecord[],
): Promise<void> {
  const { Snappy } = kafkajs.CompressionTypes
  await packedBy(Snappy, xerial, async () => {
    const messages = messagesOf(records)
    const { name: topic } = pipeline.topic
    await withProducer(pipeline, null, (producer) =>
      producer.send({ topic, compression: Snappy, messages }),
    )
  })
  compressionType('snappy')
}

/** The framing of xerial's snappy-java: magic, version, compatible version, blocks of 32 KB. */
function xerial(records: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (let at = 0; at < records.length; at += 32 * 1024) {
    const block = compressSync(records.subarray(at, at + 32 * 1024))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

const BOMB_BYTES = 257 * 1024 * 1024

/** A record of zeros, as kafkajs would encode it, in a batch of its own. */
function bomb(compression: Compression): Buffer {
  const value = Buffer.alloc(BOMB_BYTES)
  const fields = Buffer.concat([Buffer.from([0, 0, 0, 1]), varint(value.length)])
  const length = varint(fields.length + value.length + 1)
  const record = Buffer.concat([length, fields, value, Buffer.from([0])])
  switch (compression) {
    case 'gzip':
      return gzipSync(record, { level: 1 })
    case 'snappy':
      return compressSync(record)
    case 'lz4':
      return compressFrameSync(record)
    case 'zstd':
      return zstdCompressSync(record)
    case 'none':
      return record
    default:
      return compression satisfies never
  }
}

/** Zigzag, seven bits a byte, low ones first. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value * 2; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 0x80)
  }
}

/** One batch of one record, which unpacks to more than anybody should set memory aside for. */
export async function sendBomb(pipeline: Pipeline, compression: Compression): Promise<void> {
  const type = compressionType(compression)
  if (type === kafkajs.CompressionTypes.None) throw new Error('nothing is packed without a codec')
  const packed = bomb(compression)
  await packedBy(
    type,
    () => packed,
    () =>
      withProducer(pipeline, null, async (producer) => {
        const messages = [{ value: '', partition: 0 }]
        await producer.send({ topic: pipeline.topic.name, compression: type, messages })
      }),
  )
  compressionType(compression)
}

/** With another encoder for a codec while `work` runs; what was registered is the caller's to restore. */
async function packedBy(
  type: Exclude<CompressionTypes, CompressionTypes.None>,
  pack: (records: Buffer) => Buffer,
  work: () => Promise<unknown>,
): Promise<void> {
  kafkajs.CompressionCodecs[type] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => Promise.resolve(pack(buffer)),
    decompress: () => Promise.reject(new Error('for writing only')),
  })
  await work()
}

/** A transaction from beginning to end. */
export function transaction(
  pipeline: Pipeline,
  records: readonly TestRecord[],
  end: 'commit' | 'abort',
): Promise<void> {
  return withProducer(pipeline, `${pipeline.topic.name}-${end}`, async (producer) => {
    const open = await producer.transaction()
    await open.send({ topic: pipeline.topic.name, messages: messagesOf(records) })
    await open[end]()
  })
}

/** A transaction that nobody ends, until Kafka itself does. */
export function hangingTransaction(
  pipeline: Pipeline,
  records: readonly TestRecord[],
): Promise<void> {
  return withProducer(pipeline, `${pipeline.topic.name}-hangs`, async (producer) => {
    const open = await producer.transaction()
    await open.send({ topic: pipeline.topic.name, messages: messagesOf(records) })
  })
}
