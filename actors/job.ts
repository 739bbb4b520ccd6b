/**
 * The job: what a user writes. `defineJob` takes the declaration, checks it once, and answers with
 * the form that the bridge, the executors and the read model work with. Knows nothing of I/O.
 *
 *   import { avg, count, defineJob, sum } from 'millrace'
 *   export default defineJob({ name, topic, schema, eventTime, window, groupBy, aggregates, … })
 */
import * as v from 'valibot'
import { type Duration, unitMs } from './duration.ts'
import { eventTimeOf, isKafkaTime } from './event-time.ts'
import { fieldReader, reachesMeta } from './fields.ts'
import { durationMs, JobError } from './job-error.ts'
import { nameOf, topicsOf } from './names.ts'
import type { Sink } from './sinks/sink.ts'
import type { Asked } from './topics.ts'
import { cellOps } from './windows/aggregates.ts'
import { latenessOf, updatesOf, windowOf } from './windows/declared.ts'
import { SPAN_OPS } from './windows/span.ts'
import { type Aggregate, type AggregatesOf, aggregatesOf } from './windows/kinds.ts'
import { sketchOf } from './windows/sketches.ts'

export {
  aggregate,
  avg,
  count,
  distinct,
  first,
  last,
  max,
  min,
  quantiles,
  sum,
  topK,
} from './windows/kinds.ts'
export type { Aggregate, AggregatesOf, AggregateValue } from './windows/kinds.ts'

export type { Duration } from './duration.ts'
export { durationMs, JobError } from './job-error.ts'

/** What one group may be named by. */
export type GroupValue = string | number | boolean | null

/**
 * A record as the job's functions see it. Loose objects have an index signature beside their fields,
 * by which any name would do; only the fields that the schema names can be named, so that a misspelt
 * one is an error of the compiler's.
 */
export type RowOf<Schema extends v.GenericSchema> = Fields<v.InferOutput<Schema>>
type Fields<Row> = Row extends readonly unknown[] | GroupValue
  ? Row
  : { [K in keyof Row as string extends K ? never : K]: Row[K] }
type KeyOf<Row> = Extract<
  { [K in keyof Row]-?: Row[K] extends GroupValue | undefined ? K : never }[keyof Row],
  string
>

/** What Kafka says of a record beside its value: the second argument of a job's functions. */
export interface Meta {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Epoch ms: when the producer made the record, or the broker got it, as the topic is set; -1 for none. */
  readonly timestamp: number
  /** As UTF-8. */
  readonly key: string | null
  /** As UTF-8; of several with one name the last. */
  readonly headers: Readonly<Record<string, string | null>>
}

/** What `flatMap` makes, or the records; told by it alone. */
type Rows<Flat, Row> = NoInfer<unknown extends Flat ? Row : Flat>

/**
 * `Flat` is what the windows are made of: the records, or where the job has `flatMap` the rows that
 * it makes of them.
 */
export interface JobDeclaration<Schema extends v.GenericSchema, Flat = unknown, Row = RowOf<Schema>>
  extends DeclarationBase<Schema, Flat, Row> {
  /** The Kafka topic. */
  topic: string
  topics?: undefined
}

/** The same of several topics. */
export interface TopicsDeclaration<
  Schema extends v.GenericSchema,
  Flat = unknown,
  Row = RowOf<Schema>,
> extends DeclarationBase<Schema, Flat, Row> {
  topic?: undefined
  /**
   * Several Kafka topics with records of one kind: a list of names, or a regular expression for all
   * topics whose names match, also those that are made later; Kafka's internal ones never do. What is
   * read of each partition is by the same schema, `decode` and the rest; `meta.topic` tells them apart.
   */
  topics: readonly string[] | RegExp
}

