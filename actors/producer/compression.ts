/**
 * Compression of what we send. kafkajs brings gzip; the other codecs of Kafka are registered here,
 * for writing only: what reads batches has its own decoders.
 */
import kafkajs from 'kafkajs'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'

export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof compressions)[number]

// kafkajs hands its encoder over; `buffer` holds the records.
type Encoder = { buffer: Buffer }

const codec = (compress: (records: Buffer) => Uint8Array) => () => ({
  compress: (encoder: Encoder) => Promise.resolve(Buffer.from(compress(encoder.buffer))),
  decompress: () => Promise.reject(new Error('registered for writing only')),
})

const codecs = {
  snappy: codec((records) => compressSync(records)),
  // Kafka reads LZ4 in frames, not in blocks.
  lz4: codec((records) => compressFrameSync(records)),
  zstd: codec((records) => Bun.zstdCompressSync(records)),
}

const { CompressionCodecs, CompressionTypes } = kafkajs

/** kafkajs's name for a codec, which it can use from now on. */
export function compressionType(compression: Compression): kafkajs.CompressionTypes {
  switch (compression) {
    case 'none':
      return CompressionTypes.None
    case 'gzip':
      return CompressionTypes.GZIP
    case 'snappy':
      CompressionCodecs[CompressionTypes.Snappy] = codecs.snappy
      return CompressionTypes.Snappy
    case 'lz4':
      CompressionCodecs[CompressionTypes.LZ4] = codecs.lz4
      return CompressionTypes.LZ4
    case 'zstd':
      CompressionCodecs[CompressionTypes.ZSTD] = codecs.zstd
      return CompressionTypes.ZSTD
    default:
      return compression satisfies never
  }
}
