/**
 * Kafka's record batches (format 2) and fetch responses (version 11), written byte by byte from the
 * protocol guide, for tests that need what no producer of ours sends: each codec, gaps, aborted
 * transactions, damage. It shares no code with what it tests.
 */
import { gzipSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'

export type Codec = 'none' | 'gzip' | 'snappy' | 'xerial' | 'lz4' | 'zstd'
const codecBits: Record<Codec, number> = {
  none: 0,
  gzip: 1,
  snappy: 2,
  xerial: 2,
  lz4: 3,
  zstd: 4,
}

export interface BatchRecord {
  offset: number
  value: string | Buffer | null
  key?: string | Buffer | null
  timestamp?: number
  headers?: [string, string | null][]
}

export interface BatchOptions {
  codec?: Codec
  /** Offset of the first record that the batch ever had; the first record's by default. */
  from?: number
  /** Half-open end of its offsets; compaction leaves it beyond the last record. */
  to?: number
  /** The broker's time for all records (LogAppendTime). */
  appendTime?: number
  producer?: bigint
  transactional?: boolean
  /** A control batch: `abort` or `commit`; it has one record that is no one's data. */
  control?: 'abort' | 'commit'
}

const T = 1_700_000_000_000

export function encodeBatch(records: BatchRecord[], options: BatchOptions = {}): Buffer {
  const codec = options.codec ?? 'none'
  const from = options.from ?? records[0]?.offset ?? 0
  const to = options.to ?? (records.at(-1)?.offset ?? from) + 1
  const baseTime = records[0]?.timestamp ?? T
  const body = Buffer.concat(records.map((record) => encodeRecord(record, from, baseTime)))
  const packed = compress(codec, body)
  const batch = Buffer.alloc(61 + packed.length)
  const times = records.map(({ timestamp }) => timestamp ?? T)
  batch.writeBigInt64BE(BigInt(from), 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(7, 12) // leader epoch, outside of the CRC
  batch.writeInt8(2, 16)
  batch.writeInt16BE(attributesOf(codec, options), 21)
  batch.writeInt32BE(to - from - 1, 23)
  batch.writeBigInt64BE(BigInt(baseTime), 27)
  batch.writeBigInt64BE(BigInt(options.appendTime ?? Math.max(baseTime, ...times)), 35)
  batch.writeBigInt64BE(options.producer ?? -1n, 43)
  batch.writeInt16BE(options.producer === undefined ? -1 : 0, 51)
  batch.writeInt32BE(options.producer === undefined ? -1 : 0, 53)
  batch.writeInt32BE(records.length, 57)
  packed.copy(batch, 61)
  return sealed(batch)
}

/** Writes the CRC anew, as after a change to the bytes behind it. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

/** The batch that ends a transaction. */
export function controlBatch(offset: number, producer: bigint, end: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, end === 'abort' ? 0 : 1])
  const value = Buffer.alloc(6)
  const options = { producer, transactional: true, control: end }
  return encodeBatch([{ offset, key, value }], options)
}

function attributesOf(codec: Codec, options: BatchOptions): number {
  return (
    codecBits[codec] |
    (options.appendTime === undefined ? 0 : 0x08) |
    (options.transactional ? 0x10 : 0) |
    (options.control ? 0x20 : 0)
  )
}

function encodeRecord(record: BatchRecord, from: number, baseTime: number): Buffer {
  const headers = record.headers ?? []
  const body = Buffer.concat([
    Buffer.from([0]),
    varint((record.timestamp ?? T) - baseTime),
    varint(record.offset - from),
    field(record.key ?? null),
    field(record.value),
    varint(headers.length),
    ...headers.flatMap(([name, value]) => [field(name), field(value)]),
  ])
  return Buffer.concat([varint(body.length), body])
}

function field(value: string | Buffer | null): Buffer {
  if (value === null) return varint(-1)
  const bytes = Buffer.from(value)
  return Buffer.concat([varint(bytes.length), bytes])
}

/** Zigzag, seven bits a byte, low ones first. */
export function varint(value: number): Buffer {
  let rest = value >= 0 ? BigInt(value) * 2n : -BigInt(value) * 2n - 1n
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

function compress(codec: Codec, body: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return body
    case 'gzip':
      return gzipSync(body)
    case 'snappy':
      return compressSync(body)
    case 'xerial':
      return xerial(body)
    case 'lz4':
      return compressFrameSync(body)
    case 'zstd':
      return Buffer.from(Bun.zstdCompressSync(body as Uint8Array<ArrayBuffer>))
    default:
      return codec satisfies never
  }
}

/** snappy-java's stream: magic, two versions, then blocks behind their length; here of 100 bytes. */
function xerial(body: Buffer): Buffer {
  const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  const blocks: Buffer[] = [head]
  for (let at = 0; at < body.length; at += 100) {
    const block = compressSync(body.subarray(at, at + 100))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    blocks.push(length, block)
  }
  return Buffer.concat(blocks)
}

export interface FetchPartition {
  partition: number
  errorCode?: number
  high?: number
  stable?: number
  logStart?: number
  aborted?: { producer: bigint; from: number }[]
  data: Buffer
}

/** A fetch response of version 11, without the header that carries the correlation id. */
export function encodeFetch(topic: string, partitions: FetchPartition[], errorCode = 0): Buffer {
  const parts: Buffer[] = [int32(0), int16(errorCode), int32(0), int32(1)]
  parts.push(int16(topic.length), Buffer.from(topic), int32(partitions.length))
  for (const one of partitions) {
    const aborted = one.aborted ?? []
    parts.push(int32(one.partition), int16(one.errorCode ?? 0))
    parts.push(int64(one.high ?? 0), int64(one.stable ?? one.high ?? 0), int64(one.logStart ?? 0))
    // No aborted transactions are told by -1, a null array.
    parts.push(int32(aborted.length === 0 ? -1 : aborted.length))
    for (const { producer, from } of aborted) parts.push(bigint64(producer), int64(from))
    parts.push(int32(-1), int32(one.data.length), one.data)
  }
  return Buffer.concat(parts)
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
function bigint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const int64 = (value: number): Buffer => bigint64(BigInt(value))
