import { expect, test } from 'bun:test'
import { compressSync } from 'snappy'
import { unsnap } from '../../verify/codecs.ts'

const text = Buffer.from('records '.repeat(5_000))

test('snappy as one raw block, as librdkafka writes it', () => {
  expect(unsnap(compressSync(text)).equals(text)).toBe(true)
})

test("snappy in xerial's frames, as Java producers write it", () => {
  const frames = [text.subarray(0, 32_768), text.subarray(32_768)].flatMap((block) => {
    const compressed = compressSync(block)
    const length = Buffer.alloc(4)
    length.writeInt32BE(compressed.length)
    return [length, compressed]
  })
  // Magic, version 1, compatible from version 1.
  const header = Buffer.from('82534e41505059000000000100000001', 'hex')
  expect(unsnap(Buffer.concat([header, ...frames])).equals(text)).toBe(true)
})
