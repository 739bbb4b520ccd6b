import { expect, test } from 'bun:test'
import { seriesOf, sparkline } from '../../status/sparkline.ts'
import { sampleAt } from '../supervisor/views.ts'
import { now } from './looks.ts'

test('blocks from nothing to the most; what is not known is a space', () => {
  expect(sparkline([0, 1, 50, null, 100])).toBe('▁▂▅ █')
  expect(sparkline([0, 0, 0])).toBe('▁▁▁')
  expect(sparkline([null, null])).toBe('  ')
  // However little, it is more than nothing.
  expect(sparkline([1, 1_000_000])).toBe('▂█')
})

test('a cell a step: the newest sample in it, the one before for a while, else unknown', () => {
  // cells end at  -4 s   -3 s   -2 s   -1 s    now
  // samples              -3.5     -2.1 -2.0
  const samples = [
    sampleAt(now - 3_500, { waiting: 7 }),
    sampleAt(now - 2_100, { waiting: 8 }),
    sampleAt(now - 2_000, { waiting: 9 }),
  ]
  const span = { to: now, cells: 5, stepMs: 1_000 }
  expect(seriesOf(samples, span, 1_500, ({ waiting }) => waiting)).toEqual([null, 7, 9, 9, null])
  const befores = seriesOf(samples, span, 1_500, (_, before) => before?.waiting ?? null)
  expect(befores).toEqual([null, null, 8, 8, null])
})
