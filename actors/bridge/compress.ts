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
import { CODEC_BITS, HEADER_BYTES } from '../record-batch.ts'

/** Kafka's number of the codec. */
const LZ4 = 3

/** What does not become smaller than this share of itself is left as it was, and its partition for a while. */
const SHARE_MAX = 3 / 4
const BATCHES_LEFT = 15
/** The largest block that a frame can have; whoever lets batches be larger has them compressed by producers. */
const BLOCK_BYTES_MAX = 4 * 1024 * 1024

export class Compressor {
  /** Partition (by its number) → of how many of its next batches nothing is expected. */
  readonly #left = new Map<number, number>()

  /** The same batches, some of them smaller. */
  compress(partition: number, batches: RawBatch[]): RawBatch[] {
    return batches.map((batch) => {
      const { bytes, isDamaged } = batch
      // Of a damaged one nobody must make a sound one, and of one that can be read none that can't.
      if (isDamaged || !fits(bytes.length) || codecOf(bytes) !== 0) return batch
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

const fits = (bytes: number): boolean =>
  bytes >= bounds.compressBytesMin && bytes - HEADER_BYTES <= BLOCK_BYTES_MAX

const codecOf = (batch: Buffer): number => batch.readInt16BE(21) & CODEC_BITS

/** The header stays, but for what says how long the batch is, how it is compressed, and its CRC. */
function compressed(batch: Buffer): Buffer {
  const records = batch.subarray(HEADER_BYTES)
  // By the block, which takes a fifth less time than a frame. Four bytes say first how long it was.
  const block = lz4().compressSync(records).subarray(4)
  const header = frameHeaderOf(records.length)
  const at = HEADER_BYTES + header.length
  const whole = Buffer.allocUnsafe(at + 4 + block.length + 4)
  batch.copy(whole, 0, 0, HEADER_BYTES)
  whole.set(header, HEADER_BYTES)
  whole.writeUInt32LE(block.length, at)
  whole.set(block, at + 4)
  whole.writeUInt32LE(0, at + 4 + block.length)
  whole.writeInt32BE(whole.length - 12, 8)
  whole.writeInt16BE(batch.readInt16BE(21) | LZ4, 21)
  whole.writeUInt32BE(crc32c(whole.subarray(21)), 17)
  return whole
}

/**
 * Of a frame with a block of so many bytes, for which it names the least of four sizes.
 * Layout: LZ4 frame format 1.6; version 1, blocks that do not know of each other, no checksums but its own.
 */
function frameHeaderOf(bytes: number): Buffer {
  const size = Math.max(4, Math.ceil((Math.log2(bytes) - 8) / 2))
  const known = frameHeaders.get(size)
  if (known) return known
  const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, size << 4, 0])
  header[6] = Bun.hash.xxHash32(header.subarray(4, 6)) >>> 8
  frameHeaders.set(size, header)
  return header
}

const frameHeaders = new Map<number, Buffer>()

// Loaded by the first batch that needs it: a bridge starts faster.
const lz4 = (): typeof lz4Napi => require('lz4-napi')
