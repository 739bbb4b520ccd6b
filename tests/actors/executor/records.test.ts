import { describe, expect, test } from 'bun:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrameSync, compressSync as lz4CompressSync } from 'lz4-napi'
import { compressSync as snappyCompressSync } from 'snappy'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { type BatchRecord, type Codec, encodeBatch, sealed } from '../../support/batches.ts'
import { type Step, walk } from '../../support/walk.ts'

const codecs: Codec[] = ['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd']
const T = 1_700_000_000_000

const values = (steps: Step[]) => steps.map((step) => ('value' in step ? step.value : 'corrupt'))
const offsets = (steps: Step[]) => steps.map((step) => ('offset' in step ? step.offset : -1))

const records = (from: number, count: number): BatchRecord[] =>
  Array.from({ length: count }, (_, i) => ({ offset: from + i, value: `v${from + i}` }))

describe('a batch', () => {
  test.each(codecs)('compressed with %s gives back its records', (codec) => {
    const batch = encodeBatch(
      [
        { offset: 40, value: 'plain', timestamp: T },
        { offset: 41, value: null, key: 'gone', timestamp: T - 5 },
        { offset: 42, value: '', key: '', timestamp: T + 70_000 },
        { offset: 43, value: 'é'.repeat(500), key: Buffer.alloc(300, 1), timestamp: 0 },
        {
          offset: 44,
          value: '{}',
          headers: [
            ['trace', 'x'.repeat(200)],
            ['none', null],
          ],
        },
      ],
      { codec },
    )
    expect(walk(batch, 40, 45)).toEqual([
      { offset: 40, timestamp: T, value: 'plain' },
      { offset: 41, timestamp: T - 5, value: null },
      { offset: 42, timestamp: T + 70_000, value: '' },
      { offset: 43, timestamp: 0, value: 'é'.repeat(500) },
      { offset: 44, timestamp: T, value: '{}' },
    ])
  })

  test('that the broker stamped has one time for all records', () => {
    const given = [1, 2, 3].map((offset) => ({ offset, value: 'x', timestamp: T + offset }))
    const steps = walk(encodeBatch(given, { appendTime: T + 99 }), 1, 4)
    expect(steps.map((step) => ('timestamp' in step ? step.timestamp : 0))).toEqual([
      T + 99,
      T + 99,
      T + 99,
    ])
  })

  test('of fewer records than none is told to be corrupt', () => {
    const batch = encodeBatch(records(0, 3))
    batch.writeInt32BE(-1, 57)
    expect(walk(sealed(batch), 0, 3)).toEqual([
      { corrupt: [0, 3], message: 'the batch says that it has -1 records' },
    ])
  })

  test('that compaction thinned out keeps its offsets', () => {
    const kept = [3, 7, 8, 4_000].map((offset) => ({ offset, value: String(offset) }))
    const batch = encodeBatch(kept, { from: 0, to: 5_000 })
    expect(offsets(walk(batch, 0, 5_000))).toEqual([3, 7, 8, 4_000])
    expect(offsets(walk(batch, 4, 8))).toEqual([7])
  })

  test('gives only records inside of the entry, wherever that begins and ends', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom(...codecs)), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.nat(3),
        fc.nat(50),
        fc.nat(50),
        (shapes, gap, start, length) => {
          let next = 0
          const all: number[] = []
          const payload = Buffer.concat(
            shapes.map(([count, codec]) => {
              const own = records(next, count)
              all.push(...own.map(({ offset }) => offset))
              next += count + gap
              return encodeBatch(own, { codec })
            }),
          )
          const inside = all.filter((offset) => offset >= start && offset < start + length)
          expect(offsets(walk(payload, start, start + length))).toEqual(inside)
        },
      ),
    )
  })

  test('with offsets and times far beyond 2³² is exact', () => {
    const base = 2 ** 45
    const batch = encodeBatch([
      { offset: base, value: 'a', timestamp: 253_402_300_799_999 },
      { offset: base + 70_000, value: 'b', timestamp: -62_135_596_800_000 },
    ])
    expect(walk(batch, base, base + 70_001)).toEqual([
      { offset: base, timestamp: 253_402_300_799_999, value: 'a' },
      { offset: base + 70_000, timestamp: -62_135_596_800_000, value: 'b' },
    ])
  })
})