/** What a job declares besides what it reads. */
export interface DeclarationBase<Schema extends v.GenericSchema, Flat, Row> {
  /** Lower-case letters, digits, `-` and `_`; names the job's keys in Redis and its group in Kafka. */
  name: string
  /** A synchronous valibot schema of one record's JSON value, or of what `decode` makes of it. */
  schema: Schema
  /**
   * Reads a record's bytes where they are no JSON (Avro, Protobuf, plain text): gives what the schema then
   * judges. The bytes are only lent: what is kept must be copied. A record with which it throws is
   * rejected with the reason `decode`.
   */
  decode?: (bytes: Buffer, meta: Meta) => unknown
  /** Keeps the records for which it is true; all of them where it is absent. */
  filter?: (record: Row, meta: Meta) => boolean
  /** The event time in epoch milliseconds; `'kafka'` for the timestamp that Kafka keeps. */
  eventTime: 'kafka' | ((record: Row, meta: Meta) => number)
  /** How far a record may lie behind the newest one before it in its partition. Default 1 minute. */
  watermarkDelay?: Duration
  /**
   * Size and slide; without a slide the windows tumble. The slide must divide the size. Or a gap, for
   * sessions: a group's records that are less than the gap apart, cut at multiples of `max` from the
   * epoch on where there is one.
   */
  window: { size: Duration; slide?: Duration } | { gap: Duration; max?: Duration }
  /**
   * For so long after a window has closed late records still count in it, and it is written again, whole,
   * with the next revision number: at most once a second. Default 0: a closed window does not change. At
   * most 10,000 times the slide; not with sessions.
   */
  allowedLateness?: Duration
  /**
   * How often open windows that have changed are written, to the sinks that have `updates: true`; at
   * least 1 s. Default: not at all. Not with sessions.
   */
  updates?: Duration
  /**
   * Makes rows of a record that passed the filter: 0 to 1,000 of them, all with the record's event time.
   * Groups and aggregates then are of rows. The record itself is counted once whatever it becomes,
   * filtered where it becomes nothing, and rejected whole where one of its rows can't be kept. Stands
   * before `groupBy` and `aggregates`, so that they know the rows' type.
   */
  flatMap?: (record: Row, meta: Meta) => readonly Flat[]
  /**
   * Names of fields, or names of one's own with a function each (for nested fields, and for the rows
   * that `flatMap` makes).
   */
  groupBy: readonly KeyOf<Row>[] | Record<string, (row: Rows<Flat, Row>, meta: Meta) => GroupValue>
  /**
   * What is computed for each group of each window. As a function it is given the aggregates for this
   * job's records, so that their functions know a record's type without its being written out:
   * `({ count, sum }) => ({ orders: count(), total: sum((order) => order.price.total) })`.
   */
  aggregates:
    | Record<string, Aggregate<Rows<Flat, Row>>>
    | ((of: AggregatesOf<Rows<Flat, Row>>) => Record<string, Aggregate<Rows<Flat, Row>>>)
  /** An event time further ahead of the clock than this is rejected. Default 5 minutes. */
  maxFutureSkew?: Duration
  /**
   * Runs for each record that passed the schema, before the filter; may enrich it. It can run again
   * for a record whose commit failed, so it must be repeatable. What waits should give way to
   * `signal`; what computes must not hold the thread for 3 s, or its executor is taken for dead.
   */
  work?: (record: Row, context: WorkContext) => Promise<Row> | Row
  /**
   * A record whose `work` does not settle within this is rejected with the reason `hung`. Its promise
   * is left alone, since nothing can end it. Default 30 s, at most a day.
   */
  workTimeout?: Duration
  /** How many records' `work` may run at once in one executor. Default 1. */
  concurrency?: number
  /** Where closed windows are written to, from 'millrace/sinks/…'; nowhere else by default. */
  sinks?: readonly Sink[]
}

/** What `work` gets beside its record. */
export interface WorkContext {
  /** Aborted when `workTimeout` is over. */
  readonly signal: AbortSignal
  readonly meta: Meta
}

