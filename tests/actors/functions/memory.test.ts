/**
 * When Redis has no memory left: what fills it is refused, what empties it goes on. On a Redis of
 * its own, whose limit a test may move.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { count, defineJob } from '../../../actors/job.ts'
import { startRedis } from '../../../services/services.ts'
import { silent } from '../../../cli/progress.ts'
import type { Server } from '../../../services/server.ts'
import { encodeBatch } from '../../support/batches.ts'
import { type RunningExecutor, startExecutor } from '../../support/executors.ts'
import { rejection } from '../../support/rejection.ts'
import { Shard } from '../../support/shard.ts'
import { until } from '../../../faults/until.ts'

let server: Server
let url: string
let dir: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-memory-'))
  server = await startRedis({ dir, detached: false, redisSettings: { appendonly: 'no' } }, silent)
  url = `redis://127.0.0.1:${server.port}`
})
afterAll(async () => {
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
})

let it: Shard
beforeEach(async () => {
  it = await Shard.open('memory', {}, url)
  await it.redis.config('SET', 'maxmemory', 0)
  await it.redis.flushall()
})
afterEach(() => it.end())

const fillUp = () => it.redis.config('SET', 'maxmemory', 1)
const OOM = /^OOM /

describe('at maxmemory', () => {
  test('append is refused and changes nothing', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 1 }])
    const before = await it.everything()
    await fillUp()
    expect((await rejection(it.append(0, 1, [{ from: 1, to: 2 }]))).message).toMatch(OOM)
    expect(await it.everything()).toBe(before)
  })

  test('commit, closing, claims, heartbeats and leases go on', async () => {
    await it.register(0)
    await it.append(0, 0, [
      { from: 0, to: 10 },
      { from: 10, to: 20 },
    ])
    await fillUp()
    await it.beat('e1')
    const [first, second] = await it.read('dead')
    expect(
      await it.commit({
        me: 'dead',
        slices: [{ entry: first!, max: 1 }],
        panes: { 0: { a: [10] } },
      }),
    ).toEqual(['ok'])
    expect(await it.claim('e1')).toMatchObject([{ id: second!.id, crashes: 1 }])
    expect(await it.commit({ slices: [{ entry: second!, max: 9_000 }] })).toEqual(['ok'])
    await it.redis.config('SET', 'maxmemory', 0)
    await it.redis.hset(it.keys.clock, 'watermark', 20_000)
    await fillUp()
    while ((await it.advance()).more);
    expect(await it.closedRows()).toHaveLength(2)
    expect(await it.call('lead', 'leader', 's1', 1_000)).toBe('s1')
    expect(await it.call('open', 'topic-id', 'shape', 0, 0, 20)).toEqual(['ok', '0', '20'])
    await it.call('leave', 'e1', '{}')
    expect(await it.measure()).toMatchObject({ entries: 0, totals: { committed: 20 } })
  })

  test('an executor that starts then drains the stream, also what one died with', async () => {
    const job = defineJob({
      name: it.name,
      topic: 'records',
      schema: v.looseObject({}),
      eventTime: () => 1_000,
      window: { size: '10 s', slide: '5 s' },
      groupBy: [],
      aggregates: { n: count() },
    })
    await it.register(0)
    const entry = (from: number) => ({
      from,
      to: from + 2,
      payload: encodeBatch([0, 1].map((i) => ({ offset: from + i, value: '{}' }))),
    })
    await it.append(0, 0, [entry(0), entry(2), entry(4)])
    await it.read('dead', 1)
    await fillUp()
    const executor: RunningExecutor = await startExecutor(job, { url })
    try {
      await until('the stream to be empty', async () => (await it.measure()).entries === 0)
      expect(await it.pane(0)).toEqual({ '[]': [6] })
      await executor.drain()
    } finally {
      await executor.kill()
    }
  })
})

test('the functions are loaded again where a server lost them', async () => {
  await it.beat('e1')
  await it.redis.call('FUNCTION', 'FLUSH')
  expect(Number(await it.beat('e1'))).toBeGreaterThan(0)
})
