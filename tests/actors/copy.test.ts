/**
 * A compiled actor has one copy of our modules, and the job's file loads another: what a job says must not
 * hang on which copy it was defined by.
 */
import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import * as v from 'valibot'
import type * as Millrace from '../../actors/job.ts'

const path = '../../actors/job.ts?another'
const { count, defineJob } = (await import(path)) as typeof Millrace

test('the timestamp that Kafka keeps is the event time, whoever defined the job', async () => {
  const job = defineJob({
    name: 'copy',
    topic: 'copy',
    schema: v.looseObject({ who: v.string() }),
    eventTime: 'kafka',
    window: { size: '10 s' },
    groupBy: ['who'],
    aggregates: { n: count() },
  })
  const it = testJob(job, { now: '2024-05-01T12:00:00Z' })
  await it.feedAll([{ who: 'a' }, { who: 'a' }, { who: 'a' }])
  expect(await it.rejects()).toEqual([])
  expect(await it.totals()).toMatchObject({ counted: 3, rejected: 0 })
})
