/**
 * Answers of the HTTP interface as valibot schemas, by which they are typed and from which GET
 * /openapi.json is made (questions: queries.ts). A number that is not known is null.
 */
import * as v from 'valibot'
import { actorKinds, actorStates } from '../actors/messages.ts'
import { stages } from '../actors/lineage.ts'
import { sinkStates } from '../actors/sinks/accounts.ts'
import { count, next, time, unknownOr } from './scalars.ts'

export const decisionSchema = v.object({
  id: v.pipe(v.string(), v.description('Unique, and in order')),
  at: time,
  from: count,
  to: count,
  reason: v.pipe(v.string(), v.description('A code that programs can rely on')),
  sentence: v.pipe(v.string(), v.description('The same for people')),
  inputs: v.record(v.string(), unknownOr(v.union([v.number(), v.string()]))),
  effectMs: v.pipe(
    unknownOr(count),
    v.description('Until as many were running, or no more were left; null: not seen, or not yet'),
  ),
})

const quantiles = v.object({ p50: unknownOr(v.number()), p99: unknownOr(v.number()) })

export const statusSchema = v.object({
  job: v.string(),
  topic: v.pipe(v.string(), v.description('Of several their names, or their pattern')),
  version: v.pipe(
    unknownOr(
      v.object({
        stage: v.pipe(
          v.picklist(stages),
          v.description('`shadow`: beside `of`, its sinks held back; `live`: in the place of `of`'),
        ),
        of: unknownOr(v.string()),
        by: v.pipe(unknownOr(v.string()), v.description('The version that takes its place')),
      }),
    ),
    v.description('Where it stands among the job’s versions; null where it stands alone'),
  ),
  state: v.picklist(['running', 'degraded', 'paused', 'stopped']),
  reason: v.pipe(
    unknownOr(v.string()),
    v.description('Why it is degraded or stopped, or held by a quota'),
  ),
  at: v.pipe(time, v.description("When this was measured, by Redis's clock")),
  watermark: unknownOr(time),
  watermarkHeldBy: v.pipe(unknownOr(count), v.description('The partition that it waits for')),
  watermarkHeldByTopic: v.pipe(
    unknownOr(v.string()),
    v.description('And its topic, where the job has several'),
  ),
  backlog: v.object({
    records: v.pipe(count, v.description('In the stream, not committed')),
    entries: count,
    pending: v.pipe(count, v.description('Entries that an executor holds')),
    undelivered: v.pipe(count, v.description('Entries that no executor holds')),
    kafkaLag: v.pipe(unknownOr(count), v.description('Records in Kafka, not fetched')),
  }),
  executors: v.object({
    count: count,
    min: unknownOr(count),
    max: unknownOr(count),
    policy: unknownOr(v.string()),
    maxResultDelayMs: unknownOr(count),
  }),
  shards: v.pipe(
    v.array(
      v.object({
        shard: count,
        partitions: count,
        records: v.pipe(count, v.description('In its stream, not committed')),
        bytes: v.pipe(count, v.description('Payload bytes in its stream')),
        entries: count,
        pending: v.pipe(count, v.description('Entries that an executor holds')),
        holdsWatermark: v.pipe(
          v.boolean(),
          v.description('The partition that the watermark waits for is one of its'),
        ),
        closedTo: v.pipe(
          unknownOr(time),
          v.description('Up to where it has closed its part of the windows'),
        ),
      }),
    ),
    v.description('What each shard has in Redis; one where the job is not divided'),
  ),
  hosts: v.pipe(
    v.array(
      v.object({
        host: v.string(),
        supervisor: v.string(),
        leads: v.boolean(),
        cores: count,
        coresIdle: unknownOr(v.number()),
        memoryFreeBytes: v.number(),
        limit: v.pipe(count, v.description('Executors that it takes at the most')),
        executors: count,
        wanted: v.pipe(unknownOr(count), v.description('By the leader; null where it is alone')),
      }),
    ),
    v.description('Machines whose supervisors offer them to the job, the leader’s first'),
  ),
  quota: v.pipe(
    v.object({
      recordsPerSecond: unknownOr(count),
      memoryBytes: unknownOr(count),
      usedBytes: v.pipe(unknownOr(count), v.description('Measured where memory has a quota')),
      heldBy: unknownOr(v.picklist(['rate', 'memory'])),
    }),
    v.description('What the job may have, null for no quota; records that are over wait in Kafka'),
  ),
  rates: v.object({ inPerSecond: unknownOr(v.number()), outPerSecond: unknownOr(v.number()) }),
  latencyMs: v.pipe(quantiles, v.description("Result delay: Kafka's timestamp to commit")),
  eventDelayMs: v.pipe(
    quantiles,
    v.description('Event time to commit, of a sample of the records'),
  ),
  totals: v.object({
    appended: count,
    committed: v.pipe(count, v.description('counted + filtered + late + rejected')),
    counted: count,
    filtered: count,
    late: count,
    rejected: count,
    lost: v.pipe(count, v.description('Deleted by Kafka before they were read, and given up')),
    unaccounted: v.pipe(
      count,
      v.description('appended − committed − waiting; anything but 0 is a bug'),
    ),
  }),
  rejects: v.pipe(
    v.record(v.string(), count),
    v.description('Late and rejected records by reason'),
  ),
  lastDecision: unknownOr(decisionSchema),
})

