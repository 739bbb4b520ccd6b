/** Parts of windows, as shards close them, become whole windows once, whoever joins and however often. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { defineJob } from '../../actors/job.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import type { Store } from '../../actors/redis.ts'
import { rowBytes } from '../../actors/windows/groups.ts'
import { readClosedWindows, untilJoined } from '../../actors/windows/read.ts'
import { uniqueName } from '../../faults/names.ts'
import { Joining } from '../../supervisor/joining.ts'
import { connect } from '../support/redis.ts'

const job = defineJob({
  name: 'joined',
  topic: 'none',
  schema: v.object({ t: v.number(), who: v.string() }),
  eventTime: (row) => row.t,
  window: { size: '10 s', slide: '5 s' },
  groupBy: ['who'],
  aggregates: ({ count }) => ({ n: count() }),
})

let store: Store
let keys: Keys
beforeAll(async () => {
  store = await connect()
})
beforeEach(() => {
  keys = keysOf(uniqueName('joining'), 2)
})
afterAll(() => store.close())

const state = (n: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(n)
  return bytes
}

/** As closed.lua names the entries of a part. */
const PART_ORIGIN = 8_640_000_000_000_001
/** One entry of a shard's part of the window that ends then. */
async function part(
  shard: number,
  end: number,
  groups: Record<string, number>,
  { number = 0, last = true } = {},
) {
  const rows = Object.entries(groups).map(([who, n]) => rowBytes(JSON.stringify([who]), state(n)))
  const fields = ['start', end - 10_000, 'end', end, 'rows', Buffer.concat(rows)]
  const id = `${end + PART_ORIGIN}-${number}`
  await store.redis.xadd(keys.shards[shard]!.closed, id, ...fields, 'last', last ? '1' : '0')
}

/** All shards have closed up to there. */
async function closeTo(closedTo: number) {
  for (const { clock } of keys.shards) await store.redis.hset(clock, 'closedTo', closedTo)
}

async function join(closedTo: number | null, by: Store = store): Promise<boolean> {
  if (closedTo !== null) await closeTo(closedTo)
  return (await Joining.open(by, keys, job)).upTo(closedTo)
}

const joined = async () =>
  (await readClosedWindows(store, keys, job)).map(({ end, key, values }) => [
    end,
    key.who,
    values.n,
  ])

/** A store whose calls fail from the n-th on, before or after they were made. */
function failing(calls: number, { after }: { after: boolean }): Store {
  let left = calls
  return {
    ...store,
    call: async (...args) => {
      const fails = left-- <= 0
      if (fails && !after) throw new Error('away')
      const reply = await store.call(...args)
      if (fails) throw new Error('away')
      return reply
    },
  }
}

describe('joining', () => {
  test('adds what several shards have of a group, window by window', async () => {
    await part(0, 10_000, { a: 1, b: 2 })
    await part(1, 10_000, { b: 3, c: 4 })
    await part(1, 15_000, { c: 5 })
    expect(await join(15_000)).toBe(true)
    expect(await joined()).toEqual([
      [15_000, 'c', 5],
      [10_000, 'a', 1],
      [10_000, 'b', 5],
      [10_000, 'c', 4],
    ])
    expect(await store.redis.hmget(keys.clock, 'closedTo', 'closedWindows', 'closing')).toEqual([
      '15000',
      '2',
      null,
    ])
  })

  test('waits for the shard that is behind', async () => {
    await part(0, 10_000, { a: 1 })
    expect(await join(null)).toBe(true)
    expect(await join(5_000)).toBe(true)
    expect(await joined()).toEqual([])
    await part(1, 10_000, { a: 1 })
    await join(10_000)
    expect(await joined()).toEqual([[10_000, 'a', 2]])
  })

  test('takes what a shard writes once more for nothing', async () => {
    await part(0, 10_000, { a: 1 })
    await join(10_000)
    // It came back older than what is joined, and closes again.
    await store.redis.del(keys.shards[0]!.closed)
    await part(0, 10_000, { a: 1 })
    await part(1, 10_000, { a: 9 })
    await part(0, 15_000, { a: 7 })
    await join(15_000)
    expect(await joined()).toEqual([
      [15_000, 'a', 7],
      [10_000, 'a', 1],
    ])
  })

  test('leaves a window alone that one shard has not closed any more', async () => {
    await part(0, 10_000, { a: 1 })
    await part(1, 10_000, { a: 1 })
    await closeTo(10_000)
    const joining = await Joining.open(store, keys, job)
    await store.redis.hset(keys.shards[1]!.clock, 'closedTo', 5_000)
    expect(await joining.upTo(10_000)).toBe(false)
    expect(await joined()).toEqual([])
    // Nor one that it is closing just now.
    await store.redis.hset(keys.shards[1]!.clock, 'closedTo', 10_000, 'closing', 10_000)
    expect(await joining.upTo(10_000)).toBe(false)
    expect(await joined()).toEqual([])
  })

  test('is waited for by who reads windows: in between one is neither open nor closed', async () => {
    await part(0, 10_000, { a: 1 })
    await closeTo(10_000)
    const joining = Bun.sleep(25).then(() => join(10_000))
    await untilJoined(store, keys)
    expect(await joined()).toEqual([[10_000, 'a', 1]])
    await joining
    // But not for ever: a shard can be away.
    await store.redis.hset(keys.shards[1]!.clock, 'closedTo', 15_000)
    await untilJoined(store, keys)
  })

  test('of many groups goes on where it was left, by whoever comes', async () => {
    // A key of 4,096 bytes: some thirty of them are an entry.
    const name = (i: number) => `${String(i).padStart(3, '0')}${'x'.repeat(4_000)}`
    const groups = (from: number, to: number) =>
      Object.fromEntries(Array.from({ length: to - from }, (_, i) => [name(from + i), 1]))
    await part(0, 10_000, groups(0, 60), { last: false })
    await part(0, 10_000, groups(60, 100), { number: 1 })
    await part(1, 10_000, groups(50, 150))
    for (let calls = 0; ; calls++) {
      const outcomes = [false, true].map(async (after) =>
        join(10_000, failing(calls % 2, { after })).catch(() => false),
      )
      // Both at once: one of them has to see that the other has gone on.
      const done = await Promise.all(outcomes)
      if (done.includes(true) && (await store.redis.hget(keys.clock, 'closing')) === null) break
      expect(calls).toBeLessThan(100)
    }
    const rows = await joined()
    expect(rows).toHaveLength(150)
    expect(new Set(rows.map(([, who]) => who)).size).toBe(150)
    expect(rows.filter(([, , n]) => n === 2)).toHaveLength(50)
    expect(await store.redis.hget(keys.clock, 'closedWindows')).toBe('1')
    const parts = await store.redis.xrange(keys.closed, '-', '+')
    expect(parts.map(([, fields]) => fields[fields.indexOf('part') + 1])).toEqual(
      parts.map((_, i) => String(i)),
    )
  })
})
