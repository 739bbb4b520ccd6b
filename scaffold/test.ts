/** The source of a new job's test: what the job takes from a record, and what it refuses. Pure. */
import { toFixedPoint } from '../actors/windows/aggregates.ts'
import { groupName, type NewJob } from './job.ts'
import type { PlannedAggregate } from './plan.ts'
import { isUsable, valueAt } from './shape.ts'
import { comment, property, valueSource } from './source.ts'
import { type TimeField, timeOf } from './times.ts'

/** Of lists and of texts in the record that the test holds. */
const ITEMS_MOST = 3
const TEXT_MOST = 200
/** That sums and averages have unless an aggregate says otherwise. */
const DECIMALS = 6
/** When a record that does not say so could have come. */
const SOME_TIME = '2026-01-01T00:00:00.000Z'

/** @param record a record that the job takes */
export function testSource({ name, topic, plan }: NewJob, record: object): string {
  const { time, groups, aggregates } = plan
  const kept = shortened(record)
  const at = time ? new Date(timeOf(kept, time)).toISOString() : SOME_TIME
  const key = groups.map(({ path }) => [groupName(path), valueAt(kept, path)])
  const values = aggregates.map((one) => [one.name, valueOf(one, kept)])
  const row = {
    key: Object.fromEntries(key),
    values: Object.fromEntries([['records', 1], ...values]),
  }
  return `/** jobs/${name}.ts without Kafka and Redis: what it counts, and what it refuses. */
import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import job from '../../jobs/${name}.ts'

/** As it could be in ${comment(topic)}; what nobody else should read does not belong here. */
const record: Record<string, unknown> = ${valueSource(kept, '')}
const now = '${at}'

test('counts a record in each of its windows', async () => {
  const it = testJob(job, { now })
  await it.feed(record)
  expect(await it.rejects()).toEqual([])
  const rows = await it.windows()
  expect(rows).toHaveLength(job.windowSizeMs / job.windowSlideMs)
  for (const { key, values } of rows) {
    expect({ key, values }).toEqual(${valueSource(row, '    ')})
  }
})

test('refuses what is no record', async () => {
  const it = testJob(job, { now })
${refusedSource(time)}  expect(await it.rejects()).toMatchObject([{ reason: 'schema' }])
  expect(await it.windows()).toEqual([])
})

test('a record that comes when its windows are closed is late', async () => {
  const it = testJob(job, { now })
  await it.feed(record)
  await it.advance('10 minutes')
  await it.feed(record${time ? '' : ', { timestamp: now }'})
  expect(await it.late()).toHaveLength(1)
})
`
}

/** Of a group of this one record. */
function valueOf({ kind, place }: PlannedAggregate, record: object): number | null {
  const value = valueAt(record, place.path)
  if (typeof value !== 'number') return kind === 'sum' ? 0 : null
  return kind === 'max' ? value : toFixedPoint(value, DECIMALS)! / 10 ** DECIMALS
}

/** A record without its time; a number where records have none of their own. */
function refusedSource(time: TimeField | null): string {
  if (!time) return `  await it.feed(42)\n`
  return `  const { ${property(time.path[0]!)}: _, ...timeless } = record
  await it.feed(timeless)\n`
}

/** So that one record stays readable; what the job looks at stays as it was. */
function shortened(value: unknown): object
function shortened(value: unknown): unknown {
  if (typeof value === 'string') return value.length > TEXT_MOST ? value.slice(0, TEXT_MOST) : value
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value))
    return value.slice(0, ITEMS_MOST).map((each: unknown) => shortened(each))
  const entries = Object.entries(value).filter(([name]) => isUsable(name))
  return Object.fromEntries(entries.map(([name, each]) => [name, shortened(each)]))
}
