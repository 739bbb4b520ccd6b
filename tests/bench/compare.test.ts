import { expect, test } from 'bun:test'
import { comparisonText, compareRows, isEqual, type Row } from '../../bench/compare.ts'

const row = (start: number, values: Partial<Row> = {}): Row => ({
  start,
  course: 'Linear Algebra',
  activity: 'coding',
  total_loc: 120,
  avg_cpu: 50.25,
  events: 4,
  ...values,
})

test('the same rows in another order are equal', () => {
  const comparison = compareRows([row(0), row(5_000)], [row(5_000), row(0)])
  expect(isEqual(comparison)).toBe(true)
  expect(comparisonText(comparison)).toBe('all 2 rows equal')
})

test('an average may differ as floating point sums do, and no more', () => {
  expect(isEqual(compareRows([row(0)], [row(0, { avg_cpu: 50.25 * (1 + 9e-7) })]))).toBe(true)
  expect(compareRows([row(0)], [row(0, { avg_cpu: 50.25 * (1 + 2e-6) })]).differing).toBe(1)
})

test('an average that is not a number is different', () => {
  expect(compareRows([row(0)], [row(0, { avg_cpu: Number.NaN })]).differing).toBe(1)
})

test('sums and counts have to be exact', () => {
  expect(compareRows([row(0)], [row(0, { total_loc: 121 })]).differing).toBe(1)
  expect(compareRows([row(0)], [row(0, { events: 3 })]).differing).toBe(1)
})

test('rows are told apart by window, course and activity', () => {
  const expected = [
    row(0),
    row(0, { course: 'Data Structures' }),
    row(0, { activity: 'debugging' }),
  ]
  const comparison = compareRows(expected, [row(0), row(5_000)])
  expect(comparison).toMatchObject({ rows: 3, missing: 2, unexpected: 1, differing: 0 })
})

test('of an updated row the last one counts', () => {
  const updates = [row(0, { events: 1 }), row(0, { events: 3 }), row(0)]
  expect(compareRows([row(0)], updates)).toMatchObject({ differing: 0, eventsFound: 4 })
})

test('what is lost is told as a share of the events', () => {
  const comparison = compareRows([row(0), row(5_000)], [row(0, { events: 2 })])
  expect(comparison).toMatchObject({ eventsExpected: 8, eventsFound: 2 })
  expect(comparisonText(comparison)).toBe(
    'of 2 rows 1 missing, 0 unexpected, 1 different; 75.00 % of the events lost',
  )
})

test('what is counted twice is told as too many', () => {
  const comparison = compareRows([row(0)], [row(0, { events: 5 })])
  expect(comparisonText(comparison)).toContain('25.00 % of the events too many')
})
