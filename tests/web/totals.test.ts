import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { PaneCache } from '../../actors/windows/read.ts'
import { windowTotalsSchema } from '../../web/window-schemas.ts'
import { RecentTotals } from '../../web/totals.ts'
import { uniqueName } from '../../faults/names.ts'
import { seed } from './seed.ts'
import { openWeb, type Web } from './setup.ts'

const T = 1_700_000_000_000
const record = (who: string, loc: number, seconds = 0) => ({
  at: T + seconds * 1_000,
  group: [who, 'on'],
  fields: { loc },
})

let web: Web
beforeEach(async () => {
  web = await openWeb('totals')
})
afterEach(() => web.end())

const ask = async () => {
  const { body } = await web.json('/api/windows/totals?limit=10')
  return v.parse(windowTotalsSchema, body).windows
}

const seconds = (rows: { start: string | number }[]) =>
  rows.map(({ start }) => (new Date(start).getTime() - T) / 1_000)

describe('windows as one row each', () => {
  /**
   *   seconds   -5    0    5   10   15
   *   records         a b       a
   *   windows   [─────────)
   *                  [─────────)
   *                       [─────────)
   *                            [─────────)
   */
  test('have the aggregates over all groups, newest first', async () => {
    await web.seeded.records([record('a', 1), record('b', 4), record('a', 7, 10)])
    const rows = await ask()
    expect(seconds(rows)).toEqual([10, 5, 0, -5])
    expect(rows[2]).toMatchObject({
      state: 'open',
      groups: 2,
      values: { total: 5, mean: 2.5, events: 2 },
    })
  })

  test('stay as they are when they close, and are read once then', async () => {
    await web.seeded.records([record('a', 1), record('b', 4), record('a', 7, 10)])
    const { store, keys, job } = web.seeded
    const totals = new RecentTotals(store, keys, job, new PaneCache())
    const open = await totals.look()
    await web.seeded.closeTo(T + 10_000)
    const closed = await totals.look()
    expect(closed.map(({ state }) => state)).toEqual(['open', 'open', 'closed', 'closed'])
    const values = (rows: typeof open) => rows.map((row) => row.values)
    expect(values(closed)).toEqual(values(open))
    await store.redis.del(keys.pane(T))
    expect(values(await totals.look()).slice(2)).toEqual(values(open).slice(2))
  })

  test('are read again where they may change once closed, and no longer', async () => {
    const job = { ...web.seeded.job, allowedLatenessMs: 60_000 }
    const seeded = await seed({ ...job, name: uniqueName('told-totals') })
    const totals = new RecentTotals(seeded.store, seeded.keys, seeded.job, new PaneCache())
    const looked = async () =>
      (await totals.look()).map(({ start, revision, values }) => [
        (start - T) / 1_000,
        revision,
        values.total,
      ])
    await seeded.records([record('a', 1), record('a', 2, 60)])
    await seeded.closeTo(T + 10_000)
    const open = [
      [60, undefined, 2],
      [55, undefined, 2],
    ]
    expect(await looked()).toEqual([...open, [0, 0, 1], [-5, 0, 1]])
    await seeded.records([record('b', 7)])
    await seeded.closeTo(T + 11_000)
    expect(await looked()).toEqual([...open, [0, 1, 8], [-5, 1, 8]])
    await seeded.closeTo(T + 65_000)
    expect(await looked()).toEqual([
      [60, undefined, 2],
      [55, 0, 2],
      [0, 1, 8],
      [-5, 1, 8],
    ])
    expect(await looked()).toEqual([
      [60, undefined, 2],
      [55, 0, 2],
      [0, 1, 8],
      [-5, 1, 8],
    ])
    await seeded.end()
  })

  test('begin anew with a job that does', async () => {
    await web.seeded.records([record('a', 1)])
    await web.seeded.closeTo(T + 10_000)
    const { store, keys, job } = web.seeded
    const totals = new RecentTotals(store, keys, job, new PaneCache())
    expect(seconds(await totals.look())).toEqual([0, -5])
    await store.redis.del(keys.closed, keys.panes)
    expect(await totals.look()).toEqual([])
    await web.seeded.records([record('a', 1, 60)])
    await web.seeded.closeTo(T + 70_000)
    expect(seconds(await totals.look())).toEqual([60, 55])
  })
})

test('GET /api/job tells of fields and windows', async () => {
  const { body } = await web.json('/api/job')
  expect(body).toMatchObject({
    topic: 'records',
    groups: ['who', 'state'],
    aggregates: [
      { name: 'total', kind: 'sum' },
      { name: 'mean', kind: 'avg' },
      { name: 'events', kind: 'count' },
    ],
    window: { sizeMs: 10_000, slideMs: 5_000 },
    control: { needsToken: false },
  })
})
