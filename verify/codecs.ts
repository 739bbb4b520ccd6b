/**
 * Kafka's codecs for reading, apart from the pipeline's: kafkajs brings gzip. Snappy comes framed
 * like xerial's Java library does it, or as one raw block from librdkafka; LZ4 comes in frames.
 */
import kafkajs from 'kafkajs'
import { decompressFrameSync } from 'lz4-napi'
import { uncompressSync } from 'snappy'

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
/** Magic, version, compatible version. */
const XERIAL_HEADER_BYTES = 16

const codec = (decompress: (batch: Buffer) => Uint8Array) => () => ({
  compress: () => Promise.reject(new Error('registered for reading only')),
  // A rejection, not a throw: kafkajs waits for a promise.
  decompress: async (batch: Buffer) => Buffer.from(decompress(batch)),
})

/** After this kafkajs's consumers read every codec of Kafka. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.Snappy] = codec(unsnap)
  CompressionCodecs[CompressionTypes.LZ4] = codec((batch) => decompressFrameSync(batch))
  CompressionCodecs[CompressionTypes.ZSTD] = codec((batch) => Bun.zstdDecompressSync(batch))
}

export function unsnap(batch: Buffer): Buffer {
  if (!batch.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return rawBlock(batch)
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEADER_BYTES; at < batch.length; ) {
    const end = at + 4 + batch.readInt32BE(at)
    blocks.push(rawBlock(batch.subarray(at + 4, end)))
    at = end
  }
  return Buffer.concat(blocks)
}

const rawBlock = (block: Buffer): Buffer => Buffer.from(uncompressSync(block, { asBuffer: true }))