/** A checked job, as the pipeline uses it. Records are `unknown` here: only the job knows them. */
export interface Job {
  name: string
  /** The topic's name; of several a text for people. */
  topic: string
  /** Several, or all that match; null for the one topic. */
  topics: Asked | null
  schema: v.GenericSchema
  decode: ((bytes: Buffer, meta: Meta) => unknown) | null
  filter: ((record: unknown, meta: Meta) => boolean) | null
  eventTime: (record: unknown, meta: Meta) => number
  flatMap: ((record: unknown, meta: Meta) => unknown) | null
  watermarkDelayMs: number
  /** Of sessions both are the span within which one must lie: `max`, or all of time. */
  windowSizeMs: number
  windowSlideMs: number
  /** Of sessions the gap; null for windows. */
  gapMs: number | null
  /** How long closed windows may change; 0 for not at all. */
  allowedLatenessMs: number
  /** How often open windows that have changed are told; 0 where no sink asks for it. */
  updatesMs: number
  groups: readonly { name: string; of: (row: unknown, meta: Meta) => unknown }[]
  aggregates: readonly { name: string; aggregate: Aggregate<unknown> }[]
  /** One letter a slot of a group's cells, over all aggregates; see windows/aggregates.ts. */
  slots: string
  /** The slots' letters and, where it has sketches, a slash and theirs; see windows/cells.lua. */
  ops: string
  /** Whether any of the functions can reach what Kafka says of a record. */
  usesMeta: boolean
  maxFutureSkewMs: number
  work: ((record: unknown, context: WorkContext) => unknown) | null
  workTimeoutMs: number
  concurrency: number
  sinks: readonly Sink[]
}

const fields = [
  'name',
  'topic',
  'topics',
  'schema',
  'decode',
  'filter',
  'flatMap',
  'eventTime',
  'watermarkDelay',
  'window',
  'allowedLateness',
  'updates',
  'groupBy',
  'aggregates',
  'maxFutureSkew',
  'work',
  'workTimeout',
  'concurrency',
  'sinks',
]

/**
 * Checks a declaration and completes it with the defaults.
 * @throws JobError that names the field
 */
export function defineJob<const Schema extends v.GenericSchema, Flat>(
  declaration: JobDeclaration<Schema, Flat> | TopicsDeclaration<Schema, Flat>,
): Job {
  const given = declaration as unknown as Record<string, unknown>
  if (!given || typeof given !== 'object') {
    throw new JobError(`a job must be an object with ${fields.join(', ')}`)
  }
  const unknown = Object.keys(given).find((field) => !fields.includes(field))
  if (unknown)
    throw new JobError(`unknown field ${JSON.stringify(unknown)}; a job has ${fields.join(', ')}`)
  const windows = windowOf(declaration.window)
  const { gapMs } = windows
  const aggregates = namedAggregates(given.aggregates)
  const cells = aggregates.map(({ aggregate }) => cellOps(aggregate)).join('')
  const slots = gapMs === null ? cells : cells + SPAN_OPS
  const sketches = aggregates.map(({ aggregate }) => sketchOf(aggregate)?.letter ?? '').join('')
  const sinks = sinksOf(given.sinks ?? [])
  const functions = {
    decode: functionOf<NonNullable<Job['decode']>>('decode', given.decode, true),
    filter: functionOf<NonNullable<Job['filter']>>('filter', given.filter, true),
    eventTime: eventTimeOf(given.eventTime),
    flatMap: functionOf<NonNullable<Job['flatMap']>>('flatMap', given.flatMap, true),
    groups: groupsOf(given.groupBy, given.flatMap !== undefined),
    work: functionOf<NonNullable<Job['work']>>('work', given.work, true),
  }
  return {
    ...functions,
    name: nameOf(declaration.name),
    ...topicsOf(given.topic, given.topics),
    schema: schemaOf(given.schema),
    watermarkDelayMs: durationMs('watermarkDelay', declaration.watermarkDelay ?? '1 minute', 0),
    ...windows,
    allowedLatenessMs: latenessOf(declaration.allowedLateness ?? 0, windows),
    aggregates,
    usesMeta: metaIsUsed(functions, aggregates),
    slots,
    ops: sketches === '' ? slots : `${slots}/${sketches}`,
    maxFutureSkewMs: durationMs('maxFutureSkew', declaration.maxFutureSkew ?? '5 minutes', 0),
    workTimeoutMs: workTimeoutOf(declaration.workTimeout ?? '30 s'),
    concurrency: concurrencyOf(declaration.concurrency),
    sinks,
    updatesMs: updatesOf(declaration.updates, windows, sinks),
  }
}

function schemaOf(schema: unknown): v.GenericSchema {
  const candidate = schema as v.GenericSchema | undefined
  if (candidate?.kind !== 'schema') throw new JobError('schema must be a valibot schema')
  if ((candidate as { async: boolean }).async) {
    throw new JobError('schema must be synchronous; use work for what waits')
  }
  return candidate
}

