/** Folding into aggregates that are sketches, and into those of a job's own. */
import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { Fold } from '../../../actors/executor/fold.ts'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { aggregate, count, defineJob } from '../../../actors/job.ts'
import { encodeState } from '../../../actors/windows/sketches.ts'
import { storedAt, valuesOf } from '../../../actors/windows/state.ts'
import { encodeBatch } from '../../support/batches.ts'

/** Population variance: from sums that merge. */
const variance = aggregate({
  parts: { n: 'sum', s: 'sum', q: 'sum', least: 'min' },
  of: ({ x }: { x?: number | null | undefined }) =>
    typeof x !== 'number' ? null : { n: 1, s: x, q: x * x, least: x },
  value: ({ n, s, q, least }) => (n === 0 ? null : { variance: q / n - (s / n) ** 2, least }),
})

const job = defineJob({
  name: 'sketched',
  topic: 'records',
  schema: v.object({ at: v.number(), s: v.any(), x: v.nullish(v.number()) }),
  eventTime: (record) => record.at,
  window: { size: '10 s' },
  groupBy: [],
  aggregates: ({ first, last, distinct, quantiles, topK, sum }) => ({
    n: count(),
    first: first('s'),
    spread: variance,
    last: last('s'),
    different: distinct((row) => row.s as string),
    x: quantiles('x', [0.5]),
    total: sum('x'),
    top: topK((row) => row.x, 1),
  }),
})

function fold(records: unknown[], partition = 3): Fold {
  const folded = new Fold(job, { closedTo: null, full: new Map() }, () => 1e12)
  folded.begin(partition)
  const values = records.map((record, offset) => ({ offset, value: JSON.stringify(record) }))
  const cursor = new RecordCursor(encodeBatch(values), 0, records.length)
  while (cursor.next() !== 'end') {
    const candidate = folded.check(cursor)
    if (candidate) folded.add(candidate, candidate.row, cursor)
  }
  return folded
}

/** The one group's values, by way of the bytes that are committed. */
function values(...folds: Fold[]) {
  const parts = folds.map(({ panes }) => {
    const { cells, sketches } = panes.get(0)!.groups[0]!
    return storedAt(job, encodeState(cells, sketches), 0)
  })
  return valuesOf(job, parts)
}

describe('a record', () => {
  test('goes into each of its aggregates', () => {
    const folded = fold([
      { at: 2_000, s: 'b', x: 2 },
      { at: 1_000, s: 'a', x: 4 },
      { at: 3_000, s: 'c', x: 2 },
      { at: 3_000, s: 'd' },
      { at: 500, s: null, x: null },
    ])
    expect(folded.counted).toBe(5)
    const found = values(folded)
    expect(found).toMatchObject({
      n: 5,
      first: 'a',
      spread: { variance: 8 - (8 / 3) ** 2, least: 2 },
      last: 'd',
      different: 4,
      total: 8,
      top: [{ value: 2, count: 2, error: 0 }],
    })
    expect((found.x as { p50: number }).p50).toBeCloseTo(2, 1)
  })

  test('of the same time is the first or last by its partition and offset', () => {
    const one = fold(
      [
        { at: 1, s: 'p1' },
        { at: 1, s: 'p1 again' },
      ],
      1,
    )
    const two = fold([{ at: 1, s: 'p2' }], 2)
    const ends = ({ first, last }: ReturnType<typeof values>) => [first, last]
    expect(ends(values(one, two))).toEqual(['p1', 'p2'])
    expect(ends(values(two, one))).toEqual(['p1', 'p2'])
  })

  test('is rejected where a value does not fit into a sketch', () => {
    const folded = fold([
      { at: 1, s: 'é'.repeat(129) },
      { at: 1, s: { no: 'text' } },
      { at: 1, s: '\ud800' },
      { at: 1, s: 'fits', x: 2 ** 52 },
      { at: 1, s: 'fits', x: 1 },
    ])
    expect(
      folded.rejects.map(({ offset, reason, message }) => [offset, reason, message.slice(0, 6)]),
    ).toEqual([
      [0, 'value', 'first:'],
      [1, 'value', 'first:'],
      [2, 'value', 'first:'],
      [3, 'value', 'spread'],
    ])
    expect(values(folded)).toMatchObject({ n: 1, different: 1 })
  })
})

test('a commit is bounded by what its sketches cost to merge', () => {
  const few = fold([{ at: 1, s: 'a', x: 1 }])
  expect(few.merges).toBeGreaterThan(9)
  const many = fold(Array.from({ length: 400 }, (_, i) => ({ at: 1, s: `s${i}`, x: i + 1 })))
  expect(many.merges - few.merges).toBeGreaterThan(60)
})

test('a value of the job that throws does not keep other values from being read', () => {
  const bad = defineJob({
    name: 'bad',
    topic: 't',
    schema: v.object({ at: v.number() }),
    groupBy: [],
    eventTime: (row) => row.at,
    window: { size: '1 s' },
    aggregates: {
      n: count(),
      own: aggregate({
        parts: { n: 'sum' },
        of: () => ({ n: 1 }),
        value: () => {
          throw new Error('no')
        },
      }),
    },
  })
  expect(valuesOf(bad, [])).toEqual({ n: 0, own: null })
})
