/**
 * A shadow made the one, in a real Redis: broken off at each step and run again, with sinks that keep their
 * place themselves and sinks that don't. Each window is delivered once, none is missing.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import type { Keys } from '../../actors/keys.ts'
import { readLineage, successionOf } from '../../actors/lineage.ts'
import { Delivery } from '../../actors/sinks/delivery.ts'
import { parsePosition } from '../../actors/sinks/position.ts'
import { redisStream } from '../../actors/sinks/redis.ts'
import type { Sink } from '../../actors/sinks/sink.ts'
import type { Store } from '../../actors/redis.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { cutOver, type Step, steps, type Told } from '../../versions/cutover.ts'
import { memorySink, sinkJob, T } from '../actors/sinks/place.ts'
import { streamIn } from '../actors/sinks/found.ts'
import { testRedisUrl } from '../support/redis.ts'
import { rejection } from '../support/rejection.ts'
import { type Seeded, seed, silentLog } from '../web/seed.ts'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Both {
  old: Seeded
  next: Seeded
  store: Store
  name: string
}

/** Two versions of a job; `wholeAfter` in seconds behind T. */
async function versions({ sessions = false, wholeAfter = 0 } = {}): Promise<Both> {
  const name = uniqueName('cutover')
  const old = await seed(sinkJob(name, { sessions }))
  ends.push(old.end)
  const next = await seed(sinkJob(`${name}-2`, { sessions }))
  ends.push(next.end)
  await next.store.redis.hset(next.keys.version, {
    stage: 'shadow',
    of: name,
    before: name,
    wholeAfter: String(T + wholeAfter * 1_000),
  })
  return { old, next, store: old.store, name }
}

const record = (seconds: number, who = 'a') => ({
  at: T + seconds * 1_000,
  group: [who],
  fields: { loc: 1 },
})

/** A record in each 10 s, up to `to`, and closed up to `closedTo`. */
async function fill(one: Seeded, from: number, to: number, closedTo = to): Promise<void> {
  const records = []
  for (let at = from; at < to; at += 10) records.push(record(at), record(at + 4, 'b'))
  await one.records(records)
  await one.closeTo(T + closedTo * 1_000)
}

/** Runs the sink of a version until it has taken `windows` more. */
async function deliver({ job, keys, store }: Seeded, sink: Sink, environment = {}) {
  const delivery = new Delivery({
    sink,
    job: { ...job, sinks: [sink] },
    store,
    keys,
    environment,
    clock: systemClock,
    log: silentLog,
    who: uniqueName('who'),
    succession: successionOf(job.name, await readLineage(store, keys)),
    onComplaint: () => {},
  })
  const asked = new AbortController()
  const ended = delivery.run(asked.signal)
  return {
    delivery,
    async end() {
      asked.abort()
      await ended
    },
  }
}

const caughtUp = (keys: Keys, store: Store, sink: Sink, end: number) =>
  until(`${sink.name} to have what ended by ${end}`, async () => {
    const taken = await store.redis.hget(keys.taken, sink.name)
    return parsePosition(taken).end === T + end * 1_000
  })

class Killed extends Error {}

/** Cuts over; `dieAt` ends it as a kill would, right after that step was told. */
async function cut({ store, name }: Both, dieAt: Step | null = null, withoutSinks: string[] = []) {
  const told: Told[] = []
  const work = cutOver({
    store,
    pair: { old: name, next: `${name}-2` },
    clock: systemClock,
    withoutSinks,
    signal: AbortSignal.timeout(3_000),
    tell(one) {
      told.push(one)
      if (one.kind === 'step' && one.step === dieAt) throw new Killed()
    },
  })
  if (dieAt === null) await work
  else expect(await rejection(work)).toBeInstanceOf(Killed)
  return told.filter(({ kind }) => kind === 'step').map(({ step }) => step)
}

const starts = (...seconds: number[]) => seconds.map((each) => T + each * 1_000)