export const executorSchema = v.object({
  kind: v.picklist(actorKinds),
  id: v.string(),
  pid: count,
  host: v.string(),
  state: v.picklist(actorStates),
  at: v.pipe(time, v.description('Of its last account of itself, which is what follows')),
  startedAt: time,
  stoppedAt: unknownOr(time),
  reason: unknownOr(v.string()),
  busy: v.pipe(unknownOr(v.number()), v.description('Share of time with records in hand, 0 to 1')),
  records: count,
  entries: count,
  recordsPerSecond: unknownOr(v.number()),
  rssBytes: v.number(),
  delays: v.pipe(
    v.array(count),
    v.description(
      'Records by delay, Kafka to commit, since its start; bucket k ends at 2^(k/4) ms',
    ),
  ),
  eventDelays: v.pipe(
    v.array(count),
    v.description('The same from their event time, of a sample of the records'),
  ),
})
export const executorsSchema = v.object({ executors: v.array(executorSchema) })

const historyPointSchema = v.object({
  at: time,
  backlog: v.pipe(v.number(), v.description('Records in the stream, not committed')),
  kafkaLag: unknownOr(v.number()),
  arrivedPerSecond: unknownOr(v.number()),
  committedPerSecond: unknownOr(v.number()),
  executors: v.pipe(v.number(), v.description('At work')),
  target: v.pipe(v.number(), v.description('Wanted')),
  max: v.number(),
  latencyMs: quantiles,
  eventDelayMs: quantiles,
  watermarkDelayMs: v.pipe(
    unknownOr(v.number()),
    v.description('How far the watermark was behind the clock'),
  ),
})
export type HistoryPoint = v.InferOutput<typeof historyPointSchema>

export const historySchema = v.object({
  from: time,
  to: time,
  stepMs: v.pipe(count, v.description('Time that a point stands for')),
  points: v.pipe(
    v.array(historyPointSchema),
    v.description('Oldest first; none where nothing was measured, one a minute in silence'),
  ),
})
export type HistoryReport = v.InferOutput<typeof historySchema>

export const jobSchema = v.object({
  name: v.string(),
  topic: v.string(),
  groups: v.pipe(v.array(v.string()), v.description('Fields of a window row’s `key`')),
  aggregates: v.pipe(
    v.array(
      v.object({
        name: v.string(),
        kind: v.string(),
        quantiles: v.optional(
          v.pipe(v.array(v.string()), v.description('Of `quantiles`: the names in its value')),
        ),
      }),
    ),
    v.description('Fields of a window row’s `values`'),
  ),
  window: v.object({
    sizeMs: count,
    slideMs: count,
    gapMs: v.optional(v.pipe(count, v.description('Of sessions'))),
    maxMs: v.optional(v.pipe(count, v.description('Of sessions that are cut'))),
  }),
  sinks: v.pipe(v.array(v.string()), v.description('Names of those that closed windows go to')),
  watermarkDelayMs: count,
  allowedLatenessMs: v.optional(
    v.pipe(count, v.description('How long closed windows may change; absent for not at all')),
  ),
  updatesMs: v.optional(
    v.pipe(count, v.description('How often sinks are told of open windows; absent for never')),
  ),
  control: v.object({
    needsToken: v.pipe(v.boolean(), v.description('Whether control calls need the token')),
  }),
  jobs: v.pipe(unknownOr(count), v.description('Jobs on this Redis, see GET /api/jobs')),
  version: v.string(),
})
export type JobReport = v.InferOutput<typeof jobSchema>

const jobLineSchema = v.object({
  job: v.string(),
  topics: v.array(v.string()),
  state: v.pipe(
    v.picklist(['running', 'degraded', 'paused', 'stopped', 'unknown']),
    v.description('`unknown`: it could not be measured, and `reason` says why'),
  ),
  reason: unknownOr(v.string()),
  since: v.pipe(time, v.description('When its supervisor began to lead')),
  at: v.pipe(time, v.description('When its supervisor last said that it is there')),
  host: v.string(),
  page: v.pipe(unknownOr(v.string()), v.description('The address of its page')),
  executors: v.object({ count: unknownOr(count), min: count, max: count }),
  maxResultDelayMs: count,
  backlog: v.object({
    records: v.pipe(unknownOr(count), v.description('In the stream, not committed')),
    kafkaLag: v.pipe(unknownOr(count), v.description('Records in Kafka, not fetched')),
  }),
  rates: v.object({ inPerSecond: unknownOr(v.number()), outPerSecond: unknownOr(v.number()) }),
  latencyMs: v.pipe(quantiles, v.description("Result delay: Kafka's timestamp to commit")),
  watermark: unknownOr(time),
})
export const jobsSchema = v.object({
  jobs: v.pipe(v.array(jobLineSchema), v.description('By name')),
  more: v.pipe(count, v.description('Jobs of the list beyond those, which were heard of earlier')),
})

