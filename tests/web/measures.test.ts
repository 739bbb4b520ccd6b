import { expect, test } from 'bun:test'
// @ts-expect-error The page is JavaScript, without declarations.
import { defaultMeasure, measuresOf, valueOf } from '../../web/page/measures.js'

const aggregates = [
  { name: 'last', kind: 'last' },
  { name: 'ms', kind: 'quantiles', quantiles: ['p50', 'p99.9'] },
  { name: 'pages', kind: 'topK' },
  { name: 'n', kind: 'count' },
]
const values = {
  last: 'x',
  ms: { p50: 3, 'p99.9': null },
  pages: [{ value: 'a', count: 1, error: 0 }],
  n: 7,
}

test('measures of a row are its numbers, each quantile one of them', () => {
  const measures = measuresOf(aggregates)
  expect(measures.map(({ name }: { name: string }) => name)).toEqual([
    'ms · p50',
    'ms · p99.9',
    'n',
  ])
  expect(measures.map((measure: unknown) => valueOf(values, measure))).toEqual([3, null, 7])
  expect(valueOf({}, measures[0])).toBeNull()
})

test('the first that is shown is the number of records, where the job counts them', () => {
  expect(defaultMeasure(aggregates).name).toBe('n')
  expect(defaultMeasure(aggregates.slice(0, 2)).name).toBe('ms · p50')
  expect(defaultMeasure([aggregates[0]]).name).toBe('')
})
