import { describe, expect, test } from 'bun:test'
import type { KeptDecision } from '../../supervisor/decisions.ts'
import { decisionText, effectLine, emptyText, nowText, type Now } from '../../supervisor/explain.ts'
import type { LoopAccount } from '../../supervisor/loop.ts'
import type { StatusReport } from '../../supervisor/status.ts'
import { T0 } from './accounts.ts'

const kept = (given: Partial<KeptDecision> = {}): KeptDecision => ({
  id: '1-0',
  at: T0 - 200_000,
  from: 1,
  to: 2,
  reason: 'backlog',
  sentence: '1 → 2 executors: 57 records wait, 4.1 s of work; it needs 2',
  inputs: {
    policy: 'backlog',
    min: 0,
    max: 4,
    maxResultDelayMs: 2_000,
    backlog: 1_057,
    arrivalsPerSecond: 19.987,
    drainSeconds: null,
  },
  effectMs: 420,
  ...given,
})

const status = (given: Partial<StatusReport> = {}) =>
  ({
    topic: 'logs',
    state: 'running',
    reason: null,
    at: new Date(T0).toISOString(),
    backlog: { records: 3, entries: 1, pending: 1, undelivered: 0, kafkaLag: 1_200 },
    executors: { count: 2, min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 },
    shards: [{ shard: 0 }],
    ...given,
  }) as StatusReport

const holding = kept({
  from: 2,
  to: 2,
  reason: 'hold',
  sentence: '2 executors stay: as many as the work needs',
  inputs: { backlog: 3, needed: 2 },
})
const loop = (decision: KeptDecision, at = T0 - 300) => ({ at, decision }) as unknown as LoopAccount
const now = (given: Partial<Now> = {}): Now => ({
  status: status(),
  loop: loop(holding),
  changedAt: T0 - 200_000,
  ...given,
})

describe('what is true now', () => {
  test('state, executors with their limits, backlog; and why nothing changes', () => {
    expect(nowText('students', now())).toBe(
      [
        'students from logs: running',
        '  2 executors (min 0, max 4, policy backlog, results within 2 s), backlog 3 in the stream and 1,200 in Kafka',
        '  unchanged for 3 min 20 s: 2 executors stay: as many as the work needs  [hold]',
        '  backlog 3 · needed 2',
      ].join('\n'),
    )
  })

  test('nothing is unchanged where the newest decision changed something', () => {
    expect(nowText('students', now({ loop: loop(kept()) }))).not.toContain('unchanged')
    expect(nowText('students', now({ changedAt: null }))).toContain('  unchanged: 2 executors')
  })

  test('who would decide is not there, or is silent', () => {
    const stopped = status({ state: 'stopped', reason: 'no supervisor leads' })
    expect(nowText('students', now({ status: stopped }))).toContain(
      'nothing is decided: no supervisor leads (bun run supervisor)',
    )
    const silent = nowText('students', now({ loop: loop(holding, T0 - 12_000) }))
    expect(silent).toContain('the supervisor has told nothing for 12 s')
    expect(silent).not.toContain('unchanged')
  })

  test('what is unknown is said, not zero', () => {
    const executors = { count: 1, min: null, max: null, policy: null, maxResultDelayMs: null }
    const backlog = { records: 0, entries: 0, pending: 0, undelivered: 0, kafkaLag: null }
    expect(nowText('students', now({ status: status({ executors, backlog }) }))).toContain(
      '  1 executor, backlog 0 in the stream and unknown in Kafka',
    )
  })
})

describe('a decision', () => {
  test('says when, what, why, by which numbers, and when it was so', () => {
    const [head, ...rest] = decisionText(kept(), [], T0).split('\n')
    expect(head).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(3 min 20 s ago\) {2}1 → 2 {2}\[backlog\] {2}in effect after 420 ms$/,
    )
    expect(rest).toEqual([
      '  1 → 2 executors: 57 records wait, 4.1 s of work; it needs 2',
      '  backlog 1,057 · arrivals per second 19.99',
    ])
  })

  test('is not in effect yet until the opposite overtakes it', () => {
    const open = kept({ effectMs: null })
    expect(decisionText(open, [kept({ from: 2, to: 4 })], T0)).toContain('not in effect yet')
    const opposite = kept({ from: 2, to: 1 })
    expect(decisionText(open, [opposite], T0)).toContain('overtaken before it was in effect')
  })

  test('that changes no number has no effect to wait for', () => {
    const degraded = kept({ from: 4, to: 4, reason: 'degraded', effectMs: null, inputs: {} })
    expect(decisionText(degraded, [], T0).split('\n')[0]).toMatch(/4 stay {2}\[degraded\]$/)
  })

  test('is told again when it has taken effect', () => {
    expect(effectLine(kept())).toMatch(/ {2}1 → 2 {2}in effect after 420 ms$/)
  })
})

test('nothing to explain: what to do', () => {
  const stopped = status({ state: 'stopped' })
  const never = { loop: null, changedAt: null }
  expect(emptyText('rooms', { status: stopped, ...never })).toContain('bun run supervisor')
  expect(emptyText('rooms', { status: stopped, ...never })).toContain('bun run producer')
  expect(emptyText('rooms', { status: status(), ...never })).toContain('records wake the first')
  expect(emptyText('rooms', now())).toBe('no decision in that time')
})
