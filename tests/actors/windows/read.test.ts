import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { avg, count, defineJob, sum } from '../../../actors/job.ts'
import {
  cursorOf,
  closedRows,
  paneVersions,
  readClosedWindows,
  readOpenWindows,
} from '../../../actors/windows/read.ts'
import { uniqueName } from '../../../faults/names.ts'
import { type Seeded, seed } from '../../web/seed.ts'

const T = 1_700_000_000_000
const END = T + 3_600_000

const jobNamed = (name: string) =>
  defineJob({
    name,
    topic: 'records',
    schema: v.object({ at: v.number(), who: v.string(), what: v.string(), loc: v.number() }),
    eventTime: (record) => record.at,
    watermarkDelay: '0 s',
    window: { size: '10 s', slide: '5 s' },
    groupBy: ['who', 'what'],
    aggregates: { total: sum('loc'), mean: avg('loc'), events: count() },
  })

let it: Seeded
beforeEach(async () => {
  it = await seed(jobNamed(uniqueName('read')))
})
afterEach(() => it.end())

const record = (offsetMs: number, group: string[], loc = 1) => ({
  at: T + offsetMs,
  group,
  fields: { loc },
})
const open = (query = {}) => readOpenWindows(it.store, it.keys, it.job, query)
const starts = (rows: { start: number }[]) => [...new Set(rows.map((row) => row.start - T))]
const closed = (query = {}) => readClosedWindows(it.store, it.keys, it.job, query)

describe('open windows', () => {
  //      T-5      T       T+5      T+10     T+15
  // pane          |  a a  |  a b   |
  // win    |------ 2a ----|
  //               |----- 3a b -----|
  //                       |----- a b ------|
  test('are the union of their panes, newest first', async () => {
    await it.records([record(0, ['a', 'x'], 10), record(4_999, ['a', 'x'], 20)])
    await it.records([record(5_000, ['a', 'x'], 30), record(9_000, ['b', 'x'], 0.5)])
    const rows = await open()
    expect(rows.map(({ start, key, values }) => [start - T, key.who, values])).toEqual([
      [5_000, 'a', { total: 30, mean: 30, events: 1 }],
      [5_000, 'b', { total: 0.5, mean: 0.5, events: 1 }],
      [0, 'a', { total: 60, mean: 20, events: 3 }],
      [0, 'b', { total: 0.5, mean: 0.5, events: 1 }],
      [-5_000, 'a', { total: 30, mean: 15, events: 2 }],
    ])
    expect(rows[0]).toMatchObject({ end: T + 15_000, state: 'open' })
  })

  test('can be bounded by start, by group and by number, and gone on from', async () => {
    await it.records([record(0, ['a', 'x']), record(0, ['b', 'x']), record(0, ['b', 'y'])])
    expect(await open({ from: T })).toHaveLength(3)
    expect(await open({ to: T })).toHaveLength(3)
    expect(await open({ where: { who: 'b' } })).toHaveLength(4)
    const all = await open()
    const paged = []
    for (let before; paged.length < all.length; before = cursorOf(it.job, paged.at(-1)!)) {
      const page = await open({ limit: 2, before })
      expect(page.length).toBeGreaterThan(0)
      paged.push(...page)
    }
    expect(paged).toEqual(all)
  })

  test('of more groups than one scan step takes are whole', async () => {
    const groups = Array.from({ length: 1_500 }, (_, i) => record(1, [`g${i}`, 'x'], i))
    for (let i = 0; i < groups.length; i += 500) await it.records(groups.slice(i, i + 500))
    const rows = await open({ from: T })
    expect(rows).toHaveLength(1_500)
    expect(rows.reduce((total, row) => total + Number(row.values.total), 0)).toBe(
      (1_499 * 1_500) / 2,
    )
  })

  test('name the panes that changed', async () => {
    await it.records([record(0, ['a', 'x']), record(5_000, ['a', 'x'])])
    const before = await paneVersions(it.store, it.keys)
    await it.records([record(5_000, ['a', 'x'])])
    const after = await paneVersions(it.store, it.keys)
    expect(after.get(T)).toBe(before.get(T))
    expect(after.get(T + 5_000)).not.toBe(before.get(T + 5_000))
  })
})

