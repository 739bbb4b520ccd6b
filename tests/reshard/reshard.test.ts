/**
 * Another number of shards: what the job holds is the same as a whole and lies where it belongs, also when
 * whoever changes it is gone after any of its calls and somebody does it again.
 */
import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { bounds, readConfig } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import type { Keys } from '../../actors/keys.ts'
import { openStore, type Store } from '../../actors/redis.ts'
import { heldKeys } from '../../actors/shards.ts'
import { readNumber } from '../../reshard/number.ts'
import { reshard } from '../../reshard/reshard.ts'
import { encodeBatch } from '../support/batches.ts'
import { silentLog, testRedisUrl } from '../support/redis.ts'
import { scale } from '../../faults/pipeline.ts'
import { change, keysFor, leaving, openJob, partitionsOf, S, viewOf, work } from './setup.ts'

/** Of five partitions, from one shard to three, and from three to two. */
const MOVED = 3
const EVERY = Math.ceil(8 / scale)

async function begin(store: Store, job: Job, shards: number): Promise<Keys> {
  const keys = keysFor(job, shards)
  await store.redis.set(keys.count, String(shards))
  await work(store, job, keys)
  return keys
}

async function withJob(test: (store: Store, job: Job) => Promise<void>): Promise<void> {
  const { store, job, end } = await openJob('reshard')
  try {
    await test(store, job)
  } finally {
    await end()
  }
}

test('1 → 3 → 2 → 1: each time everything is there once, in its shard, and the job goes on', () =>
  withJob(async (store, job) => {
    await begin(store, job, 1)
    let sec = 0
    for (const to of [3, 2, 1]) {
      const before = await viewOf(store, job, await heldKeys(store, job.name))
      expect(before.closed.length).toBeGreaterThan(0)
      expect(before.open.length).toBeGreaterThan(0)
      expect((await change(store, job, to)).outcome).toBe('changed')
      const keys = await heldKeys(store, job.name)
      expect(keys.shards).toHaveLength(to)
      expect(await viewOf(store, job, keys)).toEqual(before)
      const expected = Array.from({ length: to }, (_, s) =>
        [0, 1, 2, 3, 4].filter((p) => p % to === s),
      )
      expect(await partitionsOf(store, keys)).toEqual(expected)
      sec += 20
      await work(store, job, keys, sec)
      const after = await viewOf(store, job, keys)
      expect(Number(after.closedTo[0])).toBeGreaterThan(Number(before.closedTo[0]))
      expect(after.closed.length).toBeGreaterThan(before.closed.length)
    }
    const left = await store.redis.keys(`millrace:{${job.name}/*`)
    expect(left.filter((key) => !key.startsWith(keysFor(job, 1).base))).toEqual([])
    expect(left.filter((key) => key.includes(':next:') || key.endsWith(':change'))).toEqual([])
  }))

const endOf = (fields: string[]) => fields[fields.indexOf('end') + 1]

test('windows come out as they would have without a change', async () => {
  const rowsOf = async (changes: readonly (number | null)[]) => {
    const { store, job, end } = await openJob('reshard')
    try {
      await begin(store, job, 2)
      for (const [i, to] of changes.entries()) {
        if (to !== null) await change(store, job, to)
        await work(store, job, await heldKeys(store, job.name), 20 * (i + 1))
      }
      const { closed, open } = await viewOf(store, job, await heldKeys(store, job.name))
      // Which partition was committed last differs, and not what closes.
      return { ends: closed.map(([, fields]) => endOf(fields as string[])), open }
    } finally {
      await end()
    }
  }
  expect(await rowsOf([4, 3, 1])).toEqual(await rowsOf([null, null, null]))
})

for (const [from, to] of [
  [1, 3],
  [3, 2],
  [3, 1],
] as const) {
  test(`${from} → ${to}: left after any call, it is done again to the same end`, async () => {
    let calls = Infinity
    // Each run another part of them; with a scale of 8 all.
    const first = 1 + Math.floor(Math.random() * EVERY)
    for (let last = first; last <= calls; last += EVERY) {
      await withJob(async (store, job) => {
        const before = await viewOf(store, job, await begin(store, job, from))
        const left = leaving(store, last)
        const outcome = await change(left.store, job, to).catch((error: unknown) => error)
        // Of one call more there is none: it came to its end.
        if (left.calls() < last) calls = left.calls()
        else expect(outcome).toBeInstanceOf(Error)
        await store.redis.del(keysFor(job, 1).leader)
        await change(store, job, to)
        const after = await viewOf(store, job, await heldKeys(store, job.name))
        expect({ last, ...after }).toEqual({ last, ...before })
      })
    }
    expect(calls).toBeGreaterThan(50)
  }, 300_000)
}

