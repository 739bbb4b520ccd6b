/**
 * The checks: each passes what is right, and names what is not.
 */
import { describe, expect, test } from 'bun:test'
import * as checks from '../../verify/checks.ts'
import { type ClosedEntry, ClosedWindows, type Told } from '../../verify/closed-windows.ts'

const totals = {
  appended: 10,
  committed: 8,
  waiting: 2,
  counted: 5,
  filtered: 1,
  late: 1,
  rejected: 1,
  partly: 0,
}
const texts = (findings: checks.Finding[]) => findings.map(checks.findingText)

describe('C1 conserved', () => {
  test('every record has its place', () => {
    expect(checks.conserved(totals)).toEqual([])
    expect(checks.conservedOf(totals, 8)).toEqual([])
    expect(checks.conservedOf(totals, 11, 3)).toEqual([])
  })

  test('records that no counter knows, or two do', () => {
    expect(texts(checks.conserved({ ...totals, waiting: 1 }))).toEqual([
      'C1 wrong: 1 records are unaccounted: appended 10, committed 8, waiting 1',
    ])
    expect(texts(checks.conserved({ ...totals, counted: 6, waiting: 1 }))).toEqual([
      'C1 wrong: 8 records committed, but 9 by their kinds',
    ])
    expect(checks.conserved({ ...totals, appended: 7, waiting: -1 })).toHaveLength(1)
  })

  test('records of the topic that are missing, or too many', () => {
    expect(checks.conservedOf(totals, 10)).toMatchObject([{ kind: 'lost', amount: 2 }])
    expect(checks.conservedOf(totals, 9, 2)).toMatchObject([{ kind: 'duplicated', amount: 1 }])
  })
})

describe('C2 applied', () => {
  const set = { count: 3, hash: 77 }

  test('the same set', () => expect(checks.applied(set, { ...set })).toEqual([]))

  test('another number, or other records', () => {
    expect(checks.applied(set, { count: 2, hash: 1 })).toMatchObject([{ kind: 'lost', amount: 1 }])
    expect(checks.applied(set, { count: 5, hash: 1 })).toMatchObject([
      { kind: 'duplicated', amount: 2 },
    ])
    expect(checks.applied(set, { count: 3, hash: 78 })).toMatchObject([
      { check: 'C2', kind: 'wrong' },
    ])
  })
})

describe('C4 drained', () => {
  const partitions = [{ partition: 0, next: 5, frontier: 5 }]
  const empty = { entries: 0, pending: 0, waiting: 0, partitions }
  const tidy = {
    payloads: [],
    finished: [],
    progress: [],
    crashes: [],
    suspects: [],
    hands: [],
    waitingBytes: 0,
  }

  test('all done', () => {
    expect(checks.drained(empty, [{ partition: 0, high: 5 }])).toEqual([])
    expect(checks.tidied(tidy)).toEqual([])
  })

  test('what waits, and a ledger that is not at the end', () => {
    const waiting = { ...empty, entries: 2, pending: 1, waiting: 9 }
    const ends = [
      { partition: 0, high: 6 },
      { partition: 1, high: 0 },
    ]
    expect(texts(checks.drained(waiting, ends))).toEqual([
      'C4 wrong: entries is 2, should be 0',
      'C4 wrong: pending is 1, should be 0',
      'C4 wrong: waiting is 9, should be 0',
      'C4 wrong: next of partition 0 is 5, Kafka ends at 6',
      'C4 wrong: frontier of partition 0 is 5, Kafka ends at 6',
      'C4 wrong: next of partition 1 is unknown, Kafka ends at 0',
      'C4 wrong: frontier of partition 1 is unknown, Kafka ends at 0',
    ])
  })

  test('what was left lying about', () => {
    const left = { ...tidy, payloads: ['payload:0:1:2'], suspects: ['1-0', '2-0'], waitingBytes: 7 }
    expect(texts(checks.tidied(left))).toEqual([
      'C4 wrong: payloads: 1 left over, such as payload:0:1:2',
      'C4 wrong: suspects: 2 left over, such as 1-0, 2-0',
      'C4 wrong: waitingBytes is 7, should be 0',
    ])
  })
})

const look = (next: number, frontier: number, closedTo: number | null = 10) => ({
  watermark: 12,
  closedTo,
  totals: { committed: frontier },
  partitions: [{ partition: 0, next, frontier }],
})

describe('C5 monotone', () => {
  test('forwards, or not at all', () => {
    expect(checks.monotone(null, look(5, 3))).toEqual([])
    expect(checks.monotone(look(5, 3), look(5, 3))).toEqual([])
    expect(checks.monotone(look(5, 3, null), look(9, 9))).toEqual([])
  })

  test('backwards', () => {
    expect(texts(checks.monotone(look(5, 3), look(4, 2, null)))).toEqual([
      'C5 wrong: closedTo went from 10 back to null',
      'C5 wrong: committed went from 3 back to 2',
      'C5 wrong: the ledger of partition 0 went from 5 back to 4',
      'C5 wrong: the frontier of partition 0 went from 3 back to 2',
    ])
    expect(checks.monotone(look(5, 3), { ...look(5, 3), partitions: [] })).toHaveLength(2)
  })

  test('a Redis that was taken back may go back, but never says what can not be', () => {
    expect(checks.monotone(look(5, 3), look(4, 2, null), { rolledBack: true })).toEqual([])
    expect(checks.monotone(null, look(4, 5), { rolledBack: true })).toHaveLength(1)
  })
})

const entry = (id: string, start: number, more: Partial<ClosedEntry> = {}): ClosedEntry => ({
  id,
  start,
  end: start + 10,
  last: true,
  rows: Buffer.from(id),
  groups: ['a'],
  ...more,
})

