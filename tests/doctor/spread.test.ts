/** How shards lie on the masters of a cluster, judged. */
import { expect, test } from 'bun:test'
import { judgeAway, judgeSpread } from '../../doctor/spread.ts'

const masters = (...shards: number[][]) =>
  shards.map((served, i) => ({ address: `m${i}:6379`, shards: served }))

test('a master that serves several while another serves none is warned of', () => {
  const [finding] = judgeSpread(masters([0, 2], [1], []))
  expect(finding).toMatchObject({
    level: 'warning',
    found: '0, 2 at m0:6379; 1 at m1:6379; none at m2:6379',
  })
})

test('evenly, or with fewer shards than masters, is as it should be', () => {
  expect(judgeSpread(masters([0, 2], [1, 3]))[0]).toMatchObject({ level: 'ok' })
  expect(judgeSpread(masters([0], [1], []))[0]).toMatchObject({ level: 'ok' })
})

test('nothing is said of one server, or of one shard', () => {
  expect(judgeSpread(masters([0, 1]))).toEqual([])
  expect(judgeSpread(masters([0], []))).toEqual([])
})

test('a shard whose master is away stops the job, and it waits for it', () => {
  expect(judgeAway([])).toEqual([])
  expect(judgeAway([{ shard: 2, error: 'Connection is closed.' }])).toMatchObject([
    { level: 'fatal', waits: true, found: 'shard 2 does not answer: Connection is closed.' },
  ])
})
