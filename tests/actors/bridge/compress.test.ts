import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { decompressFrameSync } from 'lz4-napi'
import { Compressor } from '../../../actors/bridge/compress.ts'
import { pack } from '../../../actors/bridge/pack.ts'
import { bounds } from '../../../actors/config.ts'
import { decodeFetch, type RawBatch } from '../../../actors/fetched.ts'
import { HEADER_BYTES } from '../../../actors/record-batch.ts'
import {
  type BatchOptions,
  type BatchRecord,
  encodeBatch,
  encodeFetch,
  sealed,
} from '../../support/batches.ts'
import { walk } from '../../support/walk.ts'

const LARGE = 300
const records = (from: number, count = LARGE): BatchRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    offset: from + i,
    value: `{"at":${from + i},"who":"somebody that comes again","loc":1.5}`,
    timestamp: 1_700_000_000_000 + i,
  }))

/** What cannot become smaller. */
const noise = (offset: number): BatchRecord[] => [
  { offset, value: randomBytes(bounds.compressBytesMin) },
]

/** As the bridge has them from Kafka. */
function fetched(...batches: Buffer[]): RawBatch[] {
  const response = encodeFetch('topic', [
    { partition: 0, data: Buffer.concat(batches), high: 10_000 },
  ])
  return decodeFetch(response, new Map([[0, 0]])).partitions[0]!.batches
}

const bytesOf = (batches: RawBatch[]) => batches.map(({ bytes }) => bytes)
const compress = (batches: RawBatch[]) => new Compressor().compress(0, batches)

describe('a batch that is compressed on its way', () => {
  test.each<[string, BatchOptions]>([
    ['as any', {}],
    ['stamped by the broker', { appendTime: 1_700_000_123_456 }],
    ['of a transaction', { transactional: true, producer: 77n }],
    ['that compaction shortened', { from: 3, to: 900 }],
  ])('is one that a producer could have sent: %s', (_, options) => {
    const [from, all] = [10, records(10)]
    const sent = encodeBatch(all, { from, ...options })
    const [batch] = compress(fetched(sent))
    const { bytes } = batch!
    const unpacked = decompressFrameSync(bytes.subarray(HEADER_BYTES))
    expect(unpacked).toEqual(sent.subarray(HEADER_BYTES))
    // Between the length and the records only the CRC and the codec are others.
    const producers = encodeBatch(all, { from, ...options, codec: 'lz4' })
    const ours = sealed(
      Buffer.concat([bytes.subarray(0, HEADER_BYTES), producers.subarray(HEADER_BYTES)]),
    )
    ours.writeInt32BE(producers.length - 12, 8)
    expect(ours).toEqual(producers)
    expect(sealed(Buffer.from(bytes))).toEqual(bytes)
    expect(bytes.length).toBeLessThan(sent.length / 4)
    expect({ ...batch!, bytes: sent }).toEqual(fetched(sent)[0]!)
  })

  test('has a block of whichever size', () => {
    for (const kib of [9, 63, 64, 65, 256, 257, 1_024, 1_025, 4_090]) {
      const value = Buffer.alloc(kib * 1_024 - 100, 'again and again ')
      const sent = encodeBatch([{ offset: 0, value }])
      const { bytes } = compress(fetched(sent))[0]!
      expect(bytes.length).toBeLessThan(sent.length / 4)
      const unpacked = decompressFrameSync(bytes.subarray(HEADER_BYTES))
      expect(unpacked.equals(sent.subarray(HEADER_BYTES))).toBe(true)
      expect(walk(bytes, 0, 1)).toMatchObject([{ offset: 0, value: value.toString() }])
    }
  })

  test('has the same records, whatever they are, in whichever part of it', () => {
    const value = fc.oneof(
      fc.constant(null),
      fc.string({ maxLength: 400 }),
      fc.constantFrom('x'.repeat(5_000), '{"a":1}'.repeat(800)),
    )
    const places = fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 40 }))
    const property = fc.property(
      fc.array(fc.tuple(value, fc.integer({ min: 1, max: 3 }), fc.nat()), {
        minLength: 1,
        maxLength: 40,
      }),
      places,
      (made, [one, other]) => {
        let offset = 0
        const all = made.map(([value, step, timestamp]) => ({
          offset: (offset += step),
          value,
          timestamp,
        }))
        const before = fetched(encodeBatch(all))
        const [from, to] = [Math.min(one, other), Math.max(one, other) + 1]
        const read = (batches: RawBatch[]) => walk(Buffer.concat(bytesOf(batches)), from, to)
        expect(read(compress(before))).toEqual(read(before))
      },
    )
    fc.assert(property, { numRuns: 300 })
  })

  test('is packed by what it has become', () => {
    const batches = fetched(...[0, 1, 2, 3].map((i) => encodeBatch(records(i * LARGE))))
    const limits = { bytes: batches[0]!.bytes.length, records: 10_000 }
    expect(pack(0, batches, limits)).toHaveLength(4)
    const entries = pack(0, compress(batches), limits)
    expect(entries.map(({ from, to, records }) => [from, to, records])).toEqual([
      [0, 4 * LARGE, 4 * LARGE],
    ])
    expect(walk(entries[0]!.payload, 0, 4 * LARGE)).toHaveLength(4 * LARGE)
  })
})

describe('a batch stays as it is', () => {
  test('where it is small', () => {
    const batches = fetched(encodeBatch(records(0, 3)))
    expect(compress(batches)).toEqual(batches)
  })

  test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('where its producer took %s', (codec) => {
    const all = Array.from({ length: 20 }, (_, i) => noise(i)[0]!)
    const batches = fetched(encodeBatch(all, { codec }))
    expect(batches[0]!.bytes.length).toBeGreaterThan(bounds.compressBytesMin)
    expect(compress(batches)).toEqual(batches)
  })

  test('where it is larger than a block can be', () => {
    const bytes = Buffer.alloc(4 * 1024 * 1024 + HEADER_BYTES + 1)
    const batches: RawBatch[] = [{ from: 0, to: 1, records: 1, bytes }]
    expect(compress(batches)[0]!.bytes).toBe(bytes)
  })

  test('where it is damaged: its CRC goes on to say so', () => {
    const damaged = encodeBatch(records(0))
    damaged[damaged.length - 40]! ^= 1
    const batches = fetched(damaged, encodeBatch(records(LARGE)))
    expect(batches[0]).toMatchObject({ from: 0, to: LARGE, isDamaged: true })
    const [first] = compress(batches)
    expect(first!.bytes).toEqual(damaged)
    const message = 'CRC-32C of the record batch does not match'
    expect(walk(first!.bytes, 0, LARGE)).toEqual([
      { corrupt: [0, bounds.commitRejectsMax], message },
      { corrupt: [bounds.commitRejectsMax, LARGE], message },
    ])
  })

  test('where it does not become smaller, and its partition’s next fifteen with it', () => {
    const compressor = new Compressor()
    const through = (partition: number, batch: Buffer) => {
      const [given] = fetched(batch)
      return compressor.compress(partition, [given!])[0]!.bytes.length < batch.length
    }
    const small = encodeBatch(records(0))
    expect(through(1, encodeBatch(noise(0)))).toBe(false)
    expect(through(2, small)).toBe(true)
    const shrunk = Array.from({ length: 17 }, () => through(1, small))
    expect(shrunk).toEqual([...Array<boolean>(15).fill(false), true, true])
  })
})
