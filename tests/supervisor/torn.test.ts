/**
 * Redis's append-only file is torn inside a transaction. Redis drops it, and leaves its first half in
 * the file, which comes back at the restart after, unless the file is written anew meanwhile.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import { openStore, untilReady } from '../../actors/redis.ts'
import { until } from '../../faults/until.ts'
import { silent } from '../../cli/progress.ts'
import { startRedis } from '../../services/services.ts'
import { Servers } from '../../supervisor/servers.ts'
import { silentLog } from '../support/redis.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-torn-'))
const files = join(dir, 'redis', 'data', 'appendonlydir')
const increments = () => readdirSync(files).filter((name) => name.endsWith('.incr.aof'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('half of a transaction does not come back at the restart after', async () => {
  const redis = await startRedis({ dir, detached: false }, silent)
  const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  const store = openStore(config, silentLog)
  try {
    await untilReady(store)
    await store.redis.eval("for _, k in ipairs(KEYS) do redis.call('SET', k, '1') end", 2, 'a', 'b')
    await redis.stop('SIGKILL')
    const [torn = ''] = increments()
    // Without EXEC, and without the end of the last SET.
    const file = join(files, torn)
    truncateSync(file, statSync(file).size - '1\r\n*1\r\n$4\r\nEXEC\r\n'.length)
    await redis.start()
    await untilReady(store)
    expect(await store.redis.mget('a', 'b')).toEqual([null, null])
    const servers = new Servers({
      store,
      config,
      clock: systemClock,
      log: silentLog,
      onComplaint: () => undefined,
      examine: () => Promise.resolve([]),
    })
    await servers.look()
    await until('a new file', () => increments().join() !== torn && increments().length === 1)
    await store.redis.eval("redis.call('SET', 'c', '1') redis.call('SET', 'd', '1')", 0)
    await redis.stop('SIGKILL')
    await redis.start()
    await untilReady(store)
    expect(await store.redis.mget('a', 'b', 'c', 'd')).toEqual([null, null, '1', '1'])
  } finally {
    await store.close()
    await redis.stop()
  }
}, 60_000)
