/** The source of a new job's test: what the job takes from a record, and what it refuses. Pure. */
import type { NewJob } from './job.ts'
import { isUsable, valueAt } from './shape.ts'
import { comment, property, valueSource } from './source.ts'
import { timeOf } from './times.ts'

/** Of lists and of texts in the record that the test holds. */
const ITEMS_MOST = 3
const TEXT_MOST = 200

/** @param record a record that the job takes */
export function testSource({ name, topic, plan }: NewJob, record: object): string {
  const { time, groups, aggregates } = plan
  const kept = shortened(record)
  const at = new Date(timeOf(kept, time)).toISOString()
  const group = groups.map(({ path }) => valueAt(kept, path) ?? null)
  const numbers = [null, ...aggregates.map(({ place }) => valueAt(kept, place.path) ?? null)]
  return `/** jobs/${name}.ts: what it takes from a record, and what it refuses. */
import { expect, test } from 'bun:test'
import * as v from 'valibot'
import job from '../../jobs/${name}.ts'

/** As it could be in ${comment(topic)}; what nobody else should read does not belong here. */
const record: Record<string, unknown> = ${valueSource(kept, '')}

test('takes time, group and numbers from a record', () => {
  const taken = v.parse(job.schema, record)
  expect(job.filter?.(taken) ?? true).toBe(true)
  expect(new Date(job.eventTime(taken)).toISOString()).toBe('${at}')
  expect(job.groups.map(({ of }) => of(taken))).toEqual(${valueSource(group, '  ')})
  // In the order of the job's aggregates; null where it counts records.
  const numbers = job.aggregates.map(({ aggregate }) => aggregate.of?.(taken) ?? null)
  expect(numbers).toEqual(${valueSource(numbers, '  ')})
})

test('refuses a record without its time', () => {
  const { ${removal(time.path[0]!)} } = record
  expect(v.safeParse(job.schema, rest).success).toBe(false)
})
`
}

/** Takes a field away from what is left as `rest`. */
const removal = (name: string): string => `${property(name)}: _, ...rest`

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
