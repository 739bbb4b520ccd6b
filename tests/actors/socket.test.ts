/** A Redis by its socket, which is a file of this machine. */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../actors/config.ts'
import { openStore, untilReady } from '../../actors/redis.ts'
import { createProgress } from '../../cli/progress.ts'
import { until } from '../../faults/until.ts'
import { startRedis } from '../../services/services.ts'
import { silentLog } from '../support/redis.ts'

const dir = mkdtempSync(join(tmpdir(), 'socket-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('is waited for until it is there, and takes and gives large values', async () => {
  const path = join(dir, 'redis.sock')
  const lines: string[] = []
  const log = { ...silentLog, warn: (line: string) => void lines.push(line) }
  const store = openStore(readConfig({ REDIS_URL: `unix://${path}` }), log)
  await until('the first word of it', () => lines.length > 0)
  expect(lines[0]).toContain(`Redis at ${path} does not answer`)
  const redis = await startRedis(
    { dir, detached: false, redisSettings: { unixsocket: path } },
    createProgress(),
  )
  try {
    await untilReady(store)
    const value = Buffer.alloc(1_000_000, 'abc')
    expect(await store.redis.acl('WHOAMI')).toBe('default')
    expect(await store.setNew('large', value, 60_000)).toBe('OK')
    expect((await store.redis.getBuffer('large'))?.equals(value)).toBe(true)
  } finally {
    await store.close()
    await redis.stop()
  }
})
