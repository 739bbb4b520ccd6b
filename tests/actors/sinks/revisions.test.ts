/** Windows that are told more than once, as sinks get them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../actors/clock.ts'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { Delivery } from '../../../actors/sinks/delivery.ts'
import { files } from '../../../actors/sinks/files.ts'
import { beginning, parsePosition, positionText } from '../../../actors/sinks/position.ts'
import { redisStream } from '../../../actors/sinks/redis.ts'
import { rowJson, toldWindow } from '../../../actors/sinks/rows.ts'
import {
  type ClosedWindow,
  declared,
  type Sink,
  type SinkOptions,
} from '../../../actors/sinks/sink.ts'
import { uniqueName } from '../../../faults/names.ts'
import { until } from '../../../faults/until.ts'
import { testRedisUrl } from '../../support/redis.ts'
import { type Seeded, seed, silentLog } from '../../web/seed.ts'
import { sinkJob, T } from './place.ts'

let it: Seeded
const ended: (() => Promise<void>)[] = []
beforeEach(async () => {
  const job = sinkJob(uniqueName('told-sinks'))
  it = await seed({ ...job, allowedLatenessMs: 60_000, updatesMs: 60_000 })
})
afterEach(async () => {
  for (const end of ended.splice(0)) await end()
  await it.end()
})

const record = (seconds: number, who: string, loc = 1) => ({
  at: T + seconds * 1_000,
  group: [who],
  fields: { loc },
})

/** As if the time for it had come. */
async function update() {
  const { redis } = it.store
  for (const end of await redis.zrange(it.keys.revise, '0', '-1'))
    await redis.zadd(it.keys.revise, 1, end)
  await it.closeTo(Number((await redis.hget(it.keys.clock, 'watermark')) ?? T))
}

/** [0, 10) s: told open, open, closed, and once more with a late record; then final without a change. */
async function tell() {
  await it.records([record(1, 'a')])
  await it.closeTo(T)
  await update()
  await it.records([record(2, 'a')])
  await it.closeTo(T + 1)
  await update()
  await it.closeTo(T + 10_000)
  await it.records([record(3, 'b')])
  await it.closeTo(T + 11_000)
}

function deliver(sink: Sink, environment: Record<string, string> = {}) {
  const delivery = new Delivery({
    sink,
    job: { ...it.job, sinks: [sink] },
    store: it.store,
    keys: it.keys,
    environment,
    clock: systemClock,
    log: silentLog,
    who: uniqueName('who'),
    onComplaint: () => {},
  })
  const asked = new AbortController()
  const running = delivery.run(asked.signal)
  const end = async () => {
    asked.abort()
    await running
  }
  ended.push(end)
  return end
}

interface Memory extends Sink {
  told: string[]
}
function memory(options: SinkOptions): Memory {
  const sink: Memory = {
    ...declared('memory', options),
    told: [],
    address: () => 'nowhere:1',
    open: () =>
      Promise.resolve({
        write({ windows }) {
          sink.told.push(...windows.map(nameOf))
          return Promise.resolve()
        },
        close: () => Promise.resolve(),
      }),
  }
  return sink
}

function nameOf({ start, revision, rows }: ClosedWindow): string {
  const counts = rows.map(({ key, values }) => `${String(key.who)}${Number(values.events)}`)
  const { state, final } = toldWindow({ start, end: start, revision: revision! })
  return `${(start - T) / 1_000} r${revision!.revision} ${final ? 'final' : state} ${counts.join(' ')}`
}

const report = async (sink: Sink) =>
  (await readSinks(it.store, it.keys, { sinks: [sink] }, Date.now()))[0]!

const closings = ['0 r2 closed a2', '0 r3 closed a2 b1']
const all = ['0 r0 open a1', '0 r1 open a2', ...closings]

