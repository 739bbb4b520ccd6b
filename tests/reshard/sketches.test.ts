/**
 * Panes with sketches that are merged where shards go: distinct values, quantiles and the most frequent of
 * each group are those of a job that never had several shards.
 */
import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { bounds, readConfig } from '../../actors/config.ts'
import { count, defineJob, distinct, type Job, quantiles, topK } from '../../actors/job.ts'
import { openStore, type Store } from '../../actors/redis.ts'
import { shapeText } from '../../actors/shape.ts'
import { heldKeys, shardOf } from '../../actors/shards.ts'
import { reshard } from '../../reshard/reshard.ts'
import { encodeBatch } from '../support/batches.ts'
import { silentLog, testRedisUrl } from '../support/redis.ts'
import { keysFor, openJob, openRows, PARTITIONS, S } from './setup.ts'

/** Of more groups than one call of a merge takes, and a group of each has more buckets than a pane begins with. */
const GROUPS = 60
const RECORDS = 1_200

const sketched = (name: string): Job =>
  defineJob({
    name,
    topic: name,
    schema: v.object({ at: v.number(), who: v.string(), n: v.number(), sku: v.string() }),
    eventTime: ({ at }) => at,
    watermarkDelay: '5 s',
    window: { size: '10 s', slide: '5 s' },
    groupBy: ['who'],
    aggregates: {
      events: count(),
      values: distinct('n'),
      ranks: quantiles('n', [0.5, 0.99]),
      best: topK('sku', 5),
    },
  })

/** Of each partition another part of each group; some groups are of one partition alone. */
const recordsOf = (p: number) =>
  Array.from({ length: RECORDS }, (_, offset) => ({
    offset,
    value: JSON.stringify({
      at: (10 + 5 * (Math.floor(offset / GROUPS) % 2)) * S,
      who: offset % 7 === 0 ? `only ${p}` : `g ${offset % GROUPS}`,
      n: 1.03 ** ((offset * 13 + p * 7) % 400),
      sku: `sku ${(offset * 31 + p) % 40}`,
    }),
  }))

async function waiting(store: Store, job: Job, shards: number): Promise<void> {
  const keys = keysFor(job, shards)
  await store.redis.set(keys.count, String(shards))
  for (const { base, shard } of keys.shards) {
    const own = Array.from({ length: PARTITIONS }, (_, p) => p).filter((p) => p % shards === shard)
    await store.call('open', base, ['topic-id', shapeText(job), ...own.flatMap((p) => [p, 0, 0])])
  }
  for (let p = 0; p < PARTITIONS; p++) {
    const args = [p, 0, RECORDS, RECORDS, 1, 0, RECORDS, RECORDS, encodeBatch(recordsOf(p))]
    const [appended] = (await store.call('append', shardOf(keys, p).base, args)) as [number]
    expect(appended).toBe(1)
  }
}

/** The job's open windows when its shards have been changed one after the other. */
async function rowsAfter(numbers: readonly [number, ...number[]]) {
  const { job: plain, store, end } = await openJob('sketches')
  const job = sketched(plain.name)
  const config = readConfig({ REDIS_URL: testRedisUrl })
  const openReader = () => openStore(config, silentLog, { blockMs: bounds.readBlockMs })
  try {
    const [first, ...changes] = numbers
    await waiting(store, job, first)
    let panes = 0
    for (const to of changes) {
      const parts = { store, job, to, code: null, clock: systemClock, tell: () => {}, openReader }
      panes += (await reshard(parts)).panes
    }
    return { rows: await openRows(store, job, await heldKeys(store, job.name)), panes }
  } finally {
    await end()
  }
}

test('5 → 2 → 1: sketches are what they would have been in one shard', async () => {
  const [merged, alone] = await Promise.all([rowsAfter([5, 2, 1]), rowsAfter([1, 2])])
  expect(alone.panes).toBe(0)
  // Two panes of each of three shards that went, and then of one.
  expect(merged.panes).toBe(8)
  expect(merged.rows.length).toBeGreaterThan(3 * GROUPS)
  expect(merged.rows).toEqual(alone.rows)
}, 60_000)
