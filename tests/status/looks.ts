/** Looks at a job, with what a test does not care about filled in. */
import type { Look } from '../../status/look.ts'
import type { ActorReport, StatusReport } from '../../supervisor/status.ts'

export const now = Date.parse('2026-01-01T00:00:00Z')
const iso = (ms: number) => new Date(ms).toISOString()

export const statusReport = (given: Partial<StatusReport> = {}): StatusReport => ({
  job: 'rooms',
  topic: 'readings',
  version: null,
  state: 'running',
  reason: null,
  at: iso(now),
  watermark: iso(now - 61_000),
  watermarkHeldBy: 2,
  watermarkHeldByTopic: null,
  backlog: { records: 1_234, entries: 12, pending: 3, undelivered: 9, kafkaLag: null },
  executors: { count: 2, min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 },
  shards: [
    {
      shard: 0,
      partitions: 3,
      records: 1_234,
      bytes: 50_000,
      entries: 12,
      pending: 3,
      holdsWatermark: true,
      closedTo: null,
    },
  ],
  hosts: [],
  quota: { recordsPerSecond: null, memoryBytes: null, usedBytes: null, heldBy: null },
  rates: { inPerSecond: 38.2, outPerSecond: null },
  latencyMs: { p50: 4, p99: 17 },
  eventDelayMs: { p50: null, p99: null },
  totals: {
    appended: 2_000,
    committed: 766,
    counted: 700,
    filtered: 50,
    late: 10,
    rejected: 6,
    lost: 0,
    unaccounted: 0,
  },
  rejects: { late: 10, json: 6 },
  lastDecision: {
    id: '1-0',
    at: iso(now - 90_000),
    from: 1,
    to: 2,
    reason: 'backlog',
    sentence: '1 → 2 executors: 38/s arriving',
    inputs: {},
    effectMs: 420,
  },
  ...given,
})

export const executorReport = (given: Partial<ActorReport> = {}): ActorReport => ({
  kind: 'executor',
  id: 'executor-1',
  pid: 17,
  host: 'here',
  state: 'running',
  at: iso(now),
  startedAt: iso(now - 60_000),
  stoppedAt: null,
  reason: null,
  busy: 0.71,
  records: 12_345,
  entries: 100,
  recordsPerSecond: 12.4,
  rssBytes: 64 * 2 ** 20,
  delays: [],
  eventDelays: [],
  ...given,
})

export const lookWith = (given: Partial<Look> = {}): Look => ({
  status: statusReport(),
  executors: [executorReport()],
  cost: {
    since: iso(now - 420_000),
    elapsedSeconds: 420,
    executorSeconds: 162,
    staticExecutorSeconds: 420,
    savedShare: 0.6143,
    pricePerExecutorHour: 0.05,
    money: { used: 0.00225, static: 0.005833, saved: 0.003583 },
  },
  ...given,
})
