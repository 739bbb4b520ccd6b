import { describe, expect, test } from 'bun:test'
import { delayBucket, delayBucketsMs } from '../../actors/messages.ts'
import { delayQuantile, delaysBetween } from '../../supervisor/latency.ts'

/** A histogram with so many records of each delay. */
const histogram = (records: Record<number, number>) =>
  delayBucketsMs.map((_, k) =>
    Object.entries(records).reduce(
      (sum, [ms, n]) => sum + (delayBucket(Number(ms)) === k ? n : 0),
      0,
    ),
  )

const executor = (id: string, records: Record<number, number>) => ({
  id,
  delays: histogram(records),
  eventDelays: [],
})

describe('result delay', () => {
  test('of what was committed in between, by those that ended and those that began too', () => {
    const before = [
      executor('stays', { 16: 100 }),
      executor('ends', { 16: 50 }),
      executor('forgotten', { 1_024: 9 }),
    ]
    const now = [
      executor('stays', { 16: 100, 64: 3 }),
      executor('ends', { 16: 50, 1_024: 2 }),
      executor('begins', { 64: 4 }),
    ]
    expect(delaysBetween(before, now)).toEqual(histogram({ 64: 7, 1_024: 2 }))
  })

  test('quantiles: the upper bound of the bucket; null without a record', () => {
    const delays = histogram({ 16: 99, 1_024: 2 })
    expect(delayQuantile(delays, 0.5)).toBe(16)
    expect(delayQuantile(delays, 0.99)).toBe(1_024)
    expect(delayQuantile(histogram({ 16: 99, 1_024: 1 }), 0.99)).toBe(16)
    expect(delayQuantile(histogram({}), 0.5)).toBeNull()
    expect(delayQuantile([], 0.99)).toBeNull()
  })
})
