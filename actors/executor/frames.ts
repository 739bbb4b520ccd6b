/**
 * How many bytes the frames of a codec unpack to, told from what stands between their blocks: for
 * libraries that take no limit themselves. Pure.
 */
import { bounds } from '../config.ts'
import { blockMaxOf, LZ4_HEADER_BYTES, LZ4_MAGIC, LZ4_PLAIN } from '../lz4-frame.ts'

const UNPACKED_BYTES_MAX = bounds.unpackedBytesMax

/** Of both codecs: a frame that is nobody's data, behind one of sixteen numbers. */
const isSkippable = (magic: number): boolean => (magic & 0xfffffff0) >>> 0 === 0x184d2a50

/** Of a frame's flags: what it has besides. */
const LZ4_BLOCK_CHECKSUM = 0x10
const LZ4_CONTENT_SIZE = 0x08
const LZ4_CONTENT_CHECKSUM = 0x04
const LZ4_DICTIONARY = 0x01

/**
 * How many bytes LZ4 frames unpack to: at the most, by the blocks' number and size, or exactly where
 * that would be over the limit. Their library takes no limit itself.
 * Layout: LZ4 frame format, version 1.6.
 */
export function lz4Max(data: Buffer): number {
  const most = walkLz4(data, (block, blockMax) => Math.min(blockMax, block.length * 255))
  return most <= UNPACKED_BYTES_MAX ? most : walkLz4(data, lz4BlockLength)
}

function walkLz4(data: Buffer, lengthOf: (block: Buffer, blockMax: number) => number): number {
  let bytes = 0
  const need = (end: number) => {
    if (end > data.length) throw new Error('the lz4 batch is cut off')
  }
  for (let at = 0; at < data.length; ) {
    need(at + LZ4_HEADER_BYTES)
    const magic = data.readUInt32LE(at)
    if (isSkippable(magic)) {
      at += 8 + data.readUInt32LE(at + 4)
      continue
    }
    if (magic !== LZ4_MAGIC) throw new Error('the lz4 batch holds no frame')
    const flags = data[at + 4]!
    const blockMax = blockMaxOf(data[at + 5]!)
    at += LZ4_HEADER_BYTES + (flags & LZ4_CONTENT_SIZE ? 8 : 0) + (flags & LZ4_DICTIONARY ? 4 : 0)
    for (;;) {
      need(at + 4)
      const size = data.readUInt32LE(at)
      at += 4
      if (size === 0) break
      const length = size & 0x7fffffff
      need(at + length)
      bytes += size >= LZ4_PLAIN ? length : lengthOf(data.subarray(at, at + length), blockMax)
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

const ZSTD_MAGIC = 0xfd2fb528
/** What a block unpacks to at the most. */
const ZSTD_BLOCK_BYTES_MAX = 128 * 1024
/** Of a frame's descriptor. */
const ZSTD_SINGLE_SEGMENT = 0x20
const ZSTD_CHECKSUM = 0x04

/**
 * How many bytes Zstandard frames unpack to at the most; what is cut off is not all noticed here.
 * @throws RangeError where a header is cut off. Layout: RFC 8878.
 */
export function zstdMax(data: Buffer): number {
  let bytes = 0
  for (let at = 0; at < data.length; ) {
    const magic = data.readUInt32LE(at)
    if (isSkippable(magic)) {
      at += 8 + data.readUInt32LE(at + 4)
      continue
    }
    if (magic !== ZSTD_MAGIC) return Infinity
    const flags = data.readUInt8(at + 4)
    const single = flags & ZSTD_SINGLE_SEGMENT
    at += 5 + (single ? 0 : 1) + [0, 1, 2, 4][flags & 0x03]!
    const before = bytes
    const claimed = zstdClaim(data, at, single ? 1 : 0, flags >> 6)
    at += claimed.length
    for (let isLast = false; !isLast; ) {
      const header = data.readUIntLE(at, 3)
      const [type, size] = [(header >> 1) & 0x03, header >> 3]
      isLast = (header & 1) === 1
      if (size > ZSTD_BLOCK_BYTES_MAX) return Infinity
      bytes += type === 2 ? ZSTD_BLOCK_BYTES_MAX : size
      at += 3 + (type === 1 ? 1 : size)
    }
    // As much memory would be set aside.
    if (claimed.bytes > bytes - before) return Infinity
    at += flags & ZSTD_CHECKSUM ? 4 : 0
  }
  return bytes
}

/** How many bytes a frame says that it unpacks to, in a field of a length of its own; 0 where it does not. */
function zstdClaim(data: Buffer, at: number, least: number, code: number) {
  const length = [least, 2, 4, 8][code]!
  switch (length) {
    case 0:
      return { length, bytes: 0 }
    case 1:
      return { length, bytes: data.readUInt8(at) }
    case 2:
      return { length, bytes: data.readUInt16LE(at) + 256 }
    case 4:
      return { length, bytes: data.readUInt32LE(at) }
    default:
      return { length, bytes: Number(data.readBigUInt64LE(at)) }
  }
}
