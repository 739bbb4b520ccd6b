import { describe, expect, test } from 'bun:test'
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { bounds } from '../../../actors/config.ts'
import { decompress } from '../../../actors/executor/codecs.ts'
import { zstdMax } from '../../../actors/executor/frames.ts'

const contents = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  fc.nat({ max: 400_000 }).map((length) => Buffer.alloc(length, 'record, ')),
  fc.nat({ max: 400_000 }).map((length) => Buffer.alloc(length)),
)
const params = fc
  .record({
    level: fc.integer({ min: 1, max: 6 }),
    checksum: fc.nat({ max: 1 }),
    size: fc.nat({ max: 1 }),
  })
  .map(({ level, checksum, size }) => ({
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_checksumFlag]: checksum,
    [constants.ZSTD_c_contentSizeFlag]: size,
  }))

/** As clients that write a frame before they know how long it will be. */
async function streamed(pieces: Buffer[]): Promise<Buffer> {
  const stream = createZstdCompress()
  for (const piece of pieces) stream.write(piece)
  stream.end()
  return Buffer.concat((await Array.fromAsync(stream)) as Buffer[])
}

const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7])

describe('zstd', () => {
  test('gives back what was packed, and is never more than is told before', () => {
    fc.assert(
      fc.property(contents, params, (content, params) => {
        const packed = zstdCompressSync(content, { params })
        expect(zstdMax(packed)).toBeGreaterThanOrEqual(content.length)
        expect(zstdMax(packed)).toBeLessThan(content.length + 2 * 128 * 1024)
        if (!decompress('zstd', packed).equals(content)) throw new Error('it is another')
      }),
      { numRuns: 500 },
    )
  })

  test('of frames that do not say how long they are, one behind the other', async () => {
    const pieces = ['first '.repeat(99), 'second '.repeat(50_000)].map((text) => Buffer.from(text))
    const frames = await Promise.all([streamed(pieces), streamed([Buffer.from('third')])])
    const all = Buffer.concat([skippable, ...frames])
    expect(zstdMax(all)).toBeLessThan(bounds.unpackedBytesMax)
    expect(decompress('zstd', all).toString()).toBe(`${pieces.join('')}third`)
  })

  test('that is damaged has the same fate as with the library alone', () => {
    const params = { [constants.ZSTD_c_checksumFlag]: 1 }
    const original = zstdCompressSync(Buffer.from('{"a":1,"b":"text"},'.repeat(80)), { params })
    const outcome = (unpack: () => Buffer): string => {
      try {
        return unpack().toString('hex')
      } catch (error) {
        return String(error)
      }
    }
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 })
    fc.assert(
      fc.property(edits, fc.nat({ max: original.length }), (changes, end) => {
        const data = Buffer.from(original)
        for (const [at, byte] of changes) data[at % data.length] = byte
        for (const damaged of [data, data.subarray(0, end), Buffer.concat([data, skippable])]) {
          expect(outcome(() => decompress('zstd', damaged))).toBe(
            outcome(() =>
              zstdDecompressSync(damaged, { maxOutputLength: bounds.unpackedBytesMax }),
            ),
          )
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('that claims more than its blocks can hold sets no memory aside', () => {
    // One segment, a size of eight bytes, and one block of no bytes.
    const claim = Buffer.alloc(8)
    claim.writeBigUInt64LE(2n ** 40n)
    const frame = Buffer.concat([
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0]),
      claim,
      Buffer.from([1, 0, 0]),
    ])
    expect(zstdMax(frame)).toBe(Infinity)
    expect(() => decompress('zstd', frame)).toThrow()
  })

  test('with blocks that are larger than there are is the library’s to judge', () => {
    // One byte again and again, two million times.
    const header = Buffer.alloc(3)
    header.writeUIntLE((0x1f_ffff << 3) | (1 << 1) | 1, 0, 3)
    const frame = Buffer.concat([
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]),
      header,
      Buffer.from([7]),
    ])
    expect(zstdMax(frame)).toBe(Infinity)
  })
})