const taken = (...entries: ClosedEntry[]) => {
  const windows = new ClosedWindows()
  return texts(entries.flatMap((one) => windows.take(one)))
}

describe('C5 closed windows', () => {
  test('in order, in parts, and read again', () => {
    const half = entry('2-0', 5, { last: false })
    const rest = entry('3-0', 5, { groups: ['b'] })
    expect(taken(entry('1-0', 0), half, rest, entry('1-0', 0), rest, entry('4-0', 10))).toEqual([])
  })

  test('a window that is closed twice, or changes', () => {
    expect(taken(entry('1-0', 0), entry('2-0', 0))).toEqual([
      'C5 wrong: the window that ends at 10 was closed twice',
    ])
    expect(taken(entry('1-0', 5), entry('2-0', 0))).toHaveLength(1)
    expect(taken(entry('1-0', 0), entry('1-0', 0, { rows: Buffer.from('other') }))).toEqual([
      'C5 wrong: the window that ends at 10 changed after it was closed',
    ])
    expect(taken(entry('1-0', 0), entry('1-0', 0, { last: false }))).toHaveLength(1)
  })

  test('a row that comes twice, and a window that is left half closed', () => {
    const half = entry('1-0', 0, { last: false })
    expect(taken(half, entry('2-0', 0))).toEqual([
      'C5 wrong: the window that ends at 10 has a twice',
    ])
    expect(taken(half, entry('2-0', 5))).toEqual([
      'C5 wrong: the window that ends at 10 was left half closed for 15',
    ])
  })

  const told = (id: string, revision: number, more: Partial<Told> = {}) =>
    entry(id, 0, { told: { revision, isOpen: false, isFinal: false, closedTo: 10, ...more } })

  test('tellings of a window follow one another, and none the final one', () => {
    const open = { isOpen: true, closedTo: 5 }
    const final = { isFinal: true }
    expect(taken(told('1-0', 0, open), told('2-0', 1, open), told('3-0', 2))).toEqual([])
    expect(taken(told('1-0', 0), told('2-0', 2))).toEqual([
      'C5 wrong: the window that ends at 10 was told as revision 2, due was 1',
    ])
    expect(taken(told('1-0', 0), told('2-0', 0))).toHaveLength(1)
    expect(taken(told('1-0', 0, final), told('2-0', 1))).toEqual([
      'C5 wrong: the window that ends at 10 was told again after it was final',
    ])
    const settled = new ClosedWindows(true)
    settled.take(told('1-0', 0))
    settled.settle(10)
    expect(settled.take(told('2-0', 1))).toHaveLength(1)
    expect(new ClosedWindows(true).take(told('1-0', 1))).toHaveLength(1)
    expect(new ClosedWindows().take(told('1-0', 1))).toEqual([])
  })

  test('after Redis was taken back, windows close again', () => {
    const windows = new ClosedWindows()
    windows.take(entry('1-0', 0))
    windows.rolledBack()
    expect(windows.take(entry('2-0', 0))).toEqual([])
    expect(windows.newest).toBe('2-0')
  })
})

test('C6 staffed: executors within their limits, and nobody left', () => {
  const executor = { kind: 'executor', state: 'running', alive: true }
  const actors = [
    executor,
    executor,
    { ...executor, state: 'draining' },
    { ...executor, alive: false },
  ]
  expect(checks.staffed(actors, { min: 0, max: 2 }, { atRest: true })).toEqual([])
  expect(checks.staffed(actors, { min: 0, max: 1 })).toHaveLength(1)
  expect(checks.staffed([], { min: 1, max: 4 })).toEqual([])
  expect(checks.staffed([], { min: 1, max: 4 }, { atRest: true })).toHaveLength(1)
  expect(texts(checks.nobodyLeft([{ pid: 7, command: 'bun actors/bridge/main.ts' }]))).toEqual([
    'C6 wrong: process 7 is left: bun actors/bridge/main.ts',
  ])
})

test('C7 bounded: what is measured stays within what is allowed', () => {
  expect(checks.bounded([{ name: 'p99 ms', value: 5, max: 5 }])).toEqual([])
  expect(checks.bounded([{ name: 'p99 ms', value: 6, max: 5 }])).toHaveLength(1)
  expect(checks.bounded([{ name: 'p99 ms', value: Number.NaN, max: 5 }])).toHaveLength(1)
  const bounds = { streamRecordsMax: 100, streamBytesMax: 1_000 }
  const margin = { records: 10, bytes: 0 }
  expect(checks.backpressured({ waiting: 110, waitingBytes: 1_000 }, bounds, margin)).toEqual([])
  expect(checks.backpressured({ waiting: 111, waitingBytes: 1_001 }, bounds, margin)).toHaveLength(
    2,
  )
})

test('C8 told: a fault shows, and logs hold nothing that nobody foresaw', () => {
  const sign = { fault: 'a restart', where: 'the status' }
  expect(checks.told([{ ...sign, shows: true }])).toEqual([])
  expect(texts(checks.told([{ ...sign, shows: false }]))).toEqual([
    'C8 wrong: a restart does not show in the status',
  ])
  expect(checks.quiet(['started', 'a record was rejected'])).toEqual([])
  expect(checks.quiet(['Unhandled rejection', 'TypeError: x'])).toHaveLength(2)
  expect(checks.quiet(['TypeError: by the job'], { foreseen: [/by the job/] })).toEqual([])
  const told = checks.quiet(['url redis://:hunter2@host'], { secrets: ['hunter2'] })
  expect(told).toHaveLength(1)
  expect(told[0]!.text).not.toContain('hunter2')
})
