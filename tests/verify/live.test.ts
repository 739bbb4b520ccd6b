/**
 * The live audit's rounds, from an audit that says what the test wants.
 */
import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { RefusalError } from '../../actors/errors.ts'
import type { Round } from '../../verify/audit.ts'
import { live } from '../../verify/live.ts'
import { rejection } from '../support/rejection.ts'

const right: Round = {
  at: 0,
  records: 1_000,
  windows: 3,
  lost: 0,
  duplicated: 0,
  wrong: 0,
  unaccounted: 0,
  behind: 5,
  named: [],
  notes: [],
}
const away = new Error('connect ECONNREFUSED 127.0.0.1:6379')

/** Runs through the rounds, and ends behind the last. */
async function run(rounds: (Partial<Round> | Error)[], json = false) {
  const lines: string[] = []
  const end = new AbortController()
  const left = [...rounds]
  const audit = {
    async round(): Promise<Round> {
      const next = left.shift()!
      if (left.length === 0) queueMicrotask(() => queueMicrotask(() => end.abort()))
      if (next instanceof Error) throw next
      return { ...right, ...next }
    },
    close: async () => void lines.push('closed'),
  }
  const clock = { ...systemClock, sleep: () => Promise.resolve() }
  const write = (line: string) => void lines.push(line)
  const ok = await live({ audit, clock, intervalMs: 1, signal: end.signal, json, write })
  return { ok, lines }
}

test('a line a round, and a summary', async () => {
  const { ok, lines } = await run([{}, { records: 2_000, behind: 0 }, {}])
  expect(ok).toBe(true)
  expect(lines.slice(0, 2)).toEqual([
    '00:00:00  1,000 records, 3 closed windows compared, lost 0, duplicated 0, wrong 0, ' +
      'unaccounted: 0, behind 5',
    '00:00:00  2,000 records, 3 closed windows compared, lost 0, duplicated 0, wrong 0, ' +
      'unaccounted: 0, behind 0',
  ])
  expect(lines.at(-1)).toMatch(/^[23] rounds in 0 s, 0 outages: .*unaccounted: 0$/)
  expect(lines.at(-2)).toBe('closed')
})

test('one of each is told as one', async () => {
  const { lines } = await run([{ records: 1, windows: 1 }])
  expect(lines[0]).toContain(' 1 record, 1 closed window compared,')
  expect(lines.at(-1)).toMatch(/^(1 round|2 rounds) in 0 s, 0 outages: /)
})

test('what differed once is not forgotten', async () => {
  const { ok, lines } = await run([{}, { lost: 2, named: ['C1 lost: 2 records'] }, {}, {}])
  expect(ok).toBe(false)
  expect(lines).toContain('          C1 lost: 2 records')
  expect(lines.at(-1)).toContain('at the most lost 2, duplicated 0')
})

test('an outage is said once, and gone through', async () => {
  const { ok, lines } = await run([away, away, {}, away, {}, {}])
  expect(ok).toBe(true)
  expect(lines.filter((line) => line.startsWith('waiting: Redis does not answer'))).toHaveLength(2)
  expect(lines.at(-1)).toContain('2 outages')
})

test('no round, no proof', async () => {
  expect((await run([away, away, away])).ok).toBe(false)
})

test('in JSON each line is one', async () => {
  const { lines } = await run([{}, away, {}, {}], true)
  const parsed = lines.filter((line) => line !== 'closed').map((line) => JSON.parse(line))
  expect(parsed[0]).toEqual(right)
  expect(parsed[1].outage).toContain('ECONNREFUSED')
  expect(parsed.at(-1).summary).toMatchObject({ ok: true, outages: 1 })
})

test('what waiting does not mend ends it', async () => {
  const message = 'records are not in Kafka any more'
  expect((await rejection(run([{}, new RefusalError(message)]))).message).toBe(message)
})
