/**
 * Record batches that their producer left as they are get compressed on their way, where they are large:
 * Redis takes in each byte, writes it to its file and gives it out again, and an executor reads it, all of
 * which together costs more than LZ4 does; and a backlog takes less of Redis's memory. What comes out is a
 * record batch like those of a producer that compresses, with the same offsets, so that nobody who reads
 * entries needs to know. Not opened: its records are bytes here.
 */
import { crc32c } from '@node-rs/crc32'
import type lz4Napi from 'lz4-napi'
import { bounds } from '../config.ts'
import type { RawBatch } from '../fetched.ts'
import {
  checksumOf,
  descriptorOf,
  LZ4_BLOCK_BYTES_MAX,
  LZ4_HEADER_BYTES,
  LZ4_INDEPENDENT,
  LZ4_MAGIC,
  LZ4_VERSION,
} from '../lz4-frame.ts'
import { CODEC_BITS, HEADER_BYTES } from '../record-batch.ts'

/** Kafka's number of the codec. */
const LZ4 = 3

/** What does not become smaller than this share of itself is left as it was, and its partition for a while. */
const SHARE_MAX = 3 / 4
const BATCHES_LEFT = 15

export class Compressor {
  /** Partition (by its number) → of how many of its next batches nothing is expected. */
  readonly #left = new Map<number, number>()

  /** The same batches, some of them smaller. */
  compress(partition: number, batches: RawBatch[]): RawBatch[] {
    return batches.map((batch) => {
      if (!isCompressible(batch)) return batch
      const { bytes } = batch
      const left = this.#left.get(partition) ?? 0
      this.#left.set(partition, Math.max(left - 1, 0))
      if (left > 0) return batch
      const smaller = compressed(bytes)
      if (smaller.length <= bytes.length * SHARE_MAX) return { ...batch, bytes: smaller }
      this.#left.set(partition, BATCHES_LEFT)
      return batch
    })
  }
}

/**
 * Of a damaged batch nobody must make a sound one. One that is larger than a block can be stays as it is:
 * whoever lets batches be so large has them compressed by producers.
 */
export const isCompressible = ({ bytes, isDamaged }: RawBatch): boolean =>
  !isDamaged &&
  bytes.length >= bounds.compressBytesMin &&
  bytes.length - HEADER_BYTES <= LZ4_BLOCK_BYTES_MAX &&
  (bytes.readInt16BE(21) & CODEC_BITS) === 0

/** The header stays, but for what says how long the batch is, how it is compressed, and its CRC. */
function compressed(batch: Buffer): Buffer {
  const records = batch.subarray(HEADER_BYTES)
  // By the block, which takes a fifth less time than a frame. Four bytes say first how long it was.
  const block = lz4().compressSync(records).subarray(4)
  const at = HEADER_BYTES + LZ4_HEADER_BYTES
  const whole = Buffer.allocUnsafe(at + 4 + block.length + 4)
  batch.copy(whole, 0, 0, HEADER_BYTES)
  writeFrameHeader(whole, records.length)
  whole.writeUInt32LE(block.length, at)
  whole.set(block, at + 4)
  whole.writeUInt32LE(0, at + 4 + block.length)
  whole.writeInt32BE(whole.length - 12, 8)
  whole.writeInt16BE(batch.readInt16BE(21) | LZ4, 21)
  whole.writeUInt32BE(crc32c(whole.subarray(21)), 17)
  return whole
}

/** Of the frame with the one block of so many bytes, behind the batch's own header. */
function writeFrameHeader(whole: Buffer, bytes: number): void {
  const flags = LZ4_VERSION | LZ4_INDEPENDENT
  const descriptor = descriptorOf(bytes)
  whole.writeUInt32LE(LZ4_MAGIC, HEADER_BYTES)
  whole[HEADER_BYTES + 4] = flags
  whole[HEADER_BYTES + 5] = descriptor
  whole[HEADER_BYTES + 6] = checksumOf(flags, descriptor)
}

// Loaded by the first batch that needs it: a bridge starts faster.
const lz4 = (): typeof lz4Napi => require('lz4-napi')
