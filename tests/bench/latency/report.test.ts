import { expect, test } from 'bun:test'
import type { Played } from '../../../bench/latency/played.ts'
import { reportText } from '../../../bench/latency/report.ts'

const played = (values: Partial<Played> = {}): Played => ({
  rate: 40,
  executors: 1,
  committedPerSecond: 40,
  probes: 2_400,
  unseen: 0,
  delayMs: { p50: 4, p99: 7.5, p999: 31, max: 40 },
  readBackMs: { p50: 4, p99: 7.5, p999: 31, max: 40 },
  apiMs: { p50: 4, p99: 8, p999: 32, max: null },
  cpuPercent: { executor: 5.04, load: 0 },
  load: 1,
  stages: null,
  ...values,
})

const goalsIn = (text: string) => text.split('\n').filter((line) => line.startsWith('goal:'))

test('goals are told as reached or missed, for the rates that have some', () => {
  const text = reportText([played(), played({ rate: 1_000 })])
  expect(goalsIn(text)).toEqual([
    'goal: 1, 40: p99 of 8 ms at the most: 7.50 ms, reached',
    'goal: 1, 40: p99.9 of 30 ms at the most: 31.00 ms, MISSED',
  ])
})

test('a delay that is not known is a dash, and a probe that was given up is told', () => {
  const text = reportText([played({ unseen: 3 })])
  expect(text).toMatch(/32\.00 +-$/m)
  expect(text).toContain('3 of 2400 probes were given up')
  expect(reportText([played()])).not.toContain('given up')
})
