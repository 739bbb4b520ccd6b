import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { firstCall, type Part, together } from '../../../actors/bridge/calls.ts'
import { bounds } from '../../../actors/config.ts'

const KIB = 1_024
const MAX = 2 * bounds.entryBytes

/** A part with an entry for each payload's length, of `records` records each. */
function part(partition: number, lengths: number[], records = 10): Part {
  const entries = lengths.map((length, i) => ({
    from: i * 10,
    to: (i + 1) * 10,
    records,
    payload: Buffer.alloc(length),
  }))
  const next = lengths.length * 10
  return { partition, from: 0, next, high: next, entries, since: 0 }
}

/** All calls that a list of parts becomes. */
function callsOf(parts: Part[], recordsMax = Infinity): Part[][] {
  const calls: Part[][] = []
  for (let left = parts; left.length > 0; ) {
    const { call, rest } = firstCall(left, recordsMax)
    expect(call.length).toBeGreaterThan(0)
    calls.push(call)
    left = rest
  }
  return calls
}

const shape = (calls: Part[][]) =>
  calls.map((call) => call.map(({ partition, from, next }) => [partition, from, next]))

test('partitions that bring little go together', () => {
  const parts = [part(0, [100]), part(1, [200, 300]), part(2, [])]
  expect(together(parts)).toEqual([parts])
  expect(firstCall(parts, Infinity)).toEqual({ call: parts, rest: [] })
})

test('one that brings much goes beside the others', () => {
  const lists = together([part(0, [300 * KIB]), part(1, [300 * KIB]), part(2, [1])])
  expect(lists.map((list) => list.map(({ partition }) => partition))).toEqual([[0], [1, 2]])
})

test('a part too large for one call goes on where the one before ended', () => {
  const calls = callsOf([part(0, [200 * KIB, 200 * KIB, 200 * KIB, 200 * KIB]), part(1, [1])])
  expect(shape(calls)).toEqual([
    [[0, 0, 20]],
    [
      [0, 20, 40],
      [1, 0, 10],
    ],
  ])
})

test('an entry larger than a call goes alone', () => {
  expect(shape(callsOf([part(0, [1, 2 * MAX, 1])]))).toEqual([
    [[0, 0, 10]],
    [[0, 10, 20]],
    [[0, 20, 30]],
  ])
})

test('a call has about as many records as a quota lets it have, and an entry at the least', () => {
  const parts = [part(0, [1, 1], 40), part(1, [1], 40), part(2, [1], 900)]
  expect(shape(callsOf(parts, 100))).toEqual([[[0, 0, 20]], [[1, 0, 10]], [[2, 0, 10]]])
})

test('a call has 64 entries at the most, and a partition that only moves counts as one', () => {
  const many = Array.from({ length: 100 }, (_, p) => part(p, p % 2 === 0 ? [1] : []))
  const calls = callsOf(many)
  expect(calls.map((call) => call.length)).toEqual([64, 36])
})

test('whatever comes, each part is appended whole, in order, and no call is larger than it may be', () => {
  const lengths = fc.array(fc.oneof(fc.nat(1_000), fc.nat(MAX + 9)), { maxLength: 9 })
  const anyParts = fc.array(fc.tuple(lengths, fc.integer({ min: 1, max: 50 })), { maxLength: 12 })
  fc.assert(
    fc.property(anyParts, fc.constantFrom(1, 60, Infinity), (drawn, recordsMax) => {
      const parts = drawn.map(([sizes, records], p) => part(p, sizes, records))
      const lists = together(parts)
      expect(lists.flat()).toEqual(parts)
      for (const list of lists) {
        const calls = callsOf(list, recordsMax)
        for (const whole of list) {
          const pieces = calls.flat().filter(({ partition }) => partition === whole.partition)
          expect(pieces[0]!.from).toBe(whole.from)
          expect(pieces.at(-1)!.next).toBe(whole.next)
          for (const [i, piece] of pieces.slice(1).entries())
            expect(piece.from).toBe(pieces[i]!.next)
          expect(pieces.flatMap(({ entries }) => entries)).toEqual(whole.entries)
        }
        for (const call of calls) {
          const entries = call.flatMap((one) => one.entries)
          const bytes = entries.reduce((sum, { payload }) => sum + payload.length, 0)
          const records = entries.reduce((sum, one) => sum + one.records, 0)
          expect(entries.length < 2 || (bytes <= MAX && records <= recordsMax)).toBe(true)
        }
      }
    }),
    { numRuns: 200 },
  )
})