function functionOf<Fn>(field: string, value: unknown, optional: false): Fn
function functionOf<Fn>(field: string, value: unknown, optional: true): Fn | null
function functionOf<Fn>(field: string, value: unknown, optional: boolean): Fn | null {
  if (value === undefined && optional) return null
  if (typeof value !== 'function') throw new JobError(`${field} must be a function of a record`)
  return value as Fn
}

type FunctionName = 'decode' | 'filter' | 'eventTime' | 'flatMap' | 'groups' | 'work'

function metaIsUsed(
  { decode, filter, eventTime, flatMap, groups, work }: Pick<Job, FunctionName>,
  aggregates: Job['aggregates'],
): boolean {
  const time = isKafkaTime(eventTime) ? null : eventTime
  const readers = [
    time,
    decode,
    filter,
    flatMap,
    ...groups.map(({ of }) => of),
    ...aggregates.map(({ aggregate }) => aggregate.of),
  ]
  return work !== null || readers.some((reader) => reader !== null && reachesMeta(reader))
}

function groupsOf(groupBy: unknown, ofRows: boolean): Job['groups'] {
  if (Array.isArray(groupBy)) {
    // The compiler could check such names against the record's fields only.
    if (ofRows && groupBy.length > 0) {
      throw new JobError('groupBy must be an object of functions where the job has flatMap')
    }
    const names = groupBy as unknown[]
    const bad = names.some((name) => typeof name !== 'string' || name === '')
    if (bad || new Set(names).size !== names.length) {
      throw new JobError('groupBy must be a list of different field names')
    }
    return (names as string[]).map((name) => ({ name, of: fieldReader(name) }))
  }
  if (!groupBy || typeof groupBy !== 'object') {
    throw new JobError('groupBy must be a list of field names or an object of functions')
  }
  return Object.entries(groupBy).map(([name, of]) => ({
    name,
    of: functionOf<(row: unknown) => unknown>(`groupBy.${name}`, of, false),
  }))
}

function namedAggregates(given: unknown): Job['aggregates'] {
  const aggregates: unknown = typeof given === 'function' ? given(aggregatesOf) : given
  const entries = Object.entries((aggregates ?? {}) as Record<string, Aggregate<unknown>>)
  if (entries.length === 0) throw new JobError('aggregates must name at least one aggregate')
  for (const [name, aggregate] of entries) {
    if (!isAggregate(aggregate)) {
      const known = Object.keys(aggregatesOf).map((kind) => `${kind}()`)
      throw new JobError(`aggregates.${name} must be one of ${known.join(', ')}`)
    }
  }
  return entries.map(([name, aggregate]) => ({ name, aggregate }))
}

/** Whether it was made by one of those functions, which check their arguments. */
function isAggregate(aggregate: Aggregate<unknown> | undefined): boolean {
  const { kind, of } = aggregate ?? {}
  if (kind === 'count') return true
  const known = kind === 'own' || (String(kind) !== 'aggregate' && String(kind) in aggregatesOf)
  return known && typeof of === 'function'
}

/** Timers can't wait for more than 24 days. */
const WORK_TIMEOUT_MS_MAX = 24 * unitMs.h

function workTimeoutOf(duration: Duration): number {
  const ms = durationMs('workTimeout', duration, 1)
  if (ms <= WORK_TIMEOUT_MS_MAX) return ms
  throw new JobError(`workTimeout must be at most a day, not ${JSON.stringify(duration)}`)
}

function concurrencyOf(concurrency: number | undefined): number {
  const value = concurrency ?? 1
  if (Number.isInteger(value) && value >= 1 && value <= 1_024) return value
  throw new JobError('concurrency must be a whole number from 1 to 1024')
}

function sinksOf(sinks: unknown): readonly Sink[] {
  const isSink = (each: unknown) => typeof (each as Sink | undefined)?.open === 'function'
  if (!Array.isArray(sinks) || !sinks.every(isSink)) {
    throw new JobError(
      "sinks must be a list of sinks, such as [postgres({ … })] of 'millrace/sinks/postgres'",
    )
  }
  const names = (sinks as Sink[]).map(({ name }) => name)
  const twice = names.find((name, place) => names.indexOf(name) !== place)
  if (twice === undefined) return sinks as Sink[]
  throw new JobError(`sinks: two have the name ${JSON.stringify(twice)}; give one another \`name\``)
}
