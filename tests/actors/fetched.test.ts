import { describe, expect, test } from 'bun:test'
import { decodeFetch } from '../../actors/fetched.ts'
import {
  type BatchRecord,
  controlBatch,
  encodeBatch,
  encodeFetch,
  type FetchPartition,
} from '../support/batches.ts'

const records = (from: number, count: number): BatchRecord[] =>
  Array.from({ length: count }, (_, i) => ({ offset: from + i, value: `v${from + i}` }))

/** What a fetch of one partition from `offset` on is decoded to. */
function decode(data: Buffer, offset = 0, more: Partial<FetchPartition> = {}) {
  const response = encodeFetch('topic', [{ partition: 0, data, ...more }])
  return decodeFetch(response, new Map([[0, offset]])).partitions[0]!
}

const spans = (fetched: ReturnType<typeof decode>) =>
  fetched.batches.map(({ from, to, records }) => [from, to, records])

describe('a fetch response', () => {
  test('is cut into its batches, byte for byte', () => {
    const batches = [encodeBatch(records(0, 3)), encodeBatch(records(3, 2), { codec: 'zstd' })]
    const fetched = decode(Buffer.concat(batches), 0, { high: 9, stable: 7, logStart: 0 })
    expect(fetched).toMatchObject({ partition: 0, error: null, high: 7, logStart: 0, next: 5 })
    expect(spans(fetched)).toEqual([
      [0, 3, 3],
      [3, 5, 2],
    ])
    expect(fetched.batches.map(({ bytes }) => bytes.equals(batches.shift()!))).toEqual([true, true])
  })

  test('keeps partitions apart, with their errors', () => {
    const response = encodeFetch('topic', [
      { partition: 2, data: encodeBatch(records(10, 1)), high: 11 },
      { partition: 0, data: Buffer.alloc(0), errorCode: 1, high: -1 },
      { partition: 1, data: Buffer.alloc(0), high: 4 },
    ])
    const offsets = new Map([
      [0, 99],
      [1, 4],
      [2, 10],
    ])
    const { partitions } = decodeFetch(response, offsets)
    expect(partitions.map(({ partition, error, next }) => [partition, error, next])).toEqual([
      [2, null, 11],
      [0, 'OFFSET_OUT_OF_RANGE', 99],
      [1, null, 4],
    ])
  })

  test('that fails as a whole throws Kafka’s error', () => {
    const response = encodeFetch('topic', [], 29)
    expect(() => decodeFetch(response, new Map())).toThrow(/not authorized/i)
  })

  test('leaves a batch that is cut off to the next fetch', () => {
    const first = encodeBatch(records(0, 3))
    const second = encodeBatch(records(3, 3))
    for (const kept of [0, 1, 11, 12, 60, 61, second.length - 1]) {
      const fetched = decode(Buffer.concat([first, second.subarray(0, kept)]))
      expect(spans(fetched)).toEqual([[0, 3, 3]])
      expect(fetched.next).toBe(3)
    }
  })

  test('that begins inside a batch keeps that batch, and none before it', () => {
    const data = Buffer.concat([encodeBatch(records(0, 5)), encodeBatch(records(5, 5))])
    expect(spans(decode(data, 7))).toEqual([[5, 10, 5]])
    expect(decode(data, 7).next).toBe(10)
  })

  test('passes over a batch that compaction emptied', () => {
    const data = Buffer.concat([
      encodeBatch([], { from: 0, to: 10 }),
      encodeBatch(records(10, 1), { to: 20 }),
    ])
    expect(spans(decode(data))).toEqual([[10, 20, 1]])
    expect(decode(data).next).toBe(20)
  })

  test('of messages older than Kafka 0.11 is refused', () => {
    const data = encodeBatch(records(0, 1))
    data[16] = 1
    expect(() => decode(data)).toThrow('the topic holds messages of Kafka before 0.11')
  })
})

