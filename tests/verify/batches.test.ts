/**
 * Damaged batches as the verification reads them: by kafkajs's decoder with a check in front of it.
 */
import { describe, expect, test } from 'bun:test'
import Decoder from 'kafkajs/src/protocol/decoder'
import decodeBatch from 'kafkajs/src/protocol/recordBatch/v0/decoder'
import { checked, isCorrupt } from '../../verify/batches.ts'
import { rejection } from '../support/rejection.ts'
import { encodeBatch, sealed } from '../support/batches.ts'

const HEADER_BYTES = 61
const decode = checked(decodeBatch)
const three = (from: number) =>
  encodeBatch([0, 1, 2].map((i) => ({ offset: from + i, value: `v${from + i}` })))

interface Decoded {
  offset: string
  value: Buffer | null
}

/** Offsets and values of all batches; `corrupt` where a record can't be read. */
async function read(...batches: Buffer[]): Promise<[number, string][]> {
  const bytes = Buffer.concat(batches)
  const decoder = new Decoder(bytes)
  const found: [number, string][] = []
  while (decoder.offset < bytes.length) {
    for (const { offset, value } of (await decode(decoder)).records as Decoded[]) {
      found.push([Number(offset), isCorrupt(value) ? 'corrupt' : String(value)])
    }
  }
  return found
}

function flipped(batch: Buffer, at: number): Buffer {
  const copy = Buffer.from(batch)
  copy[at]! ^= 0x10
  return copy
}

const whole = (from: number) => [0, 1, 2].map((i) => [from + i, `v${from + i}`])
const corrupt = (from: number) => [0, 1, 2].map((i) => [from + i, 'corrupt'])

describe('a batch', () => {
  test('that is whole is decoded as ever', async () => {
    expect(await read(three(0), three(3))).toEqual([...whole(0), ...whole(3)] as [number, string][])
  })

  test('whose records or header are damaged is corrupt at each of its offsets', async () => {
    for (const at of [21, 22, 30, 45, HEADER_BYTES, HEADER_BYTES + 12]) {
      const found = await read(three(0), flipped(three(3), at), three(6))
      expect(found).toEqual([...whole(0), ...corrupt(3), ...whole(6)] as [number, string][])
    }
  })

  test('whose count alone is damaged ends where the next begins', async () => {
    const found = await read(flipped(three(0), 58), three(3))
    expect(found).toEqual([...corrupt(0), ...whole(3)] as [number, string][])
  })

  test('whose last offset alone is damaged is mended by the next', async () => {
    expect(await read(flipped(three(0), 25), three(3))).toEqual([...whole(0), ...whole(3)] as [
      number,
      string,
    ][])
  })

  test('that does not say where it ends waits for the next', async () => {
    expect((await rejection(read(flipped(three(0), 25)))).name).toBe('KafkaJSPartialMessageError')
  })

  test('that can not be unpacked is corrupt, though its checksum is right', async () => {
    const packed = encodeBatch([{ offset: 0, value: 'v'.repeat(500) }], { codec: 'gzip' })
    packed.fill(0xff, HEADER_BYTES)
    expect(await read(sealed(packed), three(1))).toEqual([
      [0, 'corrupt'],
      ...(whole(1) as [number, string][]),
    ])
  })
})