describe('a sink', () => {
  test('is given open windows only where it asks for them', async () => {
    const [some, every] = [memory({ name: 'some' }), memory({ name: 'every', updates: true })]
    await tell()
    deliver(some)
    deliver(every)
    await until('all', () => every.told.length === 4 && some.told.length === 2)
    expect(every.told).toEqual(all)
    expect(some.told).toEqual(closings)
    await until('the accounts', async () => (await report(some)).windows === 2)
    expect(await report(some)).toMatchObject({ windows: 2, lagWindows: 0, lost: 0 })
    expect(await report(every)).toMatchObject({ windows: 4, lagWindows: 0, lost: 0 })
  })

  test('that takes one window at a time is given them in the order in which they were told', async () => {
    const sink = { ...memory({ updates: true }), windowsMax: 1 }
    await tell()
    await it.records([record(21, 'c')])
    await it.closeTo(T + 12_000)
    await update()
    deliver(sink)
    await until('all', () => sink.told.length === 5)
    expect(sink.told).toEqual([...all, '20 r0 open c1'])
  })

  test('goes on behind what it has, in whatever state the window was then', async () => {
    const sink = memory({ updates: true })
    await it.records([record(1, 'a')])
    await it.closeTo(T)
    await update()
    const end = deliver(sink)
    await until('the first', () => sink.told.length === 1)
    await end()
    await it.records([record(2, 'a')])
    await it.closeTo(T + 10_000)
    deliver(sink)
    await until('the second', () => sink.told.length === 2)
    expect(sink.told).toEqual(['0 r0 open a1', '0 r1 closed a2'])
    await update()
    await it.records([record(20, 'c')])
    await it.closeTo(T + 90_000)
    await until('the last', () => sink.told.length === 3)
    expect(sink.told[2]).toBe('20 r0 final c1')
  })

  test('has lost no open windows: what they were is in what closes them', async () => {
    const sink = memory({ updates: true })
    await it.records([record(1, 'a')])
    await it.closeTo(T + 10_000)
    const end = deliver(sink)
    await until('the first', () => sink.told.length === 1)
    await end()
    for (const second of [12, 13]) {
      await it.records([record(second, 'a')])
      await it.closeTo(T + 10_001)
      await update()
    }
    await it.closeTo(T + 20_000)
    expect(await it.store.redis.xlen(it.keys.updates)).toBe(2)
    await it.store.redis.xtrim(it.keys.updates, 'MAXLEN', 0)
    deliver(sink)
    await until('the last', () => sink.told.length === 2)
    expect(sink.told[1]).toBe('10 r2 closed a2')
    await until('the account', async () => (await report(sink)).windows === 2)
    expect(await report(sink)).toMatchObject({ lost: 0, lagWindows: 0 })
  })
})

test('a position tells of open windows only where a sink has had some', () => {
  const place = { id: '5-1', number: 3, end: T, version: '' }
  expect(positionText(place)).toBe(`5-1/3/${T}`)
  for (const one of [place, { ...place, updatesId: '7-0' }, { ...beginning, updatesId: '7-0' }]) {
    expect(parsePosition(positionText(one))).toEqual(one)
  }
  expect(() => parsePosition('5-1/3/4/x')).toThrow('is no position')
})

test('a file tells its revision by its name, and the ones before it go', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-told-'))
  const sink = files({ directory })
  await tell()
  deliver(sink)
  await until('both', async () => (await report(sink)).windows === 2)
  const [day] = readdirSync(directory)
  const names = readdirSync(join(directory, day!))
  expect(names).toEqual(['22-13-20.000Z_10000ms_r3.ndjson'])
  const [line] = readFileSync(join(directory, day!, names[0]!), 'utf8').split('\n')
  expect(JSON.parse(line!)).toEqual({
    start: '2023-11-14T22:13:20.000Z',
    end: '2023-11-14T22:13:30.000Z',
    state: 'closed',
    revision: 3,
    final: false,
    key: { who: 'a' },
    values: { total: 2, events: 2 },
  })
  rmSync(directory, { recursive: true, force: true })
})

test('a Redis stream has each telling once, with its number', async () => {
  const key = `${it.job.name}-out`
  const sink = redisStream({ urlFrom: 'TEST_REDIS', key, updates: true })
  await tell()
  deliver(sink, { TEST_REDIS: testRedisUrl })
  await until('all', async () => (await report(sink)).windows === 4)
  const entries = await it.store.redis.xrange(key, '-', '+')
  const of = (fields: string[], name: string) => fields[fields.indexOf(name) + 1]
  const found = entries.map(([, fields]) =>
    ['state', 'revision', 'final'].map((name) => of(fields, name)),
  )
  expect(found).toEqual([
    ['open', '0', 'false'],
    ['open', '1', 'false'],
    ['closed', '2', 'false'],
    ['closed', '3', 'false'],
  ])
  await it.store.redis.del(key, `{${key}}:position`)
})

test('a row of a job that tells windows once is what it was', () => {
  const row = { start: 0, end: 10, group: '["a"]', key: { who: 'a' }, values: { events: 1 } }
  expect(rowJson({}, row)).toBe(
    '{"start":"1970-01-01T00:00:00.000Z","end":"1970-01-01T00:00:00.010Z","key":{"who":"a"},"values":{"events":1}}',
  )
})