describe('a damaged batch', () => {
  const values = (from: number, count: number) => encodeBatch(records(from, count))
  const flipped = (batch: Buffer, at: number) => {
    const copy = Buffer.from(batch)
    copy[at] = copy[at]! ^ 0x40
    return copy
  }
  /** Reads on until nothing is left, as the bridge does. */
  function readAll(data: Buffer, high: number): [number, number, number][] {
    const found: [number, number, number][] = []
    for (let next = 0; next < high; ) {
      const fetched = decode(data, next, { high })
      found.push(...spans(fetched).map((span) => span as [number, number, number]))
      expect(fetched.next).toBeGreaterThan(next)
      next = fetched.next
    }
    return found
  }
  const whole = [values(0, 3), values(3, 4), values(7, 2)]
  const expected: [number, number, number][] = [
    [0, 3, 3],
    [3, 7, 4],
    [7, 9, 2],
  ]

  test('has the offsets up to the next one, whichever byte is wrong', () => {
    const middle = whole[1]!
    for (let at = 17; at < middle.length; at++) {
      const data = Buffer.concat([whole[0]!, flipped(middle, at), whole[2]!])
      expect(readAll(data, 9)).toEqual(expected)
    }
  })

  test('with nothing behind it ends where its own fields agree', () => {
    const last = flipped(whole[2]!, 80)
    expect(spans(decode(last, 7, { high: 9 }))).toEqual([[7, 9, 2]])
  })

  test('whose end is not to be told is left until more is behind it, and refused when it is alone', () => {
    const last = Buffer.from(whole[2]!)
    last.writeInt32BE(40, 23)
    expect(decode(Buffer.concat([whole[1]!, last]), 3, { high: 9 }).next).toBe(7)
    const refusal = /record batch at offset 7 of partition 0 is damaged: where it ends/
    expect(() => decode(last, 7, { high: 9 })).toThrow(refusal)
  })

  test('whose number of offsets alone is wrong is whole again by what follows it', () => {
    const middle = Buffer.from(whole[1]!)
    middle.writeInt32BE(1, 23)
    const { batches } = decode(Buffer.concat([whole[0]!, middle, whole[2]!]), 0, { high: 9 })
    expect(batches[1]!.bytes.equals(whole[1]!)).toBe(true)
    expect(batches.length).toBe(3)
  })

  test('whose length is wrong stops the job instead of being waited for', () => {
    for (const length of [-5, 0, 20, 1_000_000]) {
      const first = Buffer.from(whole[0]!)
      first.writeInt32BE(length, 8)
      const refusal = new RegExp(`at offset 0 of partition 0 .* it has ${length + 12} bytes`)
      expect(() => decode(first, 0, { high: 9 })).toThrow(refusal)
      // What is in front of it is taken first.
      const second = Buffer.from(whole[1]!)
      second.writeInt32BE(length, 8)
      expect(decode(Buffer.concat([whole[0]!, second]), 0, { high: 9 }).next).toBe(3)
    }
  })

  test('that ends a transaction does not abort the next one', () => {
    const own = { producer: 7n, transactional: true }
    const data = Buffer.concat([
      encodeBatch(records(0, 2), own),
      flipped(controlBatch(2, 7n, 'abort'), 60),
      encodeBatch(records(3, 2), own),
      controlBatch(5, 7n, 'commit'),
    ])
    const fetched = decode(data, 0, { high: 6, aborted: [{ producer: 7n, from: 0 }] })
    expect(fetched.next).toBe(3)
    expect(spans(decode(data, 3, { high: 6 }))).toEqual([[3, 5, 2]])
  })
})

describe('transactions', () => {
  const inTransaction = (from: number, count: number, producer: bigint) =>
    encodeBatch(records(from, count), { producer, transactional: true })

  test('that were aborted are left out, and the offsets go on past them', () => {
    const data = Buffer.concat([
      inTransaction(0, 2, 7n),
      encodeBatch(records(2, 1)),
      inTransaction(3, 2, 7n),
      controlBatch(5, 7n, 'abort'),
      inTransaction(6, 2, 7n),
      controlBatch(8, 7n, 'commit'),
    ])
    const fetched = decode(data, 0, { aborted: [{ producer: 7n, from: 0 }] })
    expect(spans(fetched)).toEqual([
      [2, 3, 1],
      [6, 8, 2],
    ])
    expect(fetched.next).toBe(9)
  })

  test('of several producers are told apart', () => {
    const data = Buffer.concat([
      inTransaction(0, 1, 1n),
      inTransaction(1, 1, 2n),
      controlBatch(2, 2n, 'commit'),
      inTransaction(3, 1, 2n),
      controlBatch(4, 1n, 'abort'),
      inTransaction(5, 1, 1n),
      controlBatch(6, 1n, 'commit'),
      controlBatch(7, 2n, 'abort'),
    ])
    const aborted = [
      { producer: 2n, from: 3 },
      { producer: 1n, from: 0 },
    ]
    expect(spans(decode(data, 0, { aborted }))).toEqual([
      [1, 2, 1],
      [5, 6, 1],
    ])
  })

  test('twice aborted by one producer are both left out', () => {
    const data = Buffer.concat([
      inTransaction(0, 1, 1n),
      controlBatch(1, 1n, 'abort'),
      inTransaction(2, 1, 1n),
      controlBatch(3, 1n, 'abort'),
      inTransaction(4, 1, 1n),
      controlBatch(5, 1n, 'commit'),
    ])
    const aborted = [
      { producer: 1n, from: 0 },
      { producer: 1n, from: 2 },
    ]
    const fetched = decode(data, 0, { aborted })
    expect(spans(fetched)).toEqual([[4, 5, 1]])
    expect(fetched.next).toBe(6)
  })

  test('do not touch records outside of them by the same producer', () => {
    const data = Buffer.concat([
      encodeBatch(records(0, 1), { producer: 1n }),
      inTransaction(1, 1, 1n),
      controlBatch(2, 1n, 'abort'),
    ])
    expect(spans(decode(data, 0, { aborted: [{ producer: 1n, from: 0 }] }))).toEqual([[0, 1, 1]])
  })

  test('with nothing but markers still move the offset', () => {
    const data = controlBatch(41, 3n, 'commit')
    expect(decode(data, 41)).toMatchObject({ batches: [], next: 42 })
  })
})
