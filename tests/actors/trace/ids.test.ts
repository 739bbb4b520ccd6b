import { expect, test } from 'bun:test'
import { spanId, traceOf } from '../../../actors/trace/ids.ts'

const entries = Array.from({ length: 20_000 }, (_, k) => [k % 7, k * 500] as const)

test('ids are those of all versions: bridges and executors of two may work together', () => {
  expect(traceOf('students', 3, 1_000, 1)).toEqual({
    traceId: '876b40c6687be50a11953ff76a6b1106',
    rootId: '5398f465de9f5a13',
  })
  expect(spanId('5398f465de9f5a13', 'fold', 'executor-1', 1_000)).toBe('dff1f7bb2292dd16')
})

test('entries of other jobs, partitions and offsets have other ids', () => {
  const ids = ['a', 'b'].flatMap((job) =>
    entries.slice(0, 2_000).map(([p, from]) => traceOf(job, p, from, 1)!.traceId),
  )
  expect(new Set(ids).size).toBe(ids.length)
})

test('about the share is traced, and what a smaller share traces a greater one does too', () => {
  const traced = (share: number) =>
    new Set(entries.flatMap(([p, from]) => traceOf('job', p, from, share)?.traceId ?? []))
  const [few, some, all] = [traced(0.01), traced(0.1), traced(1)]
  // 200 and 2,000 are expected; five standard deviations.
  expect(Math.abs(few.size - 200)).toBeLessThan(70)
  expect(Math.abs(some.size - 2_000)).toBeLessThan(210)
  expect(all.size).toBe(entries.length)
  expect(few.isSubsetOf(some)).toBe(true)
  expect(traced(0).size).toBe(0)
})
