/** Somebody removes from Redis what a job needs, under the job's feet. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { GROUP } from '../../../actors/keys.ts'
import { Shard } from '../../support/shard.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('lost')
  await it.register(0)
  await it.append(0, 0, [
    { from: 0, to: 3 },
    { from: 3, to: 5 },
  ])
})
afterEach(() => it.end())

test('the group is destroyed: it is measured, nobody owns anything, and all comes again once', async () => {
  const entries = await it.read('e1')
  await it.redis.xgroup('DESTROY', it.keys.entries, GROUP)
  expect(await it.measure()).toMatchObject({ entries: 2, pending: 0, orphaned: 0 })
  const slices = entries.map((entry) => ({ entry }))
  expect(await it.commit({ me: 'e1', slices })).toEqual(['lost', ...entries.map(({ id }) => id)])
  expect(await it.call('leave', 'e1', '{}')).toBe(1)
  await it.call('enter', 'e2')
  const again = (await it.read('e2')).map((entry) => ({ entry }))
  expect(await it.commit({ me: 'e2', slices: again })).toEqual(['ok'])
  const { totals } = await it.measure()
  expect(totals).toMatchObject({ appended: 5, committed: 5, waiting: 0 })
})

test('the stream is deleted or trimmed: the bridge is told how many entries are gone', async () => {
  await it.redis.xtrim(it.keys.entries, 'MAXLEN', 1)
  expect(await it.call('seen', 0, 9)).toEqual(['vanished', '1'])
  await it.redis.del(it.keys.entries)
  expect(await it.call('seen', 0, 9)).toEqual(['vanished', '2'])
  expect(await it.call('open', 'topic-id', 'shape', 0, 0, 9)).toEqual(['vanished', '2'])
})

test("Redis's clock is set ahead or back: partitions are not idle by it, and the watermark stays", async () => {
  await it.commit({ slices: (await it.read('e1')).map((entry) => ({ entry, max: 1_000 })) })
  await it.call('seen', 0, 5)
  expect(await it.advance()).toMatchObject({ watermark: 1_000, holder: '0' })
  for (const minutes of [10, -10]) {
    const { '0:seenAt': seenAt, '0:dataAt': dataAt } = await it.ledger()
    // As if Redis had been so far behind, or ahead, until now.
    const set = (time: string | undefined) => Number(time) - minutes * 60_000
    await it.redis.hset(it.keys.ledger, '0:seenAt', set(seenAt), '0:dataAt', set(dataAt))
    await it.call('seen', 0, 5)
    expect(await it.advance()).toMatchObject({ watermark: 1_000, holder: '0' })
    const { '0:dataAt': now } = await it.ledger()
    expect(Number(now)).toBeGreaterThanOrEqual(Number(dataAt))
  }
})

test("Redis's clock was set back: leases of the time before end as soon as any other", async () => {
  const lateMs = 600_000
  await it.redis.set(`${it.keys.base}:leader`, 'dead', 'PX', lateMs)
  expect(await it.call('lead', 'leader', 'me', 3_000)).toBe('dead')
  expect(await it.redis.pttl(`${it.keys.base}:leader`)).toBeLessThanOrEqual(3_000)
  await it.read('e1')
  await it.redis.zadd(it.keys.leases, Date.now() + lateMs, 'e1')
  expect(await it.claim('e2')).toEqual([])
  expect(Number(await it.redis.zscore(it.keys.leases, 'e1'))).toBeLessThan(Date.now() + 10_000)
})
