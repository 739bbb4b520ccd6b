/** POST /api/quotas: what may be said, and what becomes of it. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { openWeb, post, type Web } from './setup.ts'

let web: Web
beforeEach(async () => {
  web = await openWeb('quotas')
})
afterEach(() => web.end())

const ask = (body: unknown) => web.json('/api/quotas', post(body))

test('sets one or both, as the supervisor and the bridge go by them, and wakes the supervisor', async () => {
  const { store, keys } = web.seeded
  await store.call('lead', keys.base, ['leader', 's1', 60_000])
  expect(await ask({ recordsPerSecond: 500, memoryMib: 64 })).toEqual({
    status: 200,
    body: { recordsPerSecond: 500, memoryMib: 64 },
  })
  expect((await ask({ recordsPerSecond: 9 })).status).toBe(200)
  expect(await store.redis.hgetall(keys.control)).toMatchObject({
    quotaRecordsPerSecond: '9',
    quotaMemoryMib: '64',
  })
  expect(await store.redis.xlen(keys.mailbox('supervisor'))).toBeGreaterThan(0)
  const { body } = await web.json('/api/status')
  expect(body.quota).toEqual({
    recordsPerSecond: 9,
    memoryBytes: 64 * 2 ** 20,
    usedBytes: null,
    heldBy: null,
  })
})

test('a pace that is changed begins anew: nobody waits for the one before', async () => {
  const { store, keys } = web.seeded
  await store.redis.hset(keys.quota, 'due', '9')
  await ask({ memoryMib: 5 })
  expect(await store.redis.hget(keys.quota, 'due')).toBe('9')
  await ask({ recordsPerSecond: 0 })
  expect(await store.redis.hexists(keys.quota, 'due')).toBe(0)
})

test.each([
  [{}, 'recordsPerSecond'],
  [{ recordsPerSecond: -1 }, 'recordsPerSecond must be a whole number from 0 to 10000000'],
  [{ memoryMib: 1.5 }, 'memoryMib must be a whole number'],
  [{ memory: 5 }, 'nothing else'],
  [[], 'body must be'],
])('%j is refused and says what is allowed', async (body, named) => {
  const { status, body: answer } = await ask(body)
  expect(status).toBe(400)
  expect(answer.error?.message).toContain(named)
  expect(await web.seeded.store.redis.exists(web.seeded.keys.control)).toBe(0)
})
