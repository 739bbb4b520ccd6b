/** What /metrics is made of where everything is known. */
import type { ActorReport, StatusReport } from '../../supervisor/status.ts'
import { emptyHistogram, observed } from '../../supervisor/histogram.ts'
import type { MetricsSource } from '../../web/metrics.ts'

const at = '2026-01-01T00:00:00.000Z'

export const actorReport = (given: Partial<ActorReport> = {}): ActorReport => ({
  kind: 'executor',
  id: 'executor-1',
  pid: 1,
  host: 'here',
  state: 'running',
  at,
  startedAt: at,
  stoppedAt: null,
  reason: null,
  busy: 0.5,
  records: 10,
  entries: 2,
  recordsPerSecond: 5,
  rssBytes: 50_000_000,
  delays: [],
  eventDelays: [],
  ...given,
})

const status: StatusReport = {
  job: 'rooms "and" halls\n',
  topic: 'sensor\\readings',
  version: null,
  state: 'running',
  reason: null,
  at,
  watermark: at,
  watermarkHeldBy: 0,
  watermarkHeldByTopic: null,
  backlog: { records: 10, entries: 2, pending: 1, undelivered: 1, kafkaLag: 3 },
  executors: { count: 1, min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 },
  shards: [
    {
      shard: 0,
      partitions: 1,
      records: 10,
      bytes: 900,
      entries: 2,
      pending: 1,
      holdsWatermark: true,
      closedTo: at,
    },
  ],
  hosts: [],
  quota: { recordsPerSecond: 500, memoryBytes: 2 ** 28, usedBytes: 2 ** 20, heldBy: 'rate' },
  rates: { inPerSecond: 1, outPerSecond: 1 },
  latencyMs: { p50: 12, p99: 40 },
  eventDelayMs: { p50: null, p99: null },
  totals: {
    appended: 100,
    committed: 90,
    counted: 80,
    filtered: 5,
    late: 3,
    rejected: 2,
    lost: 0,
    unaccounted: 0,
  },
  rejects: { json: 1, late: 3 },
  lastDecision: null,
}

const timed = observed(observed(emptyHistogram, 12), 70_000)

export const everything: MetricsSource = {
  status,
  actors: [
    actorReport(),
    actorReport({ id: 'executor-2', busy: null }),
    actorReport({ id: 'executor-3', state: 'dead', busy: null }),
    actorReport({ id: 'bridge-1', kind: 'bridge', busy: null, rssBytes: 80_000_000 }),
    actorReport({ id: 'web-1', kind: 'web', busy: null, state: 'starting', rssBytes: 0 }),
  ],
  partitions: [
    { topic: null, partition: 0, lag: 3, unfinished: 10, maxEventTime: Date.parse(at) },
    { topic: null, partition: 1, lag: null, unfinished: 0, maxEventTime: null },
  ],
  sinks: [
    {
      name: 'warehouse',
      kind: 'postgres',
      address: 'db.example:5432/stats, table rooms',
      state: 'down',
      reason: 'it does not answer',
      at,
      windows: 5,
      rows: 50,
      lost: 1,
      skipped: 2,
      writtenAt: at,
      lagWindows: 7,
      upTo: at,
    },
  ],
  tallies: { delays: [0, 0, 4, 0, 6], eventDelays: [1], deaths: 1 },
  cost: {
    since: at,
    elapsedSeconds: 10,
    executorSeconds: 10,
    staticExecutorSeconds: 40,
    savedShare: 0.75,
    pricePerExecutorHour: 0.05,
    money: { used: 1, static: 4, saved: 3 },
  },
  loop: {
    supervisor: 's1',
    since: Date.parse(at),
    at: Date.parse(at),
    looks: 4,
    failed: 1,
    lateness: timed,
    look: timed,
    age: timed,
    out: timed,
    in: emptyHistogram,
    decision: null,
  },
  leader: 's1',
}
