/**
 * An entry's payload, record by record: checks each batch's CRC, decompresses it, and walks its
 * records. Format: Kafka's "Record Batch" and "Record", version 2.
 */
import { crc32c } from '@node-rs/crc32'
import { bounds } from '../config.ts'
import { messageOf } from '../errors.ts'
import { CODEC_BITS, HEADER_BYTES, int64 } from '../record-batch.ts'
import { arena } from './arena.ts'
import { type Codec, codecs, decompress } from './codecs.ts'
import { unpackLz4 } from './unpack.ts'

/** Offsets that are told at once, so that a commit stays small also where a large batch is corrupt. */
const CORRUPT_OFFSETS_MAX = bounds.commitRejectsMax

/** A batch, or a part of one, that can't be read; its records' offsets are [from, to). */
export interface CorruptBatch {
  from: number
  to: number
  message: string
}

/**
 * Walks the records of a payload whose offsets are in [from, to). `next()` moves to the next record
 * and fills the fields; it answers 'corrupt' for a batch that can't be read, or in parts for a long
 * one, and 'end'.
 */
export class RecordCursor {
  /** The record: its offset, Kafka's timestamp (epoch ms), and its value in `buffer`. */
  offset = 0
  timestamp = 0
  buffer: Buffer = Buffer.alloc(0)
  /** The value's bytes [start, end) in `buffer`; start is -1 for a null value. */
  start = -1
  end = -1
  /** Where in `buffer` the record begins, with its length. */
  recordAt = 0
  corrupt: CorruptBatch | null = null
  /**
   * Batches may be unpacked into the arena, where `buffer` is good for the record at hand and no longer:
   * for whoever keeps none of a record's bytes.
   */
  inArena = false

  /** Up to here the batch at hand is corrupt; what of it was not told yet begins at #from. */
  #corruptTo = -1
  readonly #payload: Buffer
  readonly #to: number
  #from: number
  #batchAt = 0
  #left = 0
  #at = 0
  #baseOffset = 0
  #baseTimestamp = 0
  /** Set where the broker stamps records on arrival: one time for the batch. */
  #appendTime: number | null = null
  /** What the arena's records were unpacked from, should it hold others meanwhile. */
  #packed: Buffer | null = null

  constructor(payload: Buffer, from: number, to: number) {
    this.#payload = payload
    this.#from = from
    this.#to = to
  }

