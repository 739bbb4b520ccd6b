/**
 * Examples of answers for GET /openapi.json, of the shipped job; each has the form of its schema, by
 * type here and by a test of the document.
 */
import type * as v from 'valibot'
import type { Failure } from './openapi.ts'
import type * as schemas from './schemas.ts'
import type * as windowSchemas from './window-schemas.ts'

type Schemas = typeof schemas & typeof windowSchemas
type Answer<Name extends keyof Schemas> = Schemas[Name] extends v.GenericSchema
  ? v.InferOutput<Schemas[Name]>
  : never

const at = '2026-01-31T12:00:00.000Z'

const decision: Answer<'decisionSchema'> = {
  id: '1769860798250-0',
  at: '2026-01-31T11:59:58.250Z',
  from: 1,
  to: 2,
  reason: 'backlog',
  sentence:
    '1 → 2 executors: 96 records wait and 40/s arrive; one executor does 14/s, so 4 are needed',
  inputs: { policy: 'backlog', min: 0, max: 4, running: 1, backlog: 96, arrivalsPerSecond: 40 },
  effectMs: 62,
}

const status: Answer<'statusSchema'> = {
  job: 'students',
  topic: 'cs_student_logs',
  version: null,
  state: 'running',
  reason: null,
  at,
  watermark: '2026-01-31T11:58:59.400Z',
  watermarkHeldBy: 2,
  watermarkHeldByTopic: null,
  backlog: { records: 96, entries: 12, pending: 4, undelivered: 8, kafkaLag: 0 },
  executors: { count: 2, min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 },
  shards: [
    {
      shard: 0,
      partitions: 4,
      records: 96,
      bytes: 20_480,
      entries: 12,
      pending: 4,
      holdsWatermark: true,
      closedTo: '2026-01-31T11:58:55.000Z',
    },
  ],
  hosts: [
    {
      host: 'worker-1',
      supervisor: 'supervisor-mkx19zw0q2ab',
      leads: true,
      cores: 4,
      coresIdle: 2.6,
      memoryFreeBytes: 6_442_450_944,
      limit: 64,
      executors: 2,
      wanted: null,
    },
  ],
  quota: { recordsPerSecond: null, memoryBytes: 268_435_456, usedBytes: 12_042_881, heldBy: null },
  rates: { inPerSecond: 40.1, outPerSecond: 27.9 },
  latencyMs: { p50: 181, p99: 1_722 },
  eventDelayMs: { p50: 203, p99: 1_779 },
  totals: {
    appended: 10_096,
    committed: 10_000,
    counted: 9_940,
    filtered: 50,
    late: 3,
    rejected: 7,
    lost: 0,
    unaccounted: 0,
  },
  rejects: { late: 3, schema: 6, json: 1 },
  lastDecision: decision,
}

const executor: Answer<'executorSchema'> = {
  kind: 'executor',
  id: 'executor-mkx1a9c0q3zt',
  pid: 4_711,
  host: 'worker-1',
  state: 'running',
  at: '2026-01-31T11:59:59.300Z',
  startedAt: '2026-01-31T11:58:02.041Z',
  stoppedAt: null,
  reason: null,
  busy: 0.71,
  records: 1_640,
  entries: 211,
  recordsPerSecond: 13.9,
  rssBytes: 61_865_984,
  delays: [0, 0, 3, 41, 120],
  eventDelays: [0, 0, 0, 4, 9],
}

const duration: NonNullable<Answer<'loopSchema'>['loop']>['lookSeconds'] = {
  count: 480,
  sum: 1.92,
  last: 0.004,
  max: 0.031,
  buckets: [
    { le: 0.005, count: 402 },
    { le: 0.05, count: 480 },
  ],
}

const { id: _, effectMs: __, ...told } = decision

