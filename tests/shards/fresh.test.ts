import { expect, test } from 'bun:test'
import { beginTogether } from '../../actors/bridge/origin.ts'
import { keysOf } from '../../actors/keys.ts'
import { loadJob } from '../../actors/load.ts'
import { uniqueName } from '../../faults/names.ts'
import { connect, silentLog } from '../support/redis.ts'

test('the word to begin anew is for all shards where one of them has lost its ledger', async () => {
  const store = await connect()
  const job = { ...(await loadJob('jobs/students.ts')), name: uniqueName('fresh') }
  const keys = keysOf(job.name, 3)
  const begin = (fresh: boolean) => beginTogether({ store, keys, job, fresh, log: silentLog })
  const left = async () => (await store.redis.keys(`millrace:{${job.name}/*}:*`)).length
  for (const shard of keys.shards) {
    await store.redis.hset(shard.ledger, 'shape', 'x')
    await store.redis.hset(shard.panes, '0', '1')
    await store.redis.hset(shard.pane(0), '["a"]', 'cell')
  }
  await store.redis.hset(keys.clock, 'closedTo', '1')
  await store.redis.xadd(keys.closed, '*', 'end', '1')
  await begin(true)
  expect(await left()).toBe(11)
  await store.redis.del(keys.shards[1]!.ledger)
  await begin(false)
  expect(await left()).toBe(10)
  await begin(true)
  expect(await left()).toBe(0)
  await store.close()
})