  next(): 'record' | 'corrupt' | 'end' {
    if (this.corrupt && this.#from < this.#corruptTo) {
      return this.#refuse(this.#from, this.#corruptTo, this.corrupt.message)
    }
    if (this.#packed && this.#left > 0 && !arena().holds(this.buffer)) {
      this.buffer = unpackLz4(this.#packed)!
    }
    for (;;) {
      if (this.#left === 0 && !this.#openBatch()) {
        if (!this.corrupt) return 'end'
        return 'corrupt'
      }
      if (this.#left === 0) continue
      try {
        this.#readRecord()
      } catch (error) {
        this.#left = 0
        return this.#refuse(this.#from, this.#batchEnd, messageOf(error))
      }
      if (this.offset >= this.#to) {
        this.#left = 0
        this.#batchAt = this.#payload.length
        return 'end'
      }
      if (this.offset >= this.#from) {
        this.#from = this.offset + 1
        return 'record'
      }
    }
  }

  #batchEnd = 0

  /** Moves to the next batch; false at the payload's end and for a batch that can't be read. */
  #openBatch(): boolean {
    this.corrupt = null
    this.#packed = null
    const batch = this.#takeBatch()
    if (!batch) return false
    const from = int64(batch, 0)
    this.#batchEnd = from + batch.readInt32BE(23) + 1
    if (this.#batchEnd <= this.#from) return true
    try {
      this.#readHeader(batch, from)
      return true
    } catch (error) {
      this.#left = 0
      this.#refuse(Math.max(from, this.#from), this.#batchEnd, messageOf(error))
      return false
    }
  }

  /** The next batch's bytes; null at the payload's end, also where what is left is no batch. */
  #takeBatch(): Buffer | null {
    const at = this.#batchAt
    const left = this.#payload.length - at
    const size = left < HEADER_BYTES ? left : 12 + this.#payload.readInt32BE(at + 8)
    if (size < HEADER_BYTES || size > left) {
      this.#batchAt = this.#payload.length
      if (left > 0 && this.#from < this.#to)
        this.#refuse(this.#from, this.#to, 'the entry is cut off')
      return null
    }
    this.#batchAt = at + size
    return this.#payload.subarray(at, at + size)
  }

  #readHeader(batch: Buffer, from: number): void {
    const expected = batch.readUInt32BE(17)
    const actual = crc32c(batch.subarray(21))
    if (actual !== expected) throw new Error('CRC-32C of the record batch does not match')
    const attributes = batch.readInt16BE(21)
    this.#baseOffset = from
    this.#baseTimestamp = int64(batch, 27)
    this.#appendTime = attributes & 0x08 ? int64(batch, 35) : null
    const codec = codecs[attributes & CODEC_BITS]
    if (!codec) throw new Error(`compression ${attributes & CODEC_BITS} of the batch is not known`)
    const left = batch.readInt32BE(57)
    if (left < 0) throw new Error(`the batch says that it has ${left} records`)
    this.buffer = codec === 'none' ? batch : this.#unpack(codec, batch.subarray(HEADER_BYTES))
    this.#at = codec === 'none' ? HEADER_BYTES : 0
    this.#left = left
  }

  #unpack(codec: Codec, data: Buffer): Buffer {
    const records = this.inArena && codec === 'lz4' ? unpackLz4(data) : null
    this.#packed = records && data
    return records ?? decompress(codec, data)
  }

  #readRecord(): void {
    const buffer = this.buffer
    this.recordAt = this.#at
    const length = this.#varint()
    const end = this.#at + length
    if (length < 0 || end > buffer.length) throw new Error('a record is cut off')
    this.#at++ // attributes: none are defined
    const timestampDelta = this.#varint()
    const offsetDelta = this.#varint()
    const keyLength = this.#varint()
    if (keyLength > 0) this.#at += keyLength
    const valueLength = this.#varint()
    this.offset = this.#baseOffset + offsetDelta
    this.timestamp = this.#appendTime ?? this.#baseTimestamp + timestampDelta
    this.start = valueLength < 0 ? -1 : this.#at
    this.end = this.#at + Math.max(valueLength, 0)
    if (this.end > end) throw new Error('a record is longer than it says')
    this.#at = end // headers are not needed
    this.#left--
  }

  /** A zigzag varint of up to 64 bits; exact below 2⁵³. */
  #varint(): number {
    const buffer = this.buffer
    const first = buffer[this.#at]
    if (first === undefined) throw new Error('a record batch is cut off')
    if (first < 0x80) {
      this.#at++
      return (first >>> 1) ^ -(first & 1)
    }
    const second = buffer[this.#at + 1]
    if (second !== undefined && second < 0x80) {
      this.#at += 2
      const both = (first & 0x7f) | (second << 7)
      return (both >>> 1) ^ -(both & 1)
    }
    let value = 0
    let scale = 1
    for (;;) {
      const byte = buffer[this.#at++]
      if (byte === undefined || scale > 2 ** 63) throw new Error('a record batch is cut off')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  #refuse(from: number, to: number, message: string): 'corrupt' {
    this.#corruptTo = Math.min(to, this.#to)
    const end = Math.min(this.#corruptTo, from + CORRUPT_OFFSETS_MAX)
    this.corrupt = { from, to: end, message }
    this.#from = Math.max(this.#from, end === this.#corruptTo ? to : end)
    return 'corrupt'
  }
}