const examples = {
  getHealth: { 200: { status: 'ok' } satisfies Answer<'healthSchema'> },
  getReadiness: {
    200: { ready: true, missing: [] } satisfies Answer<'readySchema'>,
    503: {
      ready: false,
      missing: ['kafka', 'leader'],
      error: { code: 'not_ready', message: 'Kafka does not answer; no supervisor leads' },
    } satisfies Answer<'notReadySchema'>,
  },
  getJob: {
    200: {
      name: 'students',
      topic: 'cs_student_logs',
      groups: ['course', 'activity'],
      aggregates: [
        { name: 'total_loc', kind: 'sum' },
        { name: 'avg_cpu', kind: 'avg' },
        { name: 'events', kind: 'count' },
      ],
      window: { sizeMs: 10_000, slideMs: 5_000 },
      sinks: ['warehouse'],
      watermarkDelayMs: 60_000,
      control: { needsToken: true },
      jobs: 3,
      version: '0.1.0',
    } satisfies Answer<'jobSchema'>,
  },
  listJobs: {
    200: {
      jobs: [
        {
          job: 'students',
          topics: ['cs_student_logs'],
          state: 'running',
          reason: null,
          since: '2026-01-31T11:00:00.000Z',
          at: '2026-01-31T11:59:57.000Z',
          host: 'worker-1',
          page: 'http://worker-1:8080/',
          executors: { count: 2, min: 0, max: 4 },
          maxResultDelayMs: 2_000,
          backlog: { records: 96, kafkaLag: 0 },
          rates: { inPerSecond: 40.1, outPerSecond: 27.9 },
          latencyMs: { p50: 181, p99: 1_722 },
          watermark: '2026-01-31T11:58:59.400Z',
        },
      ],
      more: 0,
    } satisfies Answer<'jobsSchema'>,
  },
  forgetJob: { 200: { job: 'rooms', forgotten: true } satisfies Answer<'forgetSchema'> },
  getHistory: {
    200: {
      from: '2026-01-31T11:45:00.000Z',
      to: at,
      stepMs: 3_000,
      points: [
        {
          at: '2026-01-31T11:59:58.900Z',
          backlog: 96,
          kafkaLag: 0,
          arrivedPerSecond: 40.1,
          committedPerSecond: 27.9,
          executors: 2,
          target: 2,
          max: 4,
          latencyMs: { p50: 181, p99: 1_722 },
          eventDelayMs: { p50: 203, p99: 1_779 },
          watermarkDelayMs: 60_600,
        },
      ],
    } satisfies Answer<'historySchema'>,
  },
  getStatus: { 200: status },
  listExecutors: { 200: { executors: [executor] } satisfies Answer<'executorsSchema'> },
  listWindows: {
    200: {
      windows: [
        {
          start: '2026-01-31T11:58:45.000Z',
          end: '2026-01-31T11:58:55.000Z',
          state: 'closed',
          key: { course: 'Operating Systems', activity: 'coding' },
          values: { total_loc: 1_203, avg_cpu: 51.742, events: 17 },
        },
      ],
      next: 'WzE3Njk4NjA3MjUwMDAsIltcIk9wZXJhdGluZyBTeXN0ZW1zXCIsXCJjb2RpbmdcIl0iXQ',
    } satisfies Answer<'windowsSchema'>,
  },
  listWindowTotals: {
    200: {
      windows: [
        {
          start: '2026-01-31T11:58:45.000Z',
          end: '2026-01-31T11:58:55.000Z',
          state: 'closed',
          groups: 25,
          values: { total_loc: 6_812, avg_cpu: 52.31, events: 402 },
        },
      ],
    } satisfies Answer<'windowTotalsSchema'>,
  },
  listDecisions: { 200: { decisions: [decision] } satisfies Answer<'decisionsSchema'> },
  getCost: {
    200: {
      since: '2026-01-31T11:00:00.000Z',
      elapsedSeconds: 3_600,
      executorSeconds: 2_340.5,
      staticExecutorSeconds: 14_400,
      savedShare: 0.837,
      pricePerExecutorHour: 0.05,
      money: { used: 0.0325, static: 0.2, saved: 0.1675 },
    } satisfies Answer<'costSchema'>,
  },
  getLoop: {
    200: {
      loop: {
        supervisor: 'supervisor-mkx10f5k8a2d',
        since: '2026-01-31T11:58:00.000Z',
        at,
        looks: 480,
        measurementsFailed: 0,
        latenessSeconds: duration,
        lookSeconds: duration,
        measurementAgeSeconds: duration,
        scaleOutSeconds: duration,
        scaleInSeconds: duration,
        decision: told,
      },
    } satisfies Answer<'loopSchema'>,
  },
  getSinks: {
    200: {
      sinks: [
        {
          name: 'warehouse',
          kind: 'postgres',
          address: 'db.internal:5432/stats, table activity',
          state: 'down',
          reason:
            'at db.internal:5432/stats, table activity is down; trying again: Failed to connect',
          at,
          windows: 1_204,
          rows: 26_488,
          lost: 0,
          skipped: 0,
          writtenAt: '2026-01-31T11:57:02.000Z',
          lagWindows: 35,
          upTo: '2026-01-31T11:56:00.000Z',
        },
      ],
    } satisfies Answer<'sinksSchema'>,
  },
  listRejects: {
    200: {
      rejects: [
        {
          id: '1769860791118-0',
          at: '2026-01-31T11:59:51.118Z',
          topic: 'cs_student_logs',
          partition: 3,
          offset: '24815',
          reason: 'schema',
          message: 'lines_of_code: Invalid type: Expected number but received "many"',
          value: '{"timestamp":1769860790.9,"lines_of_code":"many"}',
        },
      ],
      next: '1769860791118-0',
    } satisfies Answer<'rejectsSchema'>,
  },
  listenToEvents: {},
  getMetrics: {},
  setLimits: { 200: { min: 0, max: 4 } satisfies Answer<'controlSchema'> },
  setQuotas: {
    200: { recordsPerSecond: 500, memoryMib: 256 } satisfies Answer<'quotaAnswerSchema'>,
  },
  pause: { 200: { paused: true } satisfies Answer<'pauseSchema'> },
  resume: { 200: { paused: false } satisfies Answer<'pauseSchema'> },
  drainExecutor: {
    200: { id: executor.id, draining: true } satisfies Answer<'drainSchema'>,
  },
}

