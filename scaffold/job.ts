/** The source of a new job, with what a person would want to know beside it. Pure. */
import type { Place } from './shape.ts'
import type { Plan, PlannedAggregate } from './plan.ts'
import { access, comment, literal, property, schemaSource } from './source.ts'
import { type TimeField, timeForms, timeSource } from './times.ts'

export interface NewJob {
  name: string
  topic: string
  /** What it was made from, for its header. */
  from: string
  plan: Plan
}

export function jobSource({ name, topic, from, plan }: NewJob): string {
  const { root, time, aggregates } = plan
  const used = [...new Set(['count', ...aggregates.map(({ kind }) => kind)])].sort()
  return `/**
 * ${comment(from, 90)}
 *
 *   bun run doctor jobs/${name}.ts       whether it could run here
 *   bun run supervisor jobs/${name}.ts   runs it
 */
import { defineJob } from 'millrace'
import * as v from 'valibot'

export default defineJob({
  // Names the job's keys in Redis and its group in Kafka.
  name: ${literal(name)},
  topic: ${literal(topic)},
  // What a record must be. Anything else is rejected, and kept with the reason: bun run rejects list.
  // A field that is not named here may hold anything.
  schema: ${schemaSource(root, '  ')},
${eventTimeSource(time)}  // How far a record may lie behind the newest one before it in its partition, and still count.
  watermarkDelay: '1 minute',
  // Half-open and aligned to the epoch. Without a slide they do not overlap.
  window: { size: '10 s', slide: '5 s' },
  // Keeps the records for which it is true.
  // filter: (record) => true,
${groupSource(plan)}  aggregates: ({ ${used.join(', ')} }) => ({
    records: count(),
${aggregates.map(aggregateSource).join('')}  }),
})
`
}

function eventTimeSource(time: TimeField | null): string {
  if (!time) {
    return `  // No field looks like a time: the one that Kafka keeps, mostly when a record was produced.
  eventTime: 'kafka',\n`
  }
  return `  // In epoch milliseconds: ${comment(time.path.join('.'))} is ${timeForms[time.form]}.
  eventTime: (record) => ${timeSource(access(time.path), time)},\n`
}

function groupSource({ groups, otherGroups }: Plan): string {
  const others = otherGroups.map(({ path }) => comment(path.join('.'), 30)).slice(0, 5)
  const more = others.length === 0 ? '' : ` Could be too: ${others.join(', ')}.`
  const about = `  // A row for each value of these, in each window.${more}\n`
  return `${about}  groupBy: ${groupBySource(groups)},\n`
}

/** Names of fields where all are at the top, functions of the record where one is not. */
function groupBySource(groups: readonly Place[]): string {
  if (groups.every(({ path }) => path.length === 1)) {
    return `[${groups.map(({ path }) => literal(path[0]!)).join(', ')}]`
  }
  const lines = groups.map(
    ({ path }) => `    ${property(groupName(path))}: (record) => ${access(path)},\n`,
  )
  return `{\n${lines.join('')}  }`
}

export const groupName = (path: readonly string[]): string => path.join('_')

function aggregateSource({ name, kind, place }: PlannedAggregate): string {
  const { path } = place
  const of = path.length === 1 ? literal(path[0]!) : `(record) => ${access(path)}`
  return `    ${name}: ${kind}(${of}),\n`
}
