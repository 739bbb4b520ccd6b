/** What reads or changes a job beside data's way, of a job with several shards in a real Redis. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { acceptChange, agreedShape } from '../../actors/agree.ts'
import { systemClock } from '../../actors/clock.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { measure } from '../../actors/measure.ts'
import { pacesOf } from '../../actors/quota.ts'
import { heldKeys } from '../../actors/shards.ts'
import { shapeText } from '../../actors/shape.ts'
import { rejection } from '../support/rejection.ts'
import { change, markOf } from '../../rejects/marks.ts'
import { readRejects } from '../../rejects/rejects.ts'
import { shardLines } from '../../supervisor/divided.ts'
import { Quotas, weigh } from '../../supervisor/quotas.ts'
import { castShadow } from '../../supervisor/shadow.ts'
import { createStatusReader } from '../../supervisor/status-reader.ts'
import { dropJob, heldJobs } from '../../versions/list.ts'
import { setQuotas } from '../../web/control.ts'
import { newestRejects } from '../../web/rejects.ts'
import { Served, type ServedParts } from '../../web/served.ts'
import { sinkJob } from '../actors/sinks/place.ts'
import { openPlace, type Place, silentLog } from '../support/redis.ts'

let place: Place
let keys: Keys
const job = () => sinkJob(place.name)
const redis = () => place.store.redis

/** Partitions 0, 1 and 2: shard 0 has two of them, shard 1 has one. */
beforeEach(async () => {
  place = await openPlace('shards-tools')
  keys = keysOf(place.name, 2)
  await redis().set(keys.count, '2')
  await open(keys.shards[0]!, 0, 2)
  await open(keys.shards[1]!, 1)
})
afterEach(async () => {
  await dropJob(place.store, keys)
  await place.end()
})

const open = ({ base }: Keys, ...partitions: number[]) =>
  place.store.call('open', base, [
    'topic-id',
    shapeText(job()),
    ...partitions.flatMap((p) => [p, 0, 0]),
  ])

const append = ({ base }: Keys, partition: number, from: number, records: number) =>
  place.store.call('append', base, [
    partition,
    from,
    from + records,
    from + records,
    1,
    from,
    from + records,
    records,
    'payload',
  ]) as Promise<number[]>

function reject(shard: Keys, id: string, partition: number, offset: number) {
  const about = ['topic', 'logs', 'p', partition, 'o', offset, 'reason', 'json']
  return redis().xadd(shard.rejects, id, ...about, 'message', '', 'value', '')
}

test('rejects of all shards are one list, also where two came in the same millisecond', async () => {
  const [zero, one] = keys.shards as [Keys, Keys]
  await reject(zero, '10-0', 0, 1)
  await reject(one, '10-0', 1, 1)
  await reject(one, '10-1', 1, 2)
  await reject(zero, '11-0', 2, 1)
  const places = (rows: { partition: number; offset: string | number }[]) =>
    rows.map(({ partition, offset }) => `${partition}:${offset}`)
  const whole = ['2:1', '1:2', '1:1', '0:1']
  const all = await newestRejects(place.store, keys, { limit: 10 })
  expect(places(all)).toEqual(whole)
  expect(new Set(all.map(({ id }) => id)).size).toBe(4)
  // Page by page nothing is left out or told twice, and nothing is newer than the newest.
  const paged: string[] = []
  for (let before: string | undefined; ; ) {
    const [row] = await newestRejects(place.store, keys, { limit: 1, before })
    if (!row) break
    paged.push(...places([row]))
    before = row.id
  }
  expect(paged).toEqual(whole)
  const since = all[2]!.id
  expect(places(await newestRejects(place.store, keys, { limit: 9, since }))).toEqual([
    '2:1',
    '1:2',
  ])
  const listed = await readRejects(place.store, keys, {})
  expect(places(listed)).toEqual(whole)
  expect(listed.map(({ id }) => id)).toEqual(all.map(({ id }) => id))
  expect(places(await readRejects(place.store, keys, {}, 2))).toEqual(whole.slice(0, 2))
})

test('a mark lies with its partition, and is compared there', async () => {
  const [zero, one] = keys.shards as [Keys, Keys]
  await reject(one, '10-0', 1, 7)
  const to = { state: 'dropped', at: 5 } as const
  const changes = ['0:7', '1:7', '2:7'].map((at) => ({ place: at, from: null, to, ruled: true }))
  expect(await change(place.store, keys, changes)).toEqual([true, true, true])
  expect(Object.keys(await redis().hgetall(zero.handled)).sort()).toEqual(['0:7', '2:7'])
  expect(markOf((await redis().hgetall(one.handled))['1:7'])).toEqual(to)
  expect(await redis().xlen(one.verdicts)).toBe(1)
  expect(await change(place.store, keys, changes)).toEqual([false, false, false])
  expect((await readRejects(place.store, keys, {}))[0]!.mark).toEqual(to)
})

test('the status tells what each shard has, and which one the watermark waits for', async () => {
  await append(keys.shards[0]!, 0, 0, 10)
  await append(keys.shards[1]!, 1, 0, 5)
  await redis().hset(keys.shards[0]!.ledger, '0:max', 9_000, '2:max', 9_000)
  await redis().hset(keys.shards[1]!.ledger, '1:max', 5_000)
  const reader = createStatusReader(place.store, keys, job(), systemClock, { sampleEveryMs: 0 })
  const { shards, backlog } = await reader.status()
  expect(backlog.records).toBe(15)
  expect(shards).toMatchObject([
    { shard: 0, partitions: 2, records: 10, bytes: 7, entries: 1, holdsWatermark: false },
    { shard: 1, partitions: 1, records: 5, bytes: 7, entries: 1, holdsWatermark: true },
  ])
  expect(shardLines(shards)[1]).toContain('shard 1: 1 partition, 5 in the stream')
})