describe('a shadow', () => {
  test.each(steps)(
    'whose cut-over is killed at %p is made the one when it is run again',
    async (step) => {
      const both = await versions()
      const { old, next, store } = both
      const own = redisStream({ urlFrom: 'TEST_OUT', key: `${both.name}-out` })
      ends.push(() => store.redis.del(`${both.name}-out`, `{${both.name}-out}:position`))
      const environment = { TEST_OUT: testRedisUrl }
      const told = memorySink()
      await fill(old, 0, 40)
      const writing = [await deliver(old, own, environment), await deliver(old, told)]
      for (const sink of [own, told]) await caughtUp(old.keys, store, sink, 40)
      for (const one of writing) await one.end()
      // The old one has closed more than its sinks have taken, and the new one closes still more.
      await fill(old, 40, 60)
      await fill(next, 0, 80)

      await cut(both, step)
      expect(await cut(both)).toEqual([...steps])
      expect(await readLineage(store, next.keys)).toMatchObject({ stage: 'live', of: both.name })
      expect(await readLineage(store, old.keys)).toMatchObject({
        stage: 'replaced',
        by: next.job.name,
      })

      const going = [await deliver(next, own, environment), await deliver(next, told)]
      for (const sink of [own, told]) await caughtUp(next.keys, store, sink, 80)
      // Once more, when the sinks have gone on: it changes nothing.
      await cut(both)
      await fill(next, 80, 100)
      for (const sink of [own, told]) await caughtUp(next.keys, store, sink, 100)
      for (const one of going) await one.end()
      const all = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
      expect(told.starts).toEqual(starts(...all))
      const found = await streamIn(store, `${both.name}-out`)
      expect([...found.keys()]).toEqual(starts(...all))
      for (const rows of found.values()) expect(rows).toHaveLength(2)
    },
  )

  /*  old   (──────────12]──E       its closings and those of the new one are cut elsewhere
   *  new   (────────────────────30]
   *  E: what ended by 12 is there; of the new one's closing only what ended later is written
   */
  test('of sessions goes on in the middle of a closing', async () => {
    const both = await versions({ sessions: true })
    const { old, next, store } = both
    const key = `${both.name}-out`
    ends.push(() => store.redis.del(key, `{${key}}:position`))
    const own = redisStream({ urlFrom: 'TEST_OUT', key })
    const records = [record(0), record(4), record(9, 'b'), record(14), record(20, 'b')]
    await old.records(records.slice(0, 3))
    await old.closeTo(T + 12_000)
    const before = await deliver(old, own, { TEST_OUT: testRedisUrl })
    await caughtUp(old.keys, store, own, 12)
    await before.end()
    await next.records(records)
    await next.closeTo(T + 30_000)
    await cut(both)
    const after = await deliver(next, own, { TEST_OUT: testRedisUrl })
    await caughtUp(next.keys, store, own, 30)
    await after.end()
    const found = await streamIn(store, key)
    expect([...found.keys()]).toEqual(starts(0, 4, 9, 14, 20))
    for (const rows of found.values()) expect(rows).toHaveLength(1)
  })

  test('waits until it has closed what the old one has, and says so', async () => {
    const both = await versions()
    await fill(both.old, 0, 40)
    await fill(both.next, 0, 20)
    const told: Told[] = []
    const asked = new AbortController()
    const work = cutOver({
      store: both.store,
      pair: { old: both.name, next: `${both.name}-2` },
      clock: systemClock,
      withoutSinks: [],
      signal: asked.signal,
      tell: (one) => told.push(one),
    })
    await until('it to wait', () => told.length > 0)
    expect(told[0]!.text).toContain(`${both.name} up to ${new Date(T + 40_000).toISOString()}`)
    expect(await readLineage(both.store, both.old.keys)).toBeNull()
    await fill(both.next, 20, 40)
    await work
    expect(told.at(-1)).toMatchObject({ kind: 'step', step: 'done' })
  })

  test('does not go on behind a sink that is not as far as its first whole window', async () => {
    const both = await versions({ wholeAfter: 30 })
    const { old, next, store } = both
    await fill(old, 0, 20)
    const sink = memorySink()
    const one = await deliver(old, sink)
    await caughtUp(old.keys, store, sink, 20)
    await one.end()
    await fill(old, 20, 50)
    await fill(next, 20, 50)
    const refused = cutOver({
      store,
      pair: { old: both.name, next: next.job.name },
      clock: systemClock,
      withoutSinks: [],
      signal: AbortSignal.timeout(300),
      tell: () => {},
    })
    expect((await rejection(refused)).message).toMatch(
      /sink memory of .* has what ended by .*; run it again/,
    )
    expect(await readLineage(store, old.keys)).toBeNull()
    expect(await cut(both, null, ['memory'])).toEqual([...steps])
  })

  test('that is the one is not written over by who still runs the old one', async () => {
    const both = await versions()
    const { old, next, store } = both
    const key = `${both.name}-out`
    ends.push(() => store.redis.del(key, `{${key}}:position`))
    const own = redisStream({ urlFrom: 'TEST_OUT', key })
    await fill(old, 0, 20)
    await fill(next, 0, 30)
    await cut(both)
    const going = await deliver(next, own, { TEST_OUT: testRedisUrl })
    await caughtUp(next.keys, store, own, 30)
    await fill(old, 20, 60)
    const zombie = await deliver(old, own, { TEST_OUT: testRedisUrl })
    const complaint = await until('it to complain', () => zombie.delivery.complaint)
    expect(complaint).toContain(
      `it has windows of ${next.job.name}, behind which ${both.name} can't`,
    )
    await zombie.end()
    await going.end()
    expect([...(await streamIn(store, key)).keys()]).toEqual(starts(0, 10, 20))
  })
})