describe('closed windows', () => {
  test('hold what the open ones held last', async () => {
    await it.records([record(0, ['a', 'x'], 1.25), record(6_000, ['b', '"\u0000é'], 2)])
    const rows = await open()
    await it.closeTo(END)
    expect(await open()).toEqual([])
    expect(await closed()).toEqual(rows.map((row) => ({ ...row, state: 'closed' })))
  })

  test('are neither open nor closed while they are being closed', async () => {
    const groups = Array.from({ length: 900 }, (_, i) => record(0, [`g${i}`, 'x']))
    await it.records(groups)
    await it.closeTo(END, 100)
    expect(starts(await open())).toEqual([0])
    expect(starts(await closed())).toEqual([])
    await it.closeTo(END)
    expect(starts(await open())).toEqual([])
    const rows = await closed()
    expect(starts(rows)).toEqual([0, -5_000])
    expect(rows).toHaveLength(1_800)
  })

  test('page through bounds and cursors', async () => {
    for (let i = 0; i < 30; i++) {
      await it.records([record(i * 5_000, ['a', 'x'], i), record(i * 5_000, ['b', 'x'], i)])
      await it.closeTo(T + i * 5_000)
    }
    const all = await closed()
    expect(all.map((row) => row.start)).toEqual(all.map((row) => row.start).sort((x, y) => y - x))
    const middle = await closed({ from: T + 50_000, to: T + 100_000 })
    const within = (row: { start: number }) => row.start >= T + 50_000 && row.start < T + 100_000
    expect(middle).toEqual(all.filter(within))
    expect(middle).toHaveLength(20)
    const paged = []
    for (let before; paged.length < all.length; before = cursorOf(it.job, paged.at(-1)!)) {
      paged.push(...(await closed({ limit: 7, before })))
    }
    expect(paged).toEqual(all)
    expect(await closed({ where: { who: 'b', what: 'x' }, limit: 3 })).toHaveLength(3)
  })

  test('that lost entries to the bound of the stream are left out', async () => {
    await it.records(Array.from({ length: 900 }, (_, i) => record(0, [`g${i}`, 'x'])))
    await it.closeTo(END)
    const [first] = await it.store.redis.xrange(it.keys.closed, '-', '+', 'COUNT', 1)
    const length = await it.store.redis.xlen(it.keys.closed)
    expect(length).toBeGreaterThan(2)
    await it.store.redis.xtrim(it.keys.closed, 'MAXLEN', length - 1)
    expect(first).toBeDefined()
    expect(starts(await closed())).toEqual([0])
  })

  test('decode from the bytes of an entry, as sinks read them', async () => {
    await it.records([record(0, ['a', 'x'], 3)])
    await it.closeTo(END)
    const [entry] = await it.store.redis.xrangeBuffer(it.keys.closed, '-', '+', 'COUNT', 1)
    const rows = entry![1][entry![1].findIndex((name) => name.toString() === 'rows') + 1]!
    const group = '["a","x"]'
    const values = { total: 3, mean: 3, events: 1 }
    expect(closedRows(it.job, { start: 0, end: 1, rows })).toEqual([
      { start: 0, end: 1, group, key: { who: 'a', what: 'x' }, values },
    ])
  })
})

describe('closed windows that were told again', () => {
  const LATENESS = 60_000
  beforeEach(async () => {
    await it.end()
    it = await seed({ ...jobNamed(uniqueName('told')), allowedLatenessMs: LATENESS })
  })

  /** Windows of 30 s, then late records of the oldest and of one in the middle, told at once. */
  const told = async () => {
    for (let i = 0; i < 6; i++) await it.records([record(i * 5_000, ['a', 'x'], i)])
    await it.closeTo(T + 35_000)
    await it.records([record(0, ['b', 'x'], 10)])
    await it.closeTo(T + 36_000)
    await it.records([record(15_000, ['a', 'x'], 100)])
    await it.closeTo(T + 37_000)
  }

  test('are each there once, newest window first, as they were told last', async () => {
    await told()
    const rows = await closed()
    expect(
      rows.map(({ start, key, revision, values }) => [start - T, key.who, revision, values.total]),
    ).toEqual([
      [25_000, 'a', 0, 5],
      [20_000, 'a', 0, 9],
      [15_000, 'a', 1, 107],
      [10_000, 'a', 1, 105],
      [5_000, 'a', 0, 3],
      [0, 'a', 1, 1],
      [0, 'b', 1, 10],
      [-5_000, 'a', 1, 0],
      [-5_000, 'b', 1, 10],
    ])
    const entries = await it.store.redis.xlen(it.keys.closed)
    expect(entries).toBe(7 + 4)
    expect(await it.store.redis.hget(it.keys.clock, 'closedWindows')).toBe('7')
  })

  test('page through bounds and cursors, whenever they were told', async () => {
    await told()
    const all = await closed()
    for (const from of [-10_000, -5_000, 0, 12_000, 25_000]) {
      for (const to of [-5_000, 0, 5_000, 20_000, 40_000]) {
        const within = all.filter((row) => row.start >= T + from && row.start < T + to)
        expect(await closed({ from: T + from, to: T + to })).toEqual(within)
      }
    }
    const paged = []
    for (let before; paged.length < all.length; before = cursorOf(it.job, paged.at(-1)!)) {
      paged.push(...(await closed({ limit: 2, before })))
    }
    expect(paged).toEqual(all)
  })

  test('are as they were told last also where the first telling was cut away', async () => {
    await told()
    const entries = await it.store.redis.xrange(it.keys.closed, '-', '+')
    // Behind the closing of the window from 0.
    await it.store.redis.xtrim(it.keys.closed, 'MINID', entries[2]![0])
    expect(starts(await closed())).toEqual([25_000, 20_000, 15_000, 10_000, 0, -5_000])
  })

  test('leave out what was told while they were open', async () => {
    await it.end()
    it = await seed({ ...jobNamed(uniqueName('told')), updatesMs: 60_000 })
    await it.records([record(0, ['a', 'x'])])
    await it.closeTo(T - 5_000)
    for (const end of [5_000, 10_000]) await it.store.redis.zadd(it.keys.revise, 1, String(T + end))
    await it.closeTo(T - 4_000)
    expect(await it.store.redis.xlen(it.keys.updates)).toBe(2)
    expect(await it.store.redis.exists(it.keys.closed)).toBe(0)
    expect(await closed()).toEqual([])
    expect(starts(await open())).toEqual([0, -5_000])
    await it.closeTo(T + 5_000)
    expect((await closed()).map(({ start, revision }) => [start - T, revision])).toEqual([
      [-5_000, 1],
    ])
  })
})
