import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { arena } from '../../../actors/executor/arena.ts'
import { unpackLz4 } from '../../../actors/executor/unpack.ts'

const MIB = 1024 * 1024

/** A frame of blocks as they are given: numbers of bytes that were left as they are, or compressed ones. */
function frame(blocks: { bytes: Buffer; isPacked?: boolean }[], flags = 0x60, size = 0x40): Buffer {
  const descriptor = Buffer.from([flags, size])
  const checksum = (Bun.hash.xxHash32(descriptor) >>> 8) & 0xff
  const parts: Buffer[] = [
    Buffer.from([0x04, 0x22, 0x4d, 0x18]),
    descriptor,
    Buffer.from([checksum]),
  ]
  for (const { bytes, isPacked } of blocks) {
    const length = Buffer.alloc(4)
    length.writeUInt32LE((bytes.length | (isPacked ? 0 : 0x80000000)) >>> 0)
    parts.push(length, bytes)
  }
  return Buffer.concat([...parts, Buffer.alloc(4)])
}

/** What the library makes of it; null for an error. */
function byLibrary(data: Buffer): Buffer | null {
  try {
    return decompressFrameSync(data)
  } catch {
    return null
  }
}

describe('a frame is unpacked to what was packed', () => {
  const contents = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    // Matches at every distance, and lengths that go on in further bytes.
    fc
      .array(
        fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 70 })),
        { maxLength: 12 },
      )
      .map((runs) =>
        Buffer.concat(runs.flatMap(([run, times]) => Array.from({ length: times }, () => run))),
      ),
    fc.nat({ max: 300_000 }).map((length) => Buffer.alloc(length, 'record, ')),
  )

  test('whatever it was', () => {
    fc.assert(
      fc.property(contents, (given) => {
        const content = Buffer.from(given)
        const unpacked = unpackLz4(compressFrameSync(content))!
        if (!unpacked.equals(content)) throw new Error('it is another')
        expect(arena().holds(unpacked)).toBe(true)
      }),
      { numRuns: 5_000 },
    )
  })

  test('with blocks that were left as they are', () => {
    const bytes = Buffer.from('some bytes')
    expect(unpackLz4(frame([{ bytes }, { bytes }]))!.toString()).toBe('some bytessome bytes')
  })

  test('by a match in the block before, where blocks may know of each other', () => {
    const packed = { bytes: Buffer.from([0x04, 0x08, 0x00, 0x10, 0x2e]), isPacked: true }
    const blocks = [{ bytes: Buffer.from('12345678') }, packed]
    expect(unpackLz4(frame(blocks, 0x40))!.toString()).toBe('1234567812345678.')
    expect(unpackLz4(frame(blocks, 0x60))).toBeNull()
  })
})

test('a damaged one is left, or unpacked to what the library makes of it', () => {
  const original = compressFrameSync(Buffer.from('{"a":1,"b":"some text"},'.repeat(40)))
  const edits = fc.array(fc.tuple(fc.nat({ max: original.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 3,
  })
  let unpacked = 0
  fc.assert(
    fc.property(edits, fc.nat({ max: original.length }), (changes, end) => {
      const data = Buffer.from(original)
      for (const [at, byte] of changes) data[at] = byte
      for (const damaged of [data, data.subarray(0, end)]) {
        const ours = unpackLz4(damaged)
        if (!ours) continue
        unpacked++
        const library = byLibrary(damaged)
        if (!library?.equals(ours)) throw new Error(`it is another: ${damaged.toString('hex')}`)
      }
    }),
    { numRuns: 20_000 },
  )
  expect(unpacked).toBeGreaterThan(1_000)
})

test.each([
  ['a checksum of its content', frame([{ bytes: Buffer.from('x') }], 0x64)],
  ['checksums of its blocks', frame([{ bytes: Buffer.from('x') }], 0x70)],
  ['its size', frame([{ bytes: Buffer.from('x') }], 0x68)],
  ['a dictionary', frame([{ bytes: Buffer.from('x') }], 0x61)],
  ['another version', frame([{ bytes: Buffer.from('x') }], 0xa0)],
  ['blocks of a size that there is not', frame([{ bytes: Buffer.from('x') }], 0x60, 0x30)],
  ['more than the arena has room for', compressFrameSync(Buffer.alloc(4 * MIB + 1))],
  ['another behind it', Buffer.concat([frame([{ bytes: Buffer.from('x') }]), frame([])])],
  ['a block of nothing', frame([{ bytes: Buffer.alloc(0) }, { bytes: Buffer.from('x') }])],
  ['no end', frame([{ bytes: Buffer.from('x') }]).subarray(0, -4)],
  ['nothing of LZ4', Buffer.from('no frame at all')],
])('one with %s is left to the library', (_, data) => {
  expect(unpackLz4(data)).toBeNull()
})

test('what the arena held is not taken to be there after a frame that breaks off', () => {
  const before = Buffer.from('before')
  arena().hold(before)
  expect(unpackLz4(compressFrameSync(Buffer.alloc(9_000, 'after ')).subarray(0, -4))).toBeNull()
  expect(arena().holds(before)).toBe(false)
})

test('records that were written over are not taken for those that are there', () => {
  const first = unpackLz4(compressFrameSync(Buffer.from('first')))!
  expect(arena().hold(first)).toBe(true)
  arena().hold(Buffer.from('second'))
  expect(() => arena().hold(first)).toThrow('these records were written over')
})

test('as much as the arena has room for is unpacked', () => {
  const content = Buffer.alloc(4 * MIB, 'to the last byte ')
  expect(unpackLz4(compressFrameSync(content))!.equals(content)).toBe(true)
})