const namesOf = async ({ redis }: Store, job: Job) =>
  (await redis.keys(`millrace:{${job.name}/*`)).filter((key) => !key.endsWith(':leader')).sort()

for (const [from, to] of [
  [1, 3],
  [3, 2],
] as const) {
  test(`${from} → ${to}: left after any call, it can be given up, or is told to be ended`, async () => {
    const ends = new Set<string>()
    let calls = Infinity
    const first = 1 + Math.floor(Math.random() * EVERY)
    for (let last = first; last <= calls; last += EVERY) {
      await withJob(async (store, job) => {
        const before = await viewOf(store, job, await begin(store, job, from))
        const names = await namesOf(store, job)
        const left = leaving(store, last)
        await change(left.store, job, to).catch(() => undefined)
        if (left.calls() < last) calls = left.calls()
        await store.redis.del(keysFor(job, 1).leader)
        const back = await change(store, job, from).catch((error: Error) => error)
        const end = back instanceof Error ? back.message : back.outcome
        ends.add(back instanceof Error ? 'told' : back.outcome)
        const isBack = end === 'given up' || end === 'same'
        if (isBack) expect({ last, names: await namesOf(store, job) }).toEqual({ last, names })
        // What came to its end is changed back as anything else is; what was decided is ended first.
        else if (end !== 'changed') {
          expect({ last, end }).toEqual({ last, end: expect.stringContaining('have begun') })
          expect((await readNumber(store, job.name)).decided).toBeTrue()
          expect(await change(store, job, to)).toMatchObject({ partitions: 5, moved: MOVED })
        }
        const after = await viewOf(store, job, await heldKeys(store, job.name))
        expect({ last, ...after }).toEqual({ last, ...before })
      })
    }
    expect(ends).toEqual(new Set(['same', 'given up', 'told', 'changed']))
  }, 300_000)
}

test('left twice in a row, it is done again all the same', async () => {
  for (let last = 20; last <= 180; last += 20) {
    await withJob(async (store, job) => {
      const before = await viewOf(store, job, await begin(store, job, 3))
      for (const calls of [last, Math.floor(last / 2)]) {
        await change(leaving(store, calls).store, job, 2).catch(() => undefined)
        await store.redis.del(keysFor(job, 1).leader)
      }
      await change(store, job, 2)
      expect(await viewOf(store, job, await heldKeys(store, job.name))).toEqual(before)
    })
  }
}, 120_000)

test('a pane of many groups is merged over several calls, each group once', () =>
  withJob(async (store, job) => {
    const keys = await begin(store, job, 2)
    const state = await store.redis.hgetBuffer(keys.shards[1]!.pane(25 * S), '["all"]')
    for (const shard of keys.shards) {
      // Half of the groups are in both.
      const from = shard.shard * 1_500
      const groups = Array.from({ length: 3_000 }, (_, n) => [`["g ${from + n}"]`, state!])
      await store.redis.hset(shard.pane(25 * S), new Map(groups as [string, Buffer][]))
    }
    const before = await viewOf(store, job, keys)
    const counting = leaving(store, Infinity)
    await change(counting.store, job, 1)
    const after = await viewOf(store, job, await heldKeys(store, job.name))
    expect(after.open.length).toBeGreaterThan(4_500)
    expect(after).toEqual(before)
  }))

test(
  'what waits is processed first, by the command itself',
  () =>
    withJob(async (store, job) => {
      const keys = await begin(store, job, 2)
      const before = await viewOf(store, job, keys)
      const last = 40 * S
      for (const p of [0, 1, 2]) {
        const shard = keys.shards[p % 2]!
        const at = Number(await store.redis.hget(shard.ledger, `${p}:next`))
        const records = [0, 1].map((i) => ({
          offset: at + i,
          value: JSON.stringify({ at: last + i, who: 'waited', n: 5 }),
        }))
        const payload = encodeBatch(records)
        const args = [p, at, at + 2, at + 2, 1, at, at + 2, 2, payload]
        expect(((await store.call('append', shard.base, args)) as number[])[0]).toBe(1)
      }
      const to = 3
      const parts = { store, job, to, code: null, clock: systemClock, tell: () => {} }
      const config = readConfig({ REDIS_URL: testRedisUrl })
      const openReader = () => openStore(config, silentLog, { blockMs: bounds.readBlockMs })
      expect(await reshard({ ...parts, openReader })).toMatchObject({ records: 6, moved: 3 })
      const after = await viewOf(store, job, await heldKeys(store, job.name))
      expect(after.totals.committed).toBe(before.totals.committed! + 6)
      expect(after.totals.waiting).toBe(0)
      expect(after.open).toContainEqual([last, '["waited"]', { events: 6, total: 30, most: 5 }])
    }),
  30_000,
)
