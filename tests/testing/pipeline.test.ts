/** The same cases by `testJob` and through the real pipeline: what a job does may not differ. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { readConfig } from '../../actors/config.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { loadJob } from '../../actors/load.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, untilReady } from '../../actors/redis.ts'
import { until } from '../../faults/until.ts'
import type { FedJob } from '../../testing/account.ts'
import { testJob } from '../../testing/test-job.ts'
import { testPipeline } from '../../testing/test-pipeline.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'

const root = join(import.meta.dir, '../..')
const file = join(root, 'tests/fixtures/jobs/rooms.ts')
const several = join(root, 'tests/fixtures/jobs/rooms-several.ts')
let environment: Record<string, string>

/** What Kafka and Redis have of tests' pipelines. */
async function left(): Promise<string[]> {
  const config = readConfig(environment)
  const admin = kafkaClient(config, 'left').admin()
  await admin.connect()
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith('readings.test-'))
  await admin.disconnect()
  const store = openStore(config, createLog('left', 'error'))
  await untilReady(store)
  const keys = await store.redis.keys('millrace:{test-*')
  await store.close()
  return [...topics, ...keys]
}

beforeAll(async () => {
  environment = (await testServices()).environment
})

const at = (second: number, celsius: number) => ({ at: second * 1_000, room: 'kiln', celsius })

async function rooms(it: FedJob): Promise<void> {
  await it.feed(at(41, 900), { key: '-a' })
  await it.feedAll([at(42, 950), at(43, 940)], { key: '-a', headers: { by: 'hand' } })
  expect(await it.windows('closed')).toEqual([])
  await it.feed(at(55, 20))
  const kiln = { start: 40_000, end: 50_000, state: 'closed', key: { room: 'kiln-a' } } as const
  expect(await it.windows('closed')).toEqual([{ ...kiln, values: { hottest: 950, readings: 3 } }])
  expect(await it.windows('open')).toMatchObject([{ start: 50_000, values: { readings: 1 } }])
  await it.feed(at(44, 990))
  await it.feed('{')
  await it.feed(null)
  expect(await it.late()).toMatchObject([{ offset: 4, reason: 'late' }])
  expect(await it.rejects()).toMatchObject([
    { offset: 5, reason: 'json', value: '{' },
    { offset: 6, reason: 'null' },
  ])
  expect(await it.totals()).toEqual({ counted: 4, filtered: 0, late: 1, rejected: 2, partly: 0 })
  expect(await it.watermark()).toBe(50_000)
  await it.advance('20 ms')
  expect((await rejection(it.advance('soon' as never))).message).toContain('not a duration')
  expect((await rejection(it.feed(at(1, 1), { partition: 1 }))).message).toContain(
    'partition must be less than 1',
  )
  expect((await rejection(it.feed(at(1, 1), { timestamp: 'noon' }))).message).toContain(
    'timestamp must be',
  )
}

describe('a case', () => {
  test('in memory', async () => {
    await rooms(testJob(await loadJob(file), { now: 60_000 }))
  })

  test('through the real pipeline, which leaves nothing behind', async () => {
    const it = await testPipeline(file, { environment })
    await rooms(it)
    expect(await left()).not.toEqual([])
    await it.close()
    await until('its topic and its keys to be gone', async () => (await left()).length === 0)
  }, 60_000)
})

test('what can not be run so is told', async () => {
  expect((await rejection(testPipeline(join(root, 'jobs/none.ts')))).message).toContain(
    'does not exist',
  )
  expect((await rejection(testPipeline(several))).message).toContain('reads several topics')
})
