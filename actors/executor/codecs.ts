/**
 * The codecs of record batches. Each is bounded before it unpacks, because a small batch can claim to
 * hold terabytes: what would unpack to more than the limit is refused by name.
 */
import { bounds } from '../config.ts'
import { lz4Max, zstdMax } from './frames.ts'

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = Exclude<(typeof codecs)[number], 'none'>

const UNPACKED_BYTES_MAX = bounds.unpackedBytesMax

/** @throws Error where the data is damaged or unpacks to too much */
export function decompress(codec: Codec, data: Buffer): Buffer {
  switch (codec) {
    case 'gzip':
      return bounded(codec, () => zlib().gunzipSync(data, { maxOutputLength: UNPACKED_BYTES_MAX }))
    case 'zstd':
      return unzstd(data)
    case 'lz4':
      if (lz4Max(data) > UNPACKED_BYTES_MAX) throw tooMuch(codec)
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

/** Bun's takes two thirds of the time, but no limit, and does not say what is wrong. */
function unzstd(data: Buffer): Buffer {
  try {
    if (zstdMax(data) <= UNPACKED_BYTES_MAX) return Bun.zstdDecompressSync(data)
  } catch {
    // It is damaged, or has something behind it: Node's judges that.
  }
  return bounded('zstd', () =>
    zlib().zstdDecompressSync(data, { maxOutputLength: UNPACKED_BYTES_MAX }),
  )
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

// Loaded by the first batch that needs them: an executor starts faster.
const zlib = (): typeof import('node:zlib') => require('node:zlib')
const lz4 = (): typeof import('lz4-napi') => require('lz4-napi')
const snappy = (): typeof import('snappy') => require('snappy')
