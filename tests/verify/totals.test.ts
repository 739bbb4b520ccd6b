/** The counters of several shards as those of one job. */
import { expect, test } from 'bun:test'
import { sumOf, totalsOf } from '../../verify/pipeline.ts'

test('hashes are summed modulo 2^48, other counters as they are', () => {
  const [one, other] = [
    { counted: '3', hash: String(2 ** 48 - 1) },
    { counted: '4', hash: '2' },
  ]
  expect(sumOf([totalsOf(one), totalsOf(other)])).toMatchObject({ counted: 7, hash: 1 })
})
