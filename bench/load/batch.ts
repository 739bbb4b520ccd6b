/**
 * Kafka's record batches (format 2) and produce requests (version 7), written into one buffer: what a
 * producer's library takes microseconds a record for must not be what limits a benchmark. Pure.
 */
import { crc32c } from '@node-rs/crc32'

/** A record's value with room for the time, whose length never changes. */
export interface Template {
  key: Buffer
  value: Buffer
}

/** `{"timestamp":1700000000.123,` and the body. */
const TIME_AT = '{"timestamp":'.length
const TIME_LENGTH = '1700000000.123'.length

export function templateOf({ key, rest }: { key: string; rest: string }): Template {
  const value = Buffer.from(`{"timestamp":${'0'.repeat(TIME_LENGTH)},${rest}`)
  return { key: Buffer.from(key), value }
}

const BATCH_HEAD = 61
/** Lengths, deltas and the like in front of and behind a record's key and value, at the most. */
const RECORD_OVERHEAD = 32

/** One batch; all its records have the event time and Kafka timestamp `now`, epoch ms. */
export function encodeBatch(templates: readonly Template[], now: number): Buffer {
  const bytes = templates.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
  const batch = Buffer.allocUnsafe(BATCH_HEAD + bytes + templates.length * RECORD_OVERHEAD)
  const time = (now / 1_000).toFixed(3)
  let at = BATCH_HEAD
  for (const [index, template] of templates.entries())
    at = writeRecord(batch, at, template, index, time)
  return sealed(batch.subarray(0, at), templates.length, now)
}

function writeRecord(batch: Buffer, at: number, template: Template, index: number, time: string) {
  const { key, value } = template
  const [keyLength, valueLength] = [varint(key.length), varint(value.length)]
  const offset = varint(index)
  const length =
    3 + offset.length + keyLength.length + key.length + valueLength.length + value.length
  let to = at
  for (const part of [
    varint(length),
    NO_ATTRIBUTES_NO_DELTA,
    offset,
    keyLength,
    key,
    valueLength,
  ]) {
    part.copy(batch, to)
    to += part.length
  }
  value.copy(batch, to)
  batch.write(time, to + TIME_AT, 'latin1')
  to += value.length
  batch[to] = 0 // no headers
  return to + 1
}

/** Attributes; a timestamp that differs by nothing from the batch's. */
const NO_ATTRIBUTES_NO_DELTA = Buffer.from([0, 0])

function sealed(batch: Buffer, records: number, now: number): Buffer {
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12) // leader epoch
  batch.writeInt8(2, 16)
  batch.writeInt16BE(0, 21)
  batch.writeInt32BE(records - 1, 23)
  batch.writeBigInt64BE(BigInt(now), 27)
  batch.writeBigInt64BE(BigInt(now), 35)
  batch.writeBigInt64BE(-1n, 43) // no producer id, epoch, sequence
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(records, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

const varints = new Map<number, Buffer>()

/** Zigzag of a number from 0 on, seven bits a byte, low ones first. There are few, so each is kept. */
function varint(value: number): Buffer {
  const known = varints.get(value)
  if (known) return known
  const bytes: number[] = []
  let rest = value * 2
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  const made = Buffer.from([...bytes, rest])
  varints.set(value, made)
  return made
}

const CLIENT = 'millrace-load'
const TIMEOUT_MS = 30_000

/** A request with one batch for each of some partitions; acknowledged by all replicas. */
export function produceRequest(
  correlation: number,
  topic: string,
  batches: ReadonlyMap<number, Buffer>,
): Buffer {
  const head = Buffer.alloc(34 + CLIENT.length + topic.length)
  let at = head.writeInt16BE(0, 4) // Produce
  at = head.writeInt16BE(7, at)
  at = head.writeInt32BE(correlation, at)
  at = writeText(head, at, CLIENT)
  at = head.writeInt16BE(-1, at) // no transaction
  at = head.writeInt16BE(-1, at) // acks
  at = head.writeInt32BE(TIMEOUT_MS, at)
  at = head.writeInt32BE(1, at)
  at = writeText(head, at, topic)
  at = head.writeInt32BE(batches.size, at)
  const parts: Buffer[] = [head.subarray(0, at)]
  for (const [partition, batch] of batches) {
    const place = Buffer.alloc(8)
    place.writeInt32BE(partition, 0)
    place.writeInt32BE(batch.length, 4)
    parts.push(place, batch)
  }
  const request = Buffer.concat(parts)
  request.writeInt32BE(request.length - 4, 0)
  return request
}

function writeText(buffer: Buffer, at: number, text: string): number {
  const to = buffer.writeInt16BE(text.length, at)
  return to + buffer.write(text, to, 'latin1')
}

/** Kafka's error codes in an answer, without its length; none where all was taken. */
export function refusalsOf(answer: Buffer): number[] {
  // Correlation, number of topics, the topic, number of partitions.
  let at = 8
  at += 2 + answer.readInt16BE(at)
  const partitions = answer.readInt32BE(at)
  at += 4
  const codes = Array.from({ length: partitions }, (_, i) => answer.readInt16BE(at + i * 30 + 4))
  return codes.filter((code) => code !== 0)
}