describe('damage', () => {
  test('of one byte is found, named once for its batch, and costs no other batch', () => {
    const damaged = encodeBatch(records(10, 5))
    damaged[damaged.length - 2]! ^= 1
    const payload = Buffer.concat([
      encodeBatch(records(0, 3)),
      damaged,
      encodeBatch(records(15, 2), { codec: 'lz4' }),
    ])
    const steps = walk(payload, 0, 17)
    expect(values(steps)).toEqual(['v0', 'v1', 'v2', 'corrupt', 'v15', 'v16'])
    expect(steps[3]).toEqual({
      corrupt: [10, 15],
      message: 'CRC-32C of the record batch does not match',
    })
  })

  test('is told only for offsets that are the entry’s', () => {
    const damaged = encodeBatch(records(10, 5))
    damaged[70]! ^= 1
    expect(walk(damaged, 12, 14)).toMatchObject([{ corrupt: [12, 14] }])
  })

  test.each(codecs.filter((codec) => codec !== 'none'))(
    'behind a right CRC, in %s, is refused',
    (codec) => {
      const batch = encodeBatch(records(0, 50), { codec })
      batch.fill(0xff, 61)
      const steps = walk(sealed(batch), 0, 50)
      expect(steps).toHaveLength(1)
      expect(steps[0]).toMatchObject({ corrupt: [0, 50] })
    },
  )

  test('of a large batch is told in parts, as many as a commit can take', () => {
    const own = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({ offset: from + i, value: null }))
    const damaged = encodeBatch(own(0, 450))
    damaged[70]! ^= 1
    const payload = Buffer.concat([damaged, encodeBatch(records(450, 1))])
    const spans = (from: number, to: number) =>
      walk(payload, from, to).map((step) => ('corrupt' in step ? step.corrupt : step.offset))
    expect(spans(0, 451)).toEqual([[0, 200], [200, 400], [400, 450], 450])
    expect(spans(100, 350)).toEqual([
      [100, 300],
      [300, 350],
    ])
    expect(spans(450, 451)).toEqual([450])
  })

  test('of a record’s length leaves the records before it', () => {
    const batch = encodeBatch(records(0, 4))
    // Records of one length each: 10 bytes with their length byte.
    const size = (batch.length - 61) / 4
    batch[61 + 2 * size] = 0x7e
    expect(values(walk(sealed(batch), 0, 4))).toEqual(['v0', 'v1', 'corrupt'])
    expect(walk(sealed(batch), 0, 4)[2]).toMatchObject({ corrupt: [2, 4] })
  })

  test('of an unknown codec is named', () => {
    const batch = encodeBatch(records(0, 2))
    batch.writeInt16BE(5, 21)
    expect(walk(sealed(batch), 0, 2)).toEqual([
      { corrupt: [0, 2], message: 'compression 5 of the batch is not known' },
    ])
  })

  test('by a cut is refused with all records that it took', () => {
    const whole = Buffer.concat([encodeBatch(records(0, 2)), encodeBatch(records(2, 3))])
    const first = encodeBatch(records(0, 2)).length
    for (let length = first + 1; length < whole.length; length++) {
      const steps = walk(whole.subarray(0, length), 0, 5)
      expect(values(steps)).toEqual(['v0', 'v1', 'corrupt'])
      expect(steps[2]).toMatchObject({ corrupt: [2, 5] })
    }
  })

  // What lies in front of the CRC can't be checked by it: only the length has its own check.
  test('of any kind behind a batch’s offset ends, and no offset comes twice', () => {
    const given = Buffer.concat([encodeBatch(records(0, 5)), encodeBatch(records(5, 5))])
    const size = given.length / 2
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: size - 1 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 255 }),
        (at, second, mask) => {
          const bytes = Buffer.from(given)
          bytes[second ? at + size : at]! ^= mask
          const seen = walk(bytes, 0, 10).flatMap((step) => {
            if ('offset' in step) return [step.offset]
            const [from, to] = step.corrupt
            expect(to).toBeGreaterThanOrEqual(from)
            return Array.from({ length: to - from }, (_, i) => from + i)
          })
          expect(new Set(seen).size).toBe(seen.length)
          expect(seen.every((offset) => offset >= 0 && offset < 10)).toBe(true)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('a batch that would unpack to far too much', () => {
  const header = encodeBatch(records(0, 1), { codec: 'none' }).subarray(0, 61)
  const withData = (codec: number, data: Buffer) => {
    const batch = Buffer.concat([header, data])
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt16BE(codec, 21)
    return sealed(batch)
  }
  const zeros = () => Buffer.alloc(257 * 2 ** 20)
  /** As snappy-java frames it: each block alone is small enough. */
  const xerial = (blocks: number, bytes: number) => {
    const block = snappyCompressSync(Buffer.alloc(bytes))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    const head = Buffer.from('82534e41505059000000000100000001', 'hex')
    return Buffer.concat([
      head,
      ...Array.from({ length: blocks }, () => Buffer.concat([length, block])),
    ])
  }

  test.each([
    ['gzip', () => withData(1, gzipSync(zeros(), { level: 1 }))],
    ['snappy', () => withData(2, snappyCompressSync(zeros()))],
    ['xerial', () => withData(2, xerial(257, 2 ** 20))],
    ['lz4', () => withData(3, compressFrameSync(zeros()))],
    ['zstd', () => withData(4, zstdCompressSync(zeros()))],
  ])('%s: is refused before it does', (_, make) => {
    const cursor = new RecordCursor(make(), 0, 1)
    const before = process.memoryUsage.rss()
    expect(cursor.next()).toBe('corrupt')
    expect(process.memoryUsage.rss() - before).toBeLessThan(300 * 2 ** 20)
    expect(cursor.corrupt?.message).toMatch(/the \w+ batch unpacks to more than 256 MB/)
    expect(cursor.next()).toBe('end')
  })

  test('snappy: that claims more than its bytes can hold sets no memory aside', () => {
    const claim = Buffer.from([0xff, 0xff, 0xff, 0x7f, 0])
    expect(walk(withData(2, claim), 0, 1)).toMatchObject([
      { message: 'a snappy block claims more than it can hold' },
    ])
  })

  test('lz4: blocks that could hold too much and do not are unpacked', () => {
    const values = records(0, 40).map(({ offset }) => ({
      offset,
      value: crypto.getRandomValues(Buffer.alloc(24 * 1024)).toString('hex'),
    }))
    const plain = encodeBatch(values)
    // Blocks of 4 MB at the most, of which each has 8 KB: told by their number, they are 450 MB.
    const descriptor = Buffer.from([0x60, 0x70])
    const blocks: Buffer[] = []
    for (let at = 61; at < plain.length; at += 16 * 1024) {
      const block = lz4CompressSync(plain.subarray(at, at + 16 * 1024)).subarray(4)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(block.length)
      blocks.push(length, block)
    }
    expect(blocks.length / 2).toBeGreaterThan(100)
    const frame = Buffer.concat([
      Buffer.from([0x04, 0x22, 0x4d, 0x18]),
      descriptor,
      Buffer.from([(Bun.hash.xxHash32(descriptor) >> 8) & 0xff]),
      ...blocks,
      Buffer.alloc(4),
    ])
    const batch = Buffer.concat([plain.subarray(0, 61), frame])
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt16BE(3, 21)
    expect(offsets(walk(sealed(batch), 0, 40))).toEqual(values.map(({ offset }) => offset))
  })
})
