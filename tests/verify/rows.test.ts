/**
 * The verification's own reading of windows against the pipeline's, over states that are drawn.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as v from 'valibot'
import { readConfig } from '../../actors/config.ts'
import { avg, count, defineJob, max, min, sum } from '../../actors/job.ts'
import { keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { readClosedWindows, readOpenWindows } from '../../actors/windows/read.ts'
import { uniqueName } from '../../faults/names.ts'
import { closedParts, type FoundRow, openRows } from '../../verify/rows.ts'
import { testServices } from '../support/services.ts'

const job = defineJob({
  name: uniqueName('rows'),
  topic: 'none',
  schema: v.object({ t: v.number(), g: v.string(), h: v.nullable(v.string()), x: v.number() }),
  eventTime: ({ t }) => t,
  watermarkDelay: 0,
  window: { size: '15 s', slide: '5 s' },
  groupBy: ['g', 'h'],
  aggregates: {
    n: count(),
    total: sum('x'),
    mean: avg('x', { decimals: 2 }),
    least: min('x'),
    most: max('x'),
  },
})
const keys = keysOf(job.name)
let store: Store

beforeAll(async () => {
  store = openStore(readConfig((await testServices()).environment), createLog('tests', 'error'))
  await untilReady(store)
})
afterAll(async () => {
  await store.redis.unlink(keys.panes, keys.clock, keys.closed)
  for (const start of panes) await store.redis.unlink(keys.pane(start))
  await store.close()
})

const panes = [-5_000, 0, 5_000, 10_000]
const groups = [
  ['a', null],
  ['', 'x'],
  ['"\u0000,ß', 'null'],
]

/** n, sum (h l), avg (n h l), min, max; the second has no number at all. */
function cells(seed: number): Buffer {
  const sums = [seed - 2, (seed * 1_234_567_891) % 2 ** 52]
  const row =
    seed % 3 === 1
      ? [seed, 0, 0, 0, 0, 0, Infinity, -Infinity]
      : [seed, ...sums, seed, ...sums, -seed, seed / 7]
  const bytes = Buffer.alloc(64)
  for (const [slot, number] of row.entries()) bytes.writeDoubleLE(number, slot * 8)
  return bytes
}

const sorted = (rows: FoundRow[]) =>
  rows.map((row) => JSON.stringify([row.start, row.end, row.key, row.values])).sort()

test('open windows, over their panes', async () => {
  await store.redis.hset(keys.clock, 'closedTo', 5_000)
  for (const [p, pane] of panes.entries()) {
    await store.redis.hset(keys.panes, pane, 1)
    for (const [g, group] of groups.entries()) {
      if ((p + g) % 4 === 3) continue
      await store.redis.hset(keys.pane(pane), JSON.stringify(group), cells(p * 3 + g + 1))
    }
  }
  const ours = await openRows(store, keys, job, 5_000)
  const theirs = await readOpenWindows(store, keys, job)
  expect(ours.length).toBeGreaterThan(9)
  expect(sorted(ours)).toEqual(sorted(theirs))
})

const packed = (group: unknown, seed: number) => {
  const key = Buffer.from(JSON.stringify(group))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(key.length)
  return Buffer.concat([length, key, cells(seed)])
}

test('closed windows, in one entry or several', async () => {
  const close = (start: number, rows: Buffer[], last: number) => {
    const fields = ['start', start, 'end', start + 15_000, 'rows', Buffer.concat(rows)]
    return store.redis.xadd(keys.closed, '*', ...fields, 'last', last)
  }
  for (let start = 0; start < 50 * 5_000; start += 5_000) {
    await close(start, [packed(groups[0], start / 5_000), packed(groups[1], 2)], 0)
    await close(start, [packed(groups[2], start + 3)], 1)
  }
  const ours: FoundRow[] = []
  const ids: string[] = []
  for await (const part of closedParts(store, keys, job, { after: '0-0', last: '+' })) {
    ours.push(...part.decoded)
    ids.push(part.id)
  }
  expect(ids).toHaveLength(100)
  expect(sorted(ours)).toEqual(sorted(await readClosedWindows(store, keys, job)))
  const rest = closedParts(store, keys, job, { after: ids[97]!, last: ids[98]! })
  expect((await Array.fromAsync(rest)).map(({ id }) => id)).toEqual([ids[98]!])
})
