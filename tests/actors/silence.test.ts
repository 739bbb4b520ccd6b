/** A connection that nobody will ever answer is given up, so that a new one can be made. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { bounds, readConfig } from '../../actors/config.ts'
import { openStore } from '../../actors/redis.ts'
import { Proxy } from '../../faults/proxy.ts'
import { until } from '../../faults/until.ts'
import { silentLog, testRedisUrl } from '../support/redis.ts'

let proxy: Proxy

beforeAll(() => {
  proxy = new Proxy({ target: Number(new URL(testRedisUrl).port) })
})
afterAll(() => proxy.stop())

test('Redis: a connection that a black hole has swallowed is replaced', async () => {
  const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` })
  const store = openStore(config, silentLog)
  const ping = async () => (await store.redis.ping()) === 'PONG'
  try {
    await until('an answer', ping)
    proxy.blackHole()
    expect(await store.redis.ping().catch((error: Error) => error)).toBeInstanceOf(Error)
    proxy.heal()
    await until('an answer over a new connection', ping, {
      timeoutMs: 2 * bounds.redisSilenceMs + bounds.redisRetryCapMs,
    })
  } finally {
    await store.close()
  }
}, 20_000)
