import { expect, test } from 'bun:test'
import type { TopEntry } from '../../actors/windows/kinds.ts'
import { canBeSame } from '../../versions/same.ts'

const top = (error: number, counts: Record<string, number>): TopEntry[] =>
  Object.entries(counts).map(([value, count]) => ({ value, count, error }))

const same = (one: TopEntry[], other: TopEntry[], most = 3) =>
  canBeSame(
    [one, other],
    [
      { kind: 'topK', most },
      { kind: 'topK', most },
    ],
  )

test('the most frequent agree where their errors allow it', () => {
  expect(same(top(1, { a: 5, b: 3 }), top(2, { a: 4, b: 2 }))).toBeTrue()
  // a came five times at the least, and four at the most.
  expect(same(top(1, { a: 5 }), top(1, { a: 3 }))).toBeFalse()
  expect(same(top(2, { a: 3 }), top(0, { a: 5 }))).toBeTrue()
  expect(same(top(2, { a: 3 }), top(0, { a: 6 }))).toBeFalse()
})

test('a value that only one names came no oftener than the other’s list leaves room for', () => {
  // Not full: what the other does not name came as often as its counts may lack.
  expect(same(top(1, { a: 9, b: 2 }), top(2, { a: 8 }))).toBeTrue()
  expect(same(top(1, { a: 9, b: 3 }), top(2, { a: 8 }))).toBeFalse()
  // Full: as often as the last that is named.
  expect(same(top(1, { a: 9, b: 3 }), top(1, { a: 9, c: 3 }), 2)).toBeTrue()
  expect(same(top(1, { a: 9, b: 5 }), top(1, { a: 9, c: 3 }), 2)).toBeFalse()
  // Nothing named: nothing known of how much was lost.
  expect(same(top(2, { a: 1 }), [])).toBeTrue()
})

test('counts that lack nothing must be equal, and so must everything else', () => {
  expect(same(top(0, { a: 2, b: 1 }), top(0, { a: 2, c: 1 }), 2)).toBeFalse()
  expect(same(top(0, { a: 2 }), top(0, { a: 2 }))).toBeTrue()
  expect(canBeSame([1, 2], [{ kind: 'count' }, { kind: 'count' }])).toBeFalse()
  expect(
    canBeSame([top(2, { a: 1 }), 1], [{ kind: 'topK', most: 1 }, { kind: 'count' }]),
  ).toBeFalse()
})
