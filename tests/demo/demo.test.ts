import { describe, expect, test } from 'bun:test'
import { delayBucket, delayBucketsMs } from '../../actors/messages.ts'
import { type Seen, type StageResult, stages } from '../../demo/stages.ts'
import { costText, summaryOf } from '../../demo/summary.ts'
import type { Change } from '../../demo/timeline.ts'
import { costReport } from '../../supervisor/cost.ts'

const [one, four, none] = stages as [
  StageResult['stage'],
  StageResult['stage'],
  StageResult['stage'],
]

/** Samples a second apart; `executors` and `backlog` by second. */
const samples = (executors: number[], backlog: number[] = []) =>
  executors.map((count, i) => ({ at: i * 1_000, executors: count, backlog: backlog[i] ?? 0 }))

const change = (from: number, to: number, at: number, effectAt: number | null = at + 300) => ({
  from,
  to,
  at,
  effectAt,
})

const seen = (given: Partial<Seen>): Seen => ({
  startedAt: 0,
  samples: [],
  changes: [],
  ...given,
})

const repeat = (times: number, executors: number) => Array.from({ length: times }, () => executors)

describe('what must be seen', () => {
  test('one producer: one executor for ten seconds, whatever was before', () => {
    expect(one.met(seen({ samples: samples([0, 2, 2, ...repeat(10, 1)]) }))).toBe(true)
    expect(one.met(seen({ samples: samples([0, 2, 2, ...repeat(9, 1)]) }))).toBe(false)
    expect(one.met(seen({ samples: samples([0, ...repeat(12, 1), 2]) }))).toBe(false)
    expect(one.met(seen({ samples: samples(repeat(10, 1)) }))).toBe(false)
    expect(one.met(seen({ samples: samples(repeat(11, 1)) }))).toBe(true)
    expect(one.met(seen({}))).toBe(false)
  })

  test('four producers: three or four that were really at work', () => {
    const changes = [change(1, 2, 1_000), change(2, 4, 2_000)]
    expect(four.met(seen({ changes }))).toBe(true)
    expect(four.aim(changes)?.effectAt).toBe(2_300)
    expect(four.met(seen({ changes: [change(1, 2, 1_000), change(2, 4, 2_000, null)] }))).toBe(
      false,
    )
    expect(four.met(seen({ changes: [change(1, 2, 1_000)] }))).toBe(false)
    expect(four.met(seen({ changes: [change(1, 5, 1_000)] }))).toBe(false)
    expect(four.met(seen({}))).toBe(false)
  })

  test('no producer: to one, to none, and gone within 15 s of the end of the backlog', () => {
    const backlog = [9, 5, 1]
    const all = samples(repeat(20, 1), backlog)
    const met = (...changes: Change[]) => none.met(seen({ samples: all, changes }))
    expect(met(change(4, 1, 12_000), change(1, 0, 14_000, 17_000))).toBe(true)
    expect(met(change(4, 1, 12_000), change(1, 0, 14_000, 17_001))).toBe(false)
    expect(met(change(4, 1, 12_000), change(1, 0, 14_000, null))).toBe(false)
    expect(met(change(4, 0, 12_000))).toBe(false)
    expect(met()).toBe(false)
  })
})

test('the table: what was seen of each stage; what is not known is a dash', () => {
  const delays = delayBucketsMs.map((_, k) => (k === delayBucket(128) ? 50 : 0))
  const happened = seen({ samples: samples([0, 1, 1], [0, 7, 2]) })
  const results: StageResult[] = [
    { stage: one, seen: happened, met: true, secondsToScale: 1.26, delays },
    { stage: four, seen: happened, met: false, secondsToScale: null, delays: [] },
  ]
  const [header, , first, second] = summaryOf(results).split('\n')
  const cells = (line: string | undefined) => line!.split('│').map((cell) => cell.trim())
  expect(cells(header).slice(0, 6)).toEqual([
    'stage',
    'load',
    'executors (min–max)',
    'backlog peak',
    'result delay p50 / p99',
    'time to scale',
  ])
  expect(cells(first)).toEqual([
    'one producer',
    '10/s',
    '0–1',
    '7',
    '128 ms / 128 ms',
    '1.3 s',
    '1 executor, for 10 s on end',
    'yes',
  ])
  expect(cells(second).slice(4)).toEqual(['–', '–', 'more executors, up to 4', 'NO'])
})

test('the cost: time, money and what was saved', () => {
  const account = { since: 0, elapsedMs: 100_000, usedMs: 120_000, staticMs: 400_000 }
  expect(costText(costReport(account, 0.05))).toBe(
    'executor time 120 s (0.0017), a static fleet of 4 400 s (0.0056): saved 70 % (0.0039) at 0.05 an executor-hour',
  )
  expect(costText(costReport(account, null))).toBe(
    'executor time 120 s, a static fleet of 4 400 s: saved 70 %',
  )
})
