import { describe, expect, test } from 'bun:test'
import { exitCodeOf } from '../../status/look.ts'
import { lineText } from '../../status/lines.ts'
import { statusLines, watchLine } from '../../status/text.ts'
import { executorReport, lookWith, statusReport } from './looks.ts'

const plain = { columns: Infinity, colour: false }
const textOf = (look = lookWith()) => statusLines(look).map((line) => lineText(line, plain))

describe('status as text', () => {
  test('all that a look knows; a number that is not known is unknown', () => {
    const lines = textOf()
    expect(lines[0]).toBe('rooms from readings: running')
    expect(lines[1]).toBe(
      '  backlog    1,234 in the stream (12 entries, 3 in hand), unknown in Kafka',
    )
    expect(lines[2]).toBe('  rates      38.2/s in, unknown out')
    expect(lines[3]).toBe(
      '  delay      p50 4 ms, p99 17 ms since Kafka had it; p50 unknown, p99 unknown since the event',
    )
    expect(lines[4]).toMatch(
      /^ {2}watermark {2}.*, 1 min 1 s behind the clock, held by partition 2$/,
    )
    expect(lines.slice(5)).toEqual([
      '  records    2,000 taken in, 766 done: 700 counted, 50 filtered, 10 late, 6 rejected; unaccounted 0',
      '  rejects    late 10, json 6',
      '  executors  2 (min 0, max 4, policy backlog, results within 2 s)',
      '    executor    state    busy  records/s  records  memory  process',
      '    executor-1  running  71 %       12.4   12,345  64 MiB  17 on here',
      '  cost       162 of 420 executor-seconds, 0.00225 of 0.005833 in money: 61.4 % saved',
      '  decision   1 min 30 s ago: 1 → 2 executors: 38/s arriving  [backlog]',
    ])
  })

  test('what is wrong stands where it is looked for', () => {
    const status = statusReport({ state: 'degraded', reason: 'the bridge failed: \x1b[2Jgone' })
    status.totals.unaccounted = -3
    const lines = textOf(lookWith({ status }))
    expect(lines[0]).toBe(
      String.raw`rooms from readings: degraded, the bridge failed: \u{1b}[2Jgone`,
    )
    expect(lines[5]).toEndWith('; unaccounted -3')
  })

  test('the last of the dead are told with their reason', () => {
    const dead = ['a', 'b', 'c', 'd'].map((id) =>
      executorReport({ id, state: 'dead', reason: 'killed by SIGKILL', busy: null }),
    )
    const rows = textOf(lookWith({ executors: [executorReport(), ...dead] })).slice(8, 13)
    expect(rows.map((row) => row.trim().split(/ +/)[0])).toEqual([
      'executor',
      'executor-1',
      'a',
      'b',
      'c',
    ])
    expect(rows[2]).toEndWith('17 on here, killed by SIGKILL')
  })

  test('several hosts are a row each; a bound that is none below the job’s is not told', () => {
    const host = {
      host: 'alpha',
      supervisor: 's-1',
      leads: true,
      cores: 2,
      coresIdle: 0.5,
      memoryFreeBytes: 22_700.9 * 2 ** 20,
      limit: 64,
      executors: 2,
      wanted: 2,
    }
    const hosts = [host, { ...host, host: 'beta', leads: false, limit: 3, executors: 1 }]
    const rows = textOf(lookWith({ status: statusReport({ hosts }) })).slice(8, 11)
    expect(rows.map((row) => row.trim())).toEqual([
      'host   executors  wanted  at most  cores  idle  memory free',
      'alpha          2       2        –      2   0.5     22.2 GiB  leads',
      'beta           1       2        3      2   0.5     22.2 GiB',
    ])
  })

  test('a job that never ran', () => {
    const status = statusReport({
      state: 'stopped',
      reason: 'no supervisor leads',
      watermark: null,
      executors: { count: 0, min: null, max: null, policy: null, maxResultDelayMs: null },
      rejects: {},
      lastDecision: null,
    })
    const cost = { ...lookWith().cost, savedShare: null }
    const lines = textOf({ status, executors: [], cost })
    expect(lines).toContain('  watermark  none yet')
    expect(lines).toContain('  executors  0')
    expect(lines).toContain('  cost       nothing counted yet')
    expect(lines).toContain('  decision   none yet')
  })
})

test('a line a look, for a log', () => {
  expect(lineText(watchLine(lookWith()), plain)).toBe(
    '2026-01-01T00:00:00.000Z  running  backlog 1,234 + unknown in Kafka; 2 executors; ' +
      '38.2/s in, unknown out; p50 4 ms, p99 17 ms; late 10, rejected 6',
  )
})

test('exit code: 1 for what somebody has to see to', () => {
  const unaccounted = statusReport()
  unaccounted.totals.unaccounted = 1
  for (const [status, code] of [
    [statusReport(), 0],
    [statusReport({ state: 'paused' }), 0],
    [statusReport({ state: 'degraded' }), 1],
    [statusReport({ state: 'stopped' }), 1],
    [unaccounted, 1],
  ] as const) {
    expect(exitCodeOf(lookWith({ status }))).toBe(code)
  }
})
