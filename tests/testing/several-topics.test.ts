/** A job with several topics, tested without Kafka and Redis. */
import { expect, test } from 'bun:test'
import { count, defineJob } from 'millrace'
import { testJob } from 'millrace/testing'
import * as v from 'valibot'
import { rejection } from '../support/rejection.ts'

const job = (topics: readonly string[] | RegExp) =>
  defineJob({
    name: 'trade',
    topics,
    schema: v.object({ shop: v.string() }),
    eventTime: 'kafka',
    window: { size: '10 s' },
    filter: (_, meta) => meta.topic !== 'orders.test',
    groupBy: { topic: (_, meta) => meta.topic, partition: (_, meta) => meta.partition },
    aggregates: { orders: count() },
  })
const at = Date.UTC(2026, 0, 1)

test('records are told apart by their topics, and so are rejects', async () => {
  const played = testJob(job(['orders.app', 'orders.test']), { now: at, partitions: 2 })
  await played.feed({ shop: 'a' })
  await played.feed({ shop: 'a' }, { topic: 'orders.test', partition: 1 })
  await played.feed('no JSON', { topic: 'orders.test', partition: 1 })
  await played.advance('2 minutes')
  const rows = await played.windows('closed')
  expect(rows.map(({ key, values }) => ({ ...key, ...values }))).toEqual([
    { topic: 'orders.app', partition: 0, orders: 1 },
  ])
  expect(await played.totals()).toMatchObject({ counted: 1, filtered: 1, rejected: 1 })
  expect(await played.rejects()).toMatchObject([{ topic: 'orders.test', partition: 1, offset: 1 }])
})

test('those of a pattern come when they are fed', async () => {
  const played = testJob(job(/^orders\./), { now: at })
  expect((await rejection(played.feed({ shop: 'a' }))).message).toMatch(/say the topic/)
  const other = played.feed({ shop: 'a' }, { topic: 'other' })
  expect((await rejection(other)).message).toMatch(/that the job reads/)
  for (const topic of ['orders.b', 'orders.a']) await played.feed({ shop: 'a' }, { topic })
  await played.advance('2 minutes')
  const rows = await played.windows('closed')
  expect(new Set(rows.map(({ key }) => key.topic))).toEqual(new Set(['orders.a', 'orders.b']))
})
