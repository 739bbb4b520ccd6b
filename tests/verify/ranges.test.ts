/**
 * Ranges against sets of single offsets.
 */
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { clip, include, type Range, type Ranges, subtract } from '../../verify/ranges.ts'

const range = fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 8 }))
const rangesOf = (parts: [number, number][]): Ranges => {
  const ranges: Ranges = new Map()
  for (const [from, length] of parts) include(ranges, 0, { from, to: from + length })
  return ranges
}
const offsetsOf = (ranges: readonly Range[] = []) =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))

test('include and subtract are those of sets, in order and joined', () => {
  fc.assert(
    fc.property(fc.array(range), fc.array(range), (some, others) => {
      const all = rangesOf(some)
      const cut = rangesOf(others)
      const wanted = new Set(
        some.flatMap(([from, n]) => Array.from({ length: n }, (_, i) => from + i)),
      )
      expect(offsetsOf(all.get(0))).toEqual([...wanted].sort((a, b) => a - b))
      const held = all.get(0) ?? []
      for (const [i, one] of held.slice(1).entries()) expect(one.from).toBeGreaterThan(held[i]!.to)
      const without = new Set(offsetsOf(cut.get(0)))
      expect(offsetsOf(subtract(all, cut).get(0))).toEqual(
        [...wanted].filter((offset) => !without.has(offset)).sort((a, b) => a - b),
      )
    }),
  )
})

test('clip keeps what lies between', () => {
  const ranges = [
    { from: 0, to: 5 },
    { from: 7, to: 9 },
  ]
  expect(clip(ranges, { from: 3, to: 8 })).toEqual([
    { from: 3, to: 5 },
    { from: 7, to: 8 },
  ])
  expect(clip(ranges, { from: 5, to: 7 })).toEqual([])
})