const sinkSchema = v.object({
  name: v.string(),
  kind: v.string(),
  address: v.pipe(v.string(), v.description('Where it writes to, without secrets')),
  state: v.pipe(
    v.picklist(sinkStates),
    v.description('`refused`: it will not take a window; `absent`: no process runs it'),
  ),
  reason: unknownOr(v.string()),
  at: v.pipe(unknownOr(time), v.description('When it last said so')),
  windows: v.pipe(count, v.description('Written since it was declared')),
  rows: count,
  lost: v.pipe(count, v.description('Windows that were cut away before it took them')),
  skipped: v.pipe(count, v.description('Windows that it refused and that were passed over')),
  writtenAt: unknownOr(time),
  lagWindows: v.pipe(count, v.description('Closed windows that it has not taken')),
  upTo: v.pipe(unknownOr(time), v.description('End of the newest window that it has')),
})
export const sinksSchema = v.object({ sinks: v.array(sinkSchema) })

export const decisionsSchema = v.object({ decisions: v.array(decisionSchema), next })

export const costSchema = v.object({
  since: unknownOr(time),
  elapsedSeconds: v.pipe(
    v.number(),
    v.description('Time that was counted: while nobody leads, nothing counts for either fleet'),
  ),
  executorSeconds: v.pipe(
    v.number(),
    v.description('Each executor from its start until it is gone, whoever started it'),
  ),
  staticExecutorSeconds: v.pipe(v.number(), v.description('The maximum, all of the time')),
  savedShare: v.pipe(unknownOr(v.number()), v.description('1 − used ÷ static')),
  pricePerExecutorHour: unknownOr(v.number()),
  money: v.object({
    used: unknownOr(v.number()),
    static: unknownOr(v.number()),
    saved: unknownOr(v.number()),
  }),
})

const duration = (description: string) =>
  v.pipe(
    v.object({
      count,
      sum: v.number(),
      last: unknownOr(v.number()),
      max: unknownOr(v.number()),
      buckets: v.array(v.object({ le: v.number(), count })),
    }),
    v.description(description),
  )

export const loopSchema = v.object({
  loop: unknownOr(
    v.object({
      supervisor: v.string(),
      since: v.pipe(time, v.description('Counted since this supervisor began')),
      at: time,
      looks: count,
      measurementsFailed: count,
      latenessSeconds: duration('How much later than planned looks began'),
      lookSeconds: duration('How long looks took'),
      measurementAgeSeconds: duration('How old the measurement was when it was decided upon'),
      scaleOutSeconds: duration('From a decision until as many executors were running'),
      scaleInSeconds: duration('From a decision until no more executors were left'),
      decision: v.pipe(
        unknownOr(v.omit(decisionSchema, ['id', 'effectMs'])),
        v.description(
          'The newest, also one that changes nothing: why there are as many as there are',
        ),
      ),
    }),
  ),
})
export type LoopReport = v.InferOutput<typeof loopSchema>

export const rejectSchema = v.object({
  id: v.pipe(v.string(), v.description('Unique, and in order')),
  at: time,
  topic: v.string(),
  partition: count,
  offset: v.pipe(v.string(), v.description('As text: Kafka offsets can exceed 2^53')),
  reason: v.string(),
  message: v.string(),
  value: v.pipe(v.string(), v.description("The record's first bytes as UTF-8")),
})
export const rejectsSchema = v.object({ rejects: v.array(rejectSchema), next })
export type RejectReport = v.InferOutput<typeof rejectSchema>

export const healthSchema = v.object({ status: v.literal('ok') })

export const missingParts = ['redis', 'kafka', 'leader'] as const
export const readySchema = v.object({ ready: v.literal(true), missing: v.array(v.string()) })

export const errorSchema = v.object({
  error: v.object({
    code: v.pipe(v.string(), v.description('A code that programs can rely on')),
    message: v.string(),
  }),
})
export const notReadySchema = v.object({
  ready: v.literal(false),
  missing: v.array(v.picklist(missingParts)),
  ...errorSchema.entries,
})

export const controlSchema = v.object({
  min: count,
  max: count,
  maxResultDelayMs: v.optional(count),
})
export const pauseSchema = v.object({ paused: v.boolean() })

export const forgetSchema = v.object({ job: v.string(), forgotten: v.literal(true) })

export const quotaAnswerSchema = v.object({
  recordsPerSecond: v.optional(count),
  memoryMib: v.optional(count),
})

export const drainSchema = v.object({
  id: v.string(),
  draining: v.pipe(
    v.literal(true),
    v.description('It was told to; it finishes what it has in hand and then says `stopped`'),
  ),
})
