/**
 * The codecs of record batches. Each is bounded before it unpacks, because a small batch can claim to
 * hold terabytes: what would unpack to more than the limit is refused by name.
 */
import { bounds } from '../config.ts'

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = Exclude<(typeof codecs)[number], 'none'>

const UNPACKED_BYTES_MAX = bounds.unpackedBytesMax

/** @throws Error where the data is damaged or unpacks to too much */
export function decompress(codec: Codec, data: Buffer): Buffer {
  switch (codec) {
    case 'gzip':
      return bounded(codec, () => zlib().gunzipSync(data, { maxOutputLength: UNPACKED_BYTES_MAX }))
    case 'zstd':
      return bounded(codec, () =>
        zlib().zstdDecompressSync(data, { maxOutputLength: UNPACKED_BYTES_MAX }),
      )
    case 'lz4':
      if (lz4FramesMax(data) > UNPACKED_BYTES_MAX) throw tooMuch(codec)
      return lz4().decompressFrameSync(data)
    case 'snappy':
      return unsnappy(data)
    default:
      return codec satisfies never
  }
}

const tooMuch = (codec: Codec) =>
  new Error(`the ${codec} batch unpacks to more than ${UNPACKED_BYTES_MAX / 1024 / 1024} MB`)

/** Node's codecs keep to their limit by themselves, and call it by a code. */
function bounded(codec: Codec, unpack: () => Buffer): Buffer {
  try {
    return unpack()
  } catch (error) {
    throw (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE' ? tooMuch(codec) : error
  }
}

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])

/** Java's clients frame snappy in blocks behind a magic of 16 bytes; librdkafka sends one block. */
function unsnappy(data: Buffer): Buffer {
  const packed: Buffer[] = []
  if (data.subarray(0, 8).equals(xerialMagic)) {
    for (let at = 16; at + 4 <= data.length; ) {
      const length = data.readInt32BE(at)
      if (length < 0 || at + 4 + length > data.length) throw new Error('a snappy block is cut off')
      packed.push(data.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
  } else packed.push(data)
  const bytes = packed.reduce((sum, block) => sum + snappyLength(block), 0)
  if (bytes > UNPACKED_BYTES_MAX) throw tooMuch('snappy')
  const blocks = packed.map((block) => snappy().uncompressSync(block) as Buffer)
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks)
}

/** A block begins with the length that it unpacks to, as a varint; snappy believes nothing else. */
function snappyLength(block: Buffer): number {
  let length = 0
  for (let at = 0; at < 5; at++) {
    length += ((block[at] ?? 0) & 0x7f) * 128 ** at
    if ((block[at] ?? 0) < 0x80) break
  }
  // Three bytes give 64 at the most: what claims more is damaged, and memory is not set aside for it.
  if (length > block.length * 22) throw new Error('a snappy block claims more than it can hold')
  return length
}

const LZ4_MAGIC = 0x184d2204
const LZ4_SKIPPABLE = 0x184d2a50
/** Of the frame descriptor: what its flags say. */
const LZ4_BLOCK_CHECKSUM = 0x10
const LZ4_CONTENT_SIZE = 0x08
const LZ4_CONTENT_CHECKSUM = 0x04
const LZ4_DICTIONARY = 0x01

/**
 * How many bytes LZ4 frames unpack to: at the most, by the blocks' number and size, or exactly where
 * that would be over the limit. Their library takes no limit itself.
 * Layout: LZ4 frame format, version 1.6.
 */
function lz4FramesMax(data: Buffer): number {
  const most = walkLz4(data, (block, blockMax) => Math.min(blockMax, block.length * 255))
  return most <= UNPACKED_BYTES_MAX ? most : walkLz4(data, lz4BlockLength)
}

function walkLz4(data: Buffer, lengthOf: (block: Buffer, blockMax: number) => number): number {
  let bytes = 0
  const need = (end: number) => {
    if (end > data.length) throw new Error('the lz4 batch is cut off')
  }
  for (let at = 0; at < data.length; ) {
    need(at + 7)
    const magic = data.readUInt32LE(at)
    if ((magic & 0xfffffff0) >>> 0 === LZ4_SKIPPABLE) {
      at += 8 + data.readUInt32LE(at + 4)
      continue
    }
    if (magic !== LZ4_MAGIC) throw new Error('the lz4 batch holds no frame')
    const flags = data[at + 4]!
    // 4 to 7: 64 KB, 256 KB, 1 MB, 4 MB.
    const blockMax = 1 << (8 + 2 * ((data[at + 5]! >> 4) & 0x07))
    at += 7 + (flags & LZ4_CONTENT_SIZE ? 8 : 0) + (flags & LZ4_DICTIONARY ? 4 : 0)
    for (;;) {
      need(at + 4)
      const size = data.readUInt32LE(at)
      at += 4
      if (size === 0) break
      const length = size & 0x7fffffff
      need(at + length)
      bytes += size >= 0x80000000 ? length : lengthOf(data.subarray(at, at + length), blockMax)
      if (bytes > 2 * UNPACKED_BYTES_MAX) return bytes
      at += length + (flags & LZ4_BLOCK_CHECKSUM ? 4 : 0)
    }
    at += flags & LZ4_CONTENT_CHECKSUM ? 4 : 0
  }
  return bytes
}

/** By its sequences: literals, then a match, each with a length that goes on while bytes are 255. */
function lz4BlockLength(block: Buffer): number {
  let bytes = 0
  let at = 0
  const lengthOf = (nibble: number) => {
    let length = nibble
    for (let more = nibble === 15; more; at++) {
      length += block[at] ?? 0
      more = block[at] === 255
    }
    return length
  }
  while (at < block.length) {
    const token = block[at++]!
    const literals = lengthOf(token >> 4)
    at += literals + 2
    bytes += literals
    if (at > block.length) break // The last sequence has no match.
    bytes += lengthOf(token & 0x0f) + 4
  }
  return bytes
}

// Loaded by the first batch that needs them: an executor starts faster.
const zlib = (): typeof import('node:zlib') => require('node:zlib')
const lz4 = (): typeof import('lz4-napi') => require('lz4-napi')
const snappy = (): typeof import('snappy') => require('snappy')
