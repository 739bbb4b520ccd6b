import { describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { keysOf } from '../../actors/keys.ts'
import type { PartitionState, Snapshot } from '../../actors/measure.ts'
import type { Store } from '../../actors/redis.ts'
import { until } from '../../faults/until.ts'
import { backlogOf, kafkaLagOf } from '../../supervisor/backlog.ts'
import { hostReports } from '../../supervisor/host-report.ts'
import { limitsOf } from '../../supervisor/control.ts'
import { forgotten } from '../../supervisor/register.ts'
import { stateOf, statusOf, watermarkHolder } from '../../supervisor/status.ts'
import { createStatusReader } from '../../supervisor/status-reader.ts'

type Known = Snapshot['actors'][number]
const now = Date.parse('2026-01-01T00:00:00Z')

const partition = (given: Partial<PartitionState> = {}): PartitionState => ({
  partition: 0,
  start: 0,
  next: 100,
  frontier: 100,
  high: 100,
  maxEventTime: now - 1_000,
  seenAt: now,
  dataAt: now,
  ...given,
})

const totals: Snapshot['totals'] = {
  appended: 100,
  committed: 90,
  counted: 80,
  filtered: 4,
  late: 3,
  rejected: 3,
  partly: 0,
  lost: 0,
  waiting: 10,
  waitingBytes: 1_000,
  entriesAppended: 20,
  entriesCommitted: 18,
  busyUs: 1_000_000,
}

const actor = (given: Partial<Known> = {}): Known => ({
  id: 'executor-1',
  kind: 'executor',
  pid: 1,
  host: 'here',
  state: 'running',
  startedAt: now - 10_000,
  at: now,
  stoppedAt: null,
  reason: null,
  rssBytes: 1,
  records: 0,
  entries: 0,
  busyMs: 0,
  cpuMs: 0,
  busy: 0.5,
  recordsPerSecond: 10,
  progress: 0,
  delays: [],
  eventDelays: [],
  alive: true,
  ...given,
})

const snapshot = (given: Partial<Snapshot> = {}): Snapshot => ({
  at: now,
  totals,
  rejects: { late: 3, json: 3 },
  topics: [],
  partitions: [partition()],
  begun: true,
  shards: [
    {
      shard: 0,
      partitions: 1,
      waiting: 10,
      waitingBytes: 500,
      entries: 2,
      pending: 1,
      closedTo: null,
      pace: '',
    },
  ],
  entries: 2,
  pending: 1,
  orphaned: 0,
  pendingOf: new Map(),
  watermark: now - 60_000,
  closedTo: null,
  control: { min: '0', max: '4', policy: 'backlog' },
  version: null,
  quota: {},
  hosts: {},
  actors: [actor(), actor({ id: 'bridge-1', kind: 'bridge' })],
  leader: 'supervisor-1',
  ...given,
})

describe('hosts', () => {
  const offer = {
    cores: 4,
    idle: 1.5,
    memoryFreeBytes: 2 ** 30,
    limit: 8,
    executors: 1,
    code: null,
  }
  const host = (id: string, name: string, given: Partial<Snapshot['actors'][number]> = {}) =>
    actor({ id, kind: 'supervisor', host: name, offer, ...given })

  test('those whose supervisors live and offer them, the leader’s first, with what is theirs', () => {
    const actors = [
      host('supervisor-0', 'alpha'),
      host('supervisor-1', 'beta'),
      host('supervisor-2', 'gone', { alive: false }),
      actor({ id: 'standby', kind: 'supervisor', host: 'gamma' }),
      actor({ id: 'a', of: 'supervisor-0' }),
      actor({ id: 'b', of: 'supervisor-0', alive: false }),
    ]
    const hosts = { leader: 'supervisor-1', room: '4', 'want:supervisor-0': '1' }
    const reports = hostReports(snapshot({ actors, hosts }))
    expect(
      reports.map(({ host, leads, executors, wanted }) => [host, leads, executors, wanted]),
    ).toEqual([
      ['beta', true, 0, null],
      ['alpha', false, 1, 1],
    ])
    expect(reports[0]).toMatchObject({ cores: 4, coresIdle: 1.5, limit: 8 })
  })

  test('who spoke and does not lead any more wants nothing', () => {
    const hosts = { leader: 'another', 'want:supervisor-1': '1' }
    const [report] = hostReports(snapshot({ actors: [host('supervisor-1', 'beta')], hosts }))
    expect(report?.wanted).toBeNull()
  })
})

describe('measure', () => {
  test('backlog is appended − committed; Kafka holds the rest', () => {
    const partitions = [partition({ high: 150 }), partition({ partition: 1, high: 90 })]
    expect(backlogOf(snapshot({ partitions }), now)).toMatchObject({
      known: true,
      waiting: 10,
      kafkaLag: 50,
      arrived: 150,
      undelivered: 1,
    })
  })

  test('what a quota holds in Kafka is not waited for: no executor could help', () => {
    const partitions = [partition({ high: 150 })]
    const control = { quotaRecordsPerSecond: '10' }
    const paced = snapshot({ partitions, control, quota: { heldAt: String(now - 1_000) } })
    expect(backlogOf(paced, now)).toMatchObject({ waiting: 10, kafkaLag: 0 })
    const free = snapshot({ partitions, control, quota: { heldAt: String(now - 10_000) } })
    expect(backlogOf(free, now)).toMatchObject({ waiting: 10, kafkaLag: 50 })
    expect(statusOf({ name: 'students', topic: 'logs' }, paced, [], null)).toMatchObject({
      state: 'running',
      reason: 'held by its quota of 10 records a second: what is over waits in Kafka',
      backlog: { kafkaLag: 50 },
      quota: { recordsPerSecond: 10, heldBy: 'rate' },
    })
  })

  test('what is not known is unknown, never zero', () => {
    expect(backlogOf(null, now)).toEqual({ known: false, at: now })
    const broken = snapshot({ totals: { ...totals, committed: Number.NaN } })
    expect(backlogOf(broken, now)).toEqual({ known: false, at: now })
    expect(kafkaLagOf([], now)).toBeNull()
    expect(kafkaLagOf([partition(), partition({ seenAt: now - 6_000 })], now)).toBeNull()
  })
})

describe('status', () => {
  const job = { name: 'students', topic: 'logs' }

  test('the whole report', () => {
    const before = snapshot({
      at: now - 2_000,
      totals: { ...totals, appended: 60, committed: 70 },
    })
    expect(statusOf(job, snapshot(), [before], null)).toEqual({
      job: 'students',
      topic: 'logs',
      version: null,
      state: 'running',
      reason: null,
      at: '2026-01-01T00:00:00.000Z',
      watermark: '2025-12-31T23:59:00.000Z',
      watermarkHeldBy: 0,
      watermarkHeldByTopic: null,
      backlog: { records: 10, entries: 2, pending: 1, undelivered: 1, kafkaLag: 0 },
      executors: { count: 1, min: 0, max: 4, policy: 'backlog', maxResultDelayMs: null },
      shards: [
        {
          shard: 0,
          partitions: 1,
          records: 10,
          bytes: 500,
          entries: 2,
          pending: 1,
          holdsWatermark: true,
          closedTo: null,
        },
      ],
      hosts: [],
      quota: { recordsPerSecond: null, memoryBytes: null, usedBytes: null, heldBy: null },
      rates: { inPerSecond: 20, outPerSecond: 10 },
      latencyMs: { p50: null, p99: null },
      eventDelayMs: { p50: null, p99: null },
      totals: {
        appended: 100,
        committed: 90,
        counted: 80,
        filtered: 4,
        late: 3,
        rejected: 3,
        lost: 0,
        unaccounted: 0,
      },
      rejects: { late: 3, json: 3 },
      lastDecision: null,
    })
  })

  test('rates are null without an earlier snapshot between one and ten seconds old', () => {
    const unknown = { inPerSecond: null, outPerSecond: null }
    expect(statusOf(job, snapshot(), [], null).rates).toEqual(unknown)
    expect(statusOf(job, snapshot(), [snapshot({ at: now - 500 })], null).rates).toEqual(unknown)
    expect(statusOf(job, snapshot(), [snapshot({ at: now - 20_000 })], null).rates).toEqual(unknown)
  })

  test('state: stopped before degraded before paused before running', () => {
    const failed = actor({ id: 'bridge', kind: 'bridge', state: 'failed', reason: 'the topic' })
    const paused = { paused: '1' }
    const actors = [failed]
    expect(stateOf(snapshot({ leader: '', actors, control: paused })).state).toBe('stopped')
    expect(stateOf(snapshot({ actors, control: paused }))).toEqual({
      state: 'degraded',
      reason: 'the bridge failed: the topic',
    })
    const complaint = actor({ kind: 'bridge', reason: 'Kafka does not answer' })
    expect(stateOf(snapshot({ actors: [complaint] })).reason).toBe('Kafka does not answer')
    expect(stateOf(snapshot({ control: paused })).state).toBe('paused')
    expect(stateOf(snapshot()).state).toBe('running')
  })

  test('an unread partition holds the watermark, then the slowest; idle ones do not', () => {
    const slow = partition({ partition: 1, maxEventTime: now - 9_000 })
    const unread = partition({ partition: 2, maxEventTime: null })
    const idle = partition({ partition: 3, maxEventTime: 0, dataAt: now - 31_000 })
    expect(watermarkHolder([partition(), slow, unread, idle], now)).toBe(2)
    expect(watermarkHolder([partition(), slow, idle], now)).toBe(1)
    expect(watermarkHolder([idle], now)).toBeNull()
  })

  test('latency: of what was committed since the earlier snapshot', () => {
    const early = actor({ delays: [5, 5], eventDelays: [1] })
    const late = actor({ delays: [5, 5, 0, 0, 7], eventDelays: [1, 0, 0, 0, 0, 0, 0, 0, 2] })
    const before = snapshot({ at: now - 2_000, actors: [early] })
    const after = snapshot({ actors: [late] })
    expect(statusOf(job, after, [before], null).latencyMs).toEqual({ p50: 2, p99: 2 })
    expect(statusOf(job, after, [before], null).eventDelayMs).toEqual({ p50: 4, p99: 4 })
    expect(statusOf(job, after, [], null).latencyMs).toEqual({ p50: null, p99: null })
  })
})

describe('what is kept', () => {
  test('the newest 20 of the dead for 10 minutes; the living and the failed always', () => {
    const dead = (id: string, ago: number) =>
      actor({ id, alive: false, state: 'dead', stoppedAt: now - ago })
    const many = Array.from({ length: 25 }, (_, i) => dead(`d${i}`, i * 1_000))
    const failed = actor({ id: 'executor', alive: false, state: 'failed', stoppedAt: 0 })
    const ids = forgotten([actor(), failed, ...many], now).map(({ id }) => id)
    expect(ids).toEqual(['d20', 'd21', 'd22', 'd23', 'd24'])
    expect(forgotten([dead('old', 11 * 60_000)], now).map(({ id }) => id)).toEqual(['old'])
  })

  test('limits: what makes no sense keeps what was', () => {
    const was = {
      min: 0,
      max: 4,
      paused: false,
      policy: 'backlog',
      maxResultDelayMs: 2_000,
    } as const
    expect(limitsOf({}, was)).toEqual(was)
    expect(limitsOf({ min: '-1', max: 'x', policy: 'y', maxResultDelayMs: '9' }, was)).toEqual(was)
    expect(
      limitsOf({ min: '3', max: '2', paused: '1', policy: 'spark', maxResultDelayMs: '500' }, was),
    ).toEqual({
      min: 2,
      max: 2,
      paused: true,
      policy: 'spark',
      maxResultDelayMs: 500,
    })
  })
})

test('a reader looks by itself until it is ended', async () => {
  const looks = { ended: 0, going: 0 }
  const reader = (name: keyof typeof looks, ended: AbortSignal) => {
    const call = () => {
      looks[name]++
      return Promise.reject(new Error('Connection is closed.'))
    }
    const store = { call } as unknown as Store
    const job = { name: 'read', topic: 'read', sinks: [] }
    createStatusReader(store, keysOf('read'), job, systemClock, { sampleEveryMs: 5, ended })
  }
  const [end, over] = [new AbortController(), new AbortController()]
  reader('ended', end.signal)
  await until('it to look', () => looks.ended > 2)
  end.abort()
  const before = looks.ended
  reader('going', over.signal)
  await until('another to look', () => looks.going > 5)
  over.abort()
  expect(looks.ended).toBe(before)
})
