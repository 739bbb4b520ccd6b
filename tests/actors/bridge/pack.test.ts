import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { bounds } from '../../../actors/config.ts'
import { Cost } from '../../../actors/bridge/cost.ts'
import { pack } from '../../../actors/bridge/pack.ts'
import type { RawBatch } from '../../../actors/fetched.ts'

const batch = (from: number, to: number, records = to - from, bytes = 10): RawBatch => ({
  from,
  to,
  records,
  bytes: Buffer.alloc(bytes, from & 0xff),
})

const spans = (entries: ReturnType<typeof pack>) =>
  entries.map(({ from, to, records }) => [from, to, records])

describe('packing', () => {
  test('puts small batches together and keeps their bytes in order', () => {
    const batches = [batch(0, 3), batch(3, 4), batch(4, 9)]
    const entries = pack(0, batches, { bytes: 100, records: 100 })
    expect(spans(entries)).toEqual([[0, 9, 9]])
    expect(entries[0]!.payload).toEqual(Buffer.concat(batches.map(({ bytes }) => bytes)))
  })

  describe('of what one fetch brought', () => {
    const fetched = Buffer.from(Array.from({ length: 60 }, (_, i) => i))
    const part = (from: number, at: number, bytes = 10): RawBatch => ({
      ...batch(from, from + 1),
      bytes: fetched.subarray(at, at + bytes),
    })
    const payloads = (batches: RawBatch[], bytes = 100) =>
      pack(0, batches, { bytes, records: 100 }).map(({ payload }) => payload)

    test('sends batches that follow each other as they lie there', () => {
      const [payload, ...others] = payloads([part(0, 5), part(1, 15, 7), part(2, 22)])
      expect(payload).toEqual(fetched.subarray(5, 32))
      expect(payload!.buffer).toBe(fetched.buffer)
      expect(others).toEqual([])
    })

    test('leaves out what lies between batches', () => {
      const batches = [part(0, 0), part(1, 10), part(2, 30)]
      const expected = Buffer.concat([fetched.subarray(0, 20), fetched.subarray(30, 40)])
      expect(payloads(batches)).toEqual([expected])
      expect(payloads(batches, 20)).toEqual([fetched.subarray(0, 20), fetched.subarray(30, 40)])
    })

    test('does not take one place of two buffers for a neighbour', () => {
      const other = Buffer.from(fetched).fill(99)
      const batches = [part(0, 0), { ...part(1, 10), bytes: other.subarray(10, 20) }]
      const expected = Buffer.concat([fetched.subarray(0, 10), other.subarray(10, 20)])
      expect(payloads(batches)).toEqual([expected])
    })

    test('keeps the order of batches that lie the other way round', () => {
      const expected = Buffer.concat([fetched.subarray(10, 20), fetched.subarray(0, 10)])
      expect(payloads([part(0, 10), part(1, 0)])).toEqual([expected])
    })
  })

  test('starts an entry where the next batch would be too many bytes or records', () => {
    const batches = [batch(0, 3), batch(3, 6), batch(6, 9)]
    expect(spans(pack(0, batches, { bytes: 20, records: 100 }))).toEqual([
      [0, 6, 6],
      [6, 9, 3],
    ])
    expect(spans(pack(0, batches, { bytes: 100, records: 5 }))).toEqual([
      [0, 3, 3],
      [3, 6, 3],
      [6, 9, 3],
    ])
  })

  test('lets a single larger batch go whole', () => {
    const entries = pack(0, [batch(0, 2, 2, 500), batch(2, 3)], { bytes: 100, records: 100 })
    expect(spans(entries)).toEqual([
      [0, 2, 2],
      [2, 3, 1],
    ])
  })

  test('covers gaps between batches, and in front of the first', () => {
    const batches = [batch(5, 8), batch(20, 22, 1), batch(30, 31)]
    expect(spans(pack(2, batches, { bytes: 20, records: 100 }))).toEqual([
      [2, 22, 4],
      [22, 31, 1],
    ])
  })

  test('counts what a fetch inside of a batch leaves of it', () => {
    expect(spans(pack(7, [batch(0, 10)], { bytes: 100, records: 100 }))).toEqual([[7, 10, 3]])
  })

  test('splits a batch of costly records, each part with the whole batch', () => {
    const one = batch(0, 10)
    const entries = pack(0, [one], { bytes: 100, records: 3 })
    expect(spans(entries)).toEqual([
      [0, 2, 3],
      [2, 5, 2],
      [5, 7, 3],
      [7, 10, 2],
    ])
    expect(entries.every(({ payload }) => payload === one.bytes)).toBe(true)
  })

  test('tiles the offsets exactly, for any batches and limits', () => {
    const shape = fc.record({
      gap: fc.nat(4),
      span: fc.integer({ min: 1, max: 40 }),
      thinned: fc.nat(39),
      bytes: fc.integer({ min: 1, max: 60 }),
    })
    const limits = fc.record({
      bytes: fc.integer({ min: 1, max: 200 }),
      records: fc.integer({ min: 1, max: 50 }),
    })
    fc.assert(
      fc.property(
        fc.array(shape, { maxLength: 12 }),
        limits,
        fc.nat(39),
        (shapes, limits, skip) => {
          let next = 0
          const batches = shapes.map(({ gap, span, thinned, bytes }) => {
            const from = next + gap
            next = from + span
            return batch(from, next, Math.max(1, span - thinned), bytes)
          })
          // The position is in front of, or inside, the first batch.
          const position = Math.min(skip, Math.max(0, (batches[0]?.to ?? 1) - 1))
          const entries = pack(position, batches, limits)
          let at = position
          for (const { from, to, records, payload } of entries) {
            expect(from).toBe(at)
            expect(to).toBeGreaterThan(from)
            expect(records).toBeGreaterThan(0)
            expect(records).toBeLessThanOrEqual(limits.records)
            const inside = batches.filter((one) => one.from < to && one.to > from)
            expect(payload.equals(Buffer.concat(inside.map(({ bytes }) => bytes)))).toBe(true)
            if (inside.length > 1) expect(payload.length).toBeLessThanOrEqual(limits.bytes)
            at = to
          }
          expect(at).toBe(batches.at(-1)?.to ?? position)
          const announced = entries.reduce((sum, entry) => sum + entry.records, 0)
          const first = batches[0]
          const left = first
            ? Math.min(first.records, first.to - Math.max(first.from, position))
            : 0
          const others = batches.slice(1).reduce((sum, { records }) => sum + records, 0)
          expect(announced).toBe(left + others)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('the cost of records', () => {
  test('is taken for high where the job has work, low where it has none', () => {
    expect(new Cost(true).recordsPerEntry).toBe(1)
    expect(new Cost(false).recordsPerEntry).toBe(bounds.entryRecordsMax)
  })

  test('is learned from the executors’ counters, step by step', () => {
    const cost = new Cost(true)
    cost.learn(0, 0, 0)
    for (let at = 1; at <= 60; at++) cost.learn(at * 1_000_000, at * 200, at * 1_000)
    expect(cost.recordsPerEntry).toBe(10) // 5 ms each
  })

  test('does not move while nothing is committed, nor by looks that are too close', () => {
    const cost = new Cost(true)
    cost.learn(0, 0, 0)
    cost.learn(9_000_000, 0, 1_000)
    cost.learn(9_000_100, 1_000_000, 1_100)
    expect(cost.recordsPerEntry).toBe(1)
  })
})
