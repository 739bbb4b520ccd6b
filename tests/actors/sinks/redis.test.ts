import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { redisStream } from '../../../actors/sinks/redis.ts'
import type { Batch, ClosedWindow, Sink } from '../../../actors/sinks/sink.ts'
import { until } from '../../../faults/until.ts'
import { testRedisUrl } from '../../support/redis.ts'
import { streamIn } from './found.ts'
import { openClosed, type Place, T } from './place.ts'

let it: Place
let sink: Sink
let key: string
const environment = { TEST_REDIS: testRedisUrl }
beforeEach(async () => {
  it = await openClosed('redis-sink')
  key = `${it.job.name}-out`
  sink = redisStream({ urlFrom: 'TEST_REDIS', key })
})
afterEach(async () => {
  await it.store.redis.del(key, `{${key}}:position`)
  await it.end()
})

const caughtUp = () =>
  until('it to catch up', async () => {
    const [report] = await readSinks(it.store, it.keys, { sinks: [sink] }, Date.now())
    return report!.lagWindows === 0
  })

test('has each row once, a large window in several entries', async () => {
  await it.close(2)
  await it.close(1, 1_200)
  it.deliver(sink, { environment })
  await caughtUp()
  expect(await streamIn(it.store, key)).toEqual(await it.expected())
  expect(await it.store.redis.xlen(key)).toBe(2 + 3)
})

const window = (number: number, rows: number): ClosedWindow => ({
  start: T,
  end: T + 10_000,
  number,
  position: `${number}-0/${number}/${T}`,
  rows: Array.from({ length: rows }, (_, i) => ({
    start: T,
    end: T + 10_000,
    group: `["${i}"]`,
    key: { who: String(i) },
    values: { total: i },
  })),
})
const batchOf = (expected: string | null, ...windows: ClosedWindow[]): Batch => ({
  expected,
  position: windows.at(-1)!.position,
  windows,
})
const never = new AbortController().signal
const open = () => {
  const { job, store } = it
  return sink.open({ job, environment, store, clock: null!, log: null!, kept: null })
}

test('a writer that is behind is refused by the position, and changes nothing', async () => {
  const [zombie, successor] = [await open(), await open()]
  await successor.write(batchOf(null, window(1, 1)), never)
  const late = zombie.write(batchOf(null, window(1, 1)), never)
  expect(await late.catch((error: Error) => error.name)).toBe('SinkFenced')
  expect(await it.store.redis.xlen(key)).toBe(1)
  await zombie.close()
  await successor.close()
})

test('a window of which a part is there gets the rest', async () => {
  const connection = await open()
  await connection.write(batchOf(null, window(1, 1)), never)
  // As where the process was killed behind the first of three entries.
  await connection.write(batchOf(window(1, 1).position, window(2, 1_200)), never)
  const [, second, ...rest] = await it.store.redis.xrange(key, '-', '+')
  await it.store.redis.xdel(key, ...rest.map(([id]) => id))
  await it.store.redis.set(`{${key}}:position`, `${window(1, 1).position}+1`)
  await connection.close()
  const again = await open()
  expect(await again.position!()).toBe(window(1, 1).position)
  await again.write(batchOf(window(1, 1).position, window(2, 1_200)), never)
  const entries = await it.store.redis.xrange(key, '-', '+')
  expect(entries[1]![0]).toBe(second![0])
  const parts = entries.slice(1).map(([, fields]) => fields[fields.indexOf('part') + 1])
  expect(parts).toEqual(['1', '2', '3'])
  expect(await again.position!()).toBe(window(2, 1).position)
  await again.close()
})

test('a window of which a part is there, and which comes in another form, is there in that form', async () => {
  const connection = await open()
  await connection.write(batchOf(null, window(1, 1)), never)
  await connection.write(batchOf(window(1, 1).position, window(2, 1_200)), never)
  const [, , ...rest] = await it.store.redis.xrange(key, '-', '+')
  await it.store.redis.xdel(key, ...rest.map(([id]) => id))
  await it.store.redis.set(`{${key}}:position`, `${window(1, 1).position}+1`)
  await connection.close()
  const again = await open()
  await again.write(batchOf(window(1, 1).position, window(2, 3)), never)
  const entries = await it.store.redis.xrange(key, '-', '+')
  const rows = entries.map(([, fields]) => JSON.parse(fields.at(-1)!) as unknown[])
  expect(rows.map(({ length }) => length)).toEqual([1, 3])
  await again.close()
})

test('a server that is away is told by its address, without the password', async () => {
  const away = { TEST_REDIS: 'redis://:hunter2@127.0.0.1:1' }
  const { delivery } = it.deliver(sink, { environment: away })
  await until('a complaint', () => delivery.complaint)
  expect(delivery.complaint).toContain(`sink redis: at 127.0.0.1:1, stream ${key} is down`)
  expect(delivery.complaint).not.toContain('hunter2')
})