const quotas = () =>
  new Quotas(place.store, keys, systemClock, {
    recordsPerSecond: 900,
    memoryMib: 1,
    given: new Set(['recordsPerSecond', 'memoryMib'] as const),
  })

test('a quota is divided by the partitions, and what a shard may is what append goes by', async () => {
  const one = quotas()
  await one.begin()
  await one.look(await measure(place.store, keys))
  const paces = async () =>
    (await measure(place.store, keys)).shards.map(({ pace }) => Number(pace))
  expect(await paces()).toEqual([600, 300])
  expect((await append(keys.shards[0]!, 0, 0, 1))[6]).toBe(600)
  expect((await append(keys.shards[1]!, 1, 0, 3_000))[6]).toBe(300)
  // Over by 9 s of its part: held, as the job is told.
  expect((await append(keys.shards[1]!, 1, 3_000, 1))[5]).toBeGreaterThan(8_000)
  expect(Number((await measure(place.store, keys)).quota.heldAt)).toBeGreaterThan(0)
  const parts = { store: place.store, keys, log: silentLog }
  await setQuotas(parts, { recordsPerSecond: 90_000 }, 'test')
  await one.look(await measure(place.store, keys))
  expect(await paces()).toEqual([60_000, 30_000])
  expect(await redis().hexists(keys.shards[1]!.quota, 'due')).toBe(0)
  await setQuotas(parts, { recordsPerSecond: 0 }, 'test')
  await one.look(await measure(place.store, keys))
  expect(await redis().hexists(keys.shards[0]!.quota, 'pace')).toBe(0)
  expect((await append(keys.shards[1]!, 1, 3_001, 1))[5]).toBeUndefined()
})

test('paces together are the quota', () => {
  expect(pacesOf(2, [2, 2, 2]).map(Number)).toEqual([0.666667, 0.666667, 0.666667])
  expect(pacesOf(100, [3, 1, 0]).map(Number)).toEqual([75, 25, 25])
  expect(pacesOf(100, [0, 0]).map(Number)).toEqual([50, 50])
})

test('memory is that of all shards, and holds all of them', async () => {
  const one = quotas()
  await one.begin()
  await redis().xadd(keys.shards[1]!.closed, '*', 'rows', 'x'.repeat(2 ** 21))
  expect((await weigh(place.store, keys)).closed).toBeGreaterThan(2 ** 21)
  await one.look(await measure(place.store, keys))
  for (const { quota } of keys.shards) expect(await redis().hget(quota, 'memoryHeld')).toBe('1')
  await setQuotas({ store: place.store, keys, log: silentLog }, { memoryMib: 0 }, 'test')
  await one.look(await measure(place.store, keys))
  for (const { quota } of keys.shards) expect(await redis().hexists(quota, 'memoryHeld')).toBe(0)
})

test('a change is accepted in each shard', async () => {
  const { ledger } = keys.shards[1]!
  const before = (await redis().hget(ledger, 'shape'))!
  const other = JSON.parse(before) as Record<string, unknown>
  await redis().hset(ledger, 'shape', JSON.stringify({ ...other, aggregates: [] }))
  expect((await rejection(agreedShape(place.store, keys, job()))).message).toContain('aggregates')
  await rejection(acceptChange(place.store, keys, job()))
  await redis().hset(ledger, 'shape', before)
  expect(await agreedShape(place.store, keys, job())).toBe(before)
})

test('what is served goes by the number of shards that Redis has, and by another once it is changed', async () => {
  const apps: { shards: number; isAway: boolean; closed: boolean }[] = []
  const signals: AbortSignal[] = []
  const appOf: ServedParts['appOf'] = (store, { shards }, replaced) => {
    signals.push(replaced)
    const app = { shards: shards.length, isAway: store !== place.store, closed: false }
    apps.push(app)
    const feed = { close: () => Promise.resolve(void (app.closed = true)) }
    return { app: {}, feed } as unknown as ReturnType<ServedParts['appOf']>
  }
  const parts = { store: place.store, job: place.name, clock: systemClock, log: silentLog, appOf }
  const served = new Served(parts)
  expect(apps).toEqual([{ shards: 1, isAway: true, closed: false }])
  for (const count of ['2', '2>3', '3', '3']) {
    await redis().set(keys.count, count)
    await served.look()
  }
  expect(apps).toEqual([
    { shards: 1, isAway: true, closed: true },
    { shards: 2, isAway: false, closed: true },
    { shards: 3, isAway: false, closed: false },
  ])
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false])
})

test('versions know of all shards: listed, no shadow of it, dropped without a rest', async () => {
  await append(keys.shards[1]!, 1, 0, 5)
  await redis().hset(keys.shards[1]!.totals, 'committed', 5)
  const held = (await heldJobs(place.store)).find(({ name }) => name === place.name)
  expect(held).toMatchObject({ shards: 2, snapshot: { totals: { committed: 5 } } })
  expect((await heldKeys(place.store, place.name)).shards).toHaveLength(2)
  const shadow = castShadow(place.store, job(), systemClock, { from: null })
  expect((await rejection(shadow)).message).toContain(
    'has 2 shards, and a shadow is for jobs of one',
  )
  expect(await dropJob(place.store, keys)).toBeGreaterThan(4)
  expect(await redis().keys(`millrace:{${place.name}/*`)).toEqual([])
})