/** The operations of the document; each has an example of what it answers in JSON. */
export type OperationId = keyof typeof examples

export function exampleOf(id: OperationId, status: 200 | 503): unknown {
  return (examples[id] as Partial<Record<200 | 503, unknown>>)[status]
}

const messages: Record<Failure, Record<string, string>> = {
  BadRequest: { bad_request: 'limit must be a whole number from 1 to 1000' },
  TokenNeeded: { token_needed: 'control calls need Authorization: Bearer <token>' },
  Forbidden: {
    host_not_allowed: 'this Host is not one of ours; name it with --allow-host',
    other_origin: 'control calls come from our own page or a program',
    loopback_only: 'without MILLRACE_TOKEN control is local only',
  },
  NotFound: { not_found: 'there is no executor "executor-mkx1a9c0q3zt"' },
  Conflict: { not_running: 'executor-mkx1a9c0q3zt is stopped' },
  BodyTooLarge: { body_too_large: 'the body may have 64 KB at the most' },
  JsonOnly: { json_only: 'Content-Type must be application/json' },
  Internal: { internal: 'something went wrong here; the log says what' },
  RedisUnavailable: { redis_unavailable: 'Redis does not answer; try again soon' },
  TooManyListeners: { too_many_listeners: '32 listen already' },
}

/** One example for each code that a failure may have. */
export function examplesOfFailure(failure: Failure) {
  const entries = Object.entries(messages[failure]).map(([code, message]) => {
    const value: Answer<'errorSchema'> = { error: { code, message } }
    return [code, { value }] as const
  })
  return Object.fromEntries(entries)
}
