import { describe, expect, test } from 'bun:test'
import { defineJob } from 'millrace'
import { testJob } from 'millrace/testing'
import * as v from 'valibot'
import { rejection } from '../support/rejection.ts'
import { lateOrder, laterOrders, orders, ordersJob } from '../fixtures/orders.ts'

const NOW = '2024-05-01T12:00:00Z'
const at = (second: number) => Date.parse(NOW) + second * 1_000

const job = defineJob({
  name: 'rooms',
  topic: 'readings',
  schema: v.object({ at: v.number(), room: v.string(), celsius: v.number() }),
  eventTime: (row) => row.at,
  watermarkDelay: '5 s',
  window: { size: '10 s', slide: '5 s' },
  filter: (row) => row.celsius > -50,
  groupBy: ['room'],
  aggregates: ({ count, max }) => ({ n: count(), hottest: max('celsius') }),
})

const reading = (second: number, room: string, celsius: number) => ({
  at: at(second),
  room,
  celsius,
})
const plain = (rows: Awaited<ReturnType<ReturnType<typeof testJob>['windows']>>) =>
  rows.map(({ start, state, key, values }) => [(start - at(0)) / 1_000, state, key.room, values.n])

describe('testJob', () => {
  /*      -5     0     5    10    15    20
   *       |     |--a--|--b--|     |  c: closes what ends at 15
   */
  test('gives windows as they are open, and closes them by event time', async () => {
    const it = testJob(job, { now: at(20) })
    await it.feedAll([reading(1, 'a', 20), reading(6, 'a', 21), reading(2, 'b', 1)])
    expect(plain(await it.windows())).toEqual([
      [-5, 'open', 'a', 1],
      [-5, 'open', 'b', 1],
      [0, 'open', 'a', 2],
      [0, 'open', 'b', 1],
      [5, 'open', 'a', 1],
    ])
    await it.feed(reading(20, 'c', 5))
    expect(await it.watermark()).toBe(at(15))
    expect(plain(await it.windows('closed'))).toEqual([
      [-5, 'closed', 'a', 1],
      [-5, 'closed', 'b', 1],
      [0, 'closed', 'a', 2],
      [0, 'closed', 'b', 1],
      [5, 'closed', 'a', 1],
    ])
    expect(plain(await it.windows('open'))).toEqual([
      [15, 'open', 'c', 1],
      [20, 'open', 'c', 1],
    ])
  })

  test('closes the last windows when the clock has moved far enough without a record', async () => {
    const it = testJob(job, { now: NOW })
    await it.feed(reading(0, 'a', 20))
    await it.advance('29 s')
    expect(await it.windows('closed')).toEqual([])
    await it.advance('1 minute')
    expect(plain(await it.windows())).toEqual([
      [-5, 'closed', 'a', 1],
      [0, 'closed', 'a', 1],
    ])
  })

  test('tells what became of each record', async () => {
    const it = testJob(job, { now: at(60), partitions: 2 })
    await it.feed(reading(60, 'a', 20))
    await it.feed(reading(60, 'a', 20), { partition: 1 })
    await it.feedAll([reading(61, 'a', -60), reading(41, 'b', 3), '{"at":', null, { at: 1 }])
    await it.feed(reading(100_000, 'a', 1))
    await it.feed(reading(51, 'b', 3), { partition: 1 })
    expect(await it.totals()).toEqual({ counted: 3, filtered: 1, late: 1, rejected: 4, partly: 1 })
    expect(await it.late()).toMatchObject([
      { partition: 0, offset: 2, reason: 'late', value: JSON.stringify(reading(41, 'b', 3)) },
    ])
    expect((await it.rejects()).map(({ offset, reason }) => [offset, reason])).toEqual([
      [3, 'json'],
      [4, 'null'],
      [5, 'schema'],
      [6, 'future'],
    ])
  })

  test('runs work, with what Kafka says of the record', async () => {
    const working = defineJob({
      name: 'working',
      topic: 'names',
      schema: v.object({ id: v.string() }),
      eventTime: 'kafka',
      work: async ({ id }, { meta }) => {
        await Promise.resolve()
        if (id === 'bad') throw new Error('no such id')
        return { id: `${id}@${meta.headers.host}` }
      },
      window: { size: '1 minute' },
      groupBy: ['id'],
      aggregates: ({ count }) => ({ n: count() }),
    })
    const it = testJob(working, { now: NOW })
    await it.feed({ id: 'x' }, { headers: { host: 'h1' } })
    await it.feed({ id: 'bad' })
    expect((await it.windows()).map(({ start, key }) => [start, key])).toEqual([
      [at(0), { id: 'x@h1' }],
    ])
    expect(await it.rejects()).toMatchObject([{ reason: 'threw', message: 'no such id' }])
  })

  test("reads other bytes than JSON by the job's own decode", async () => {
    const lines = defineJob({
      name: 'lines',
      topic: 'lines',
      decode: (bytes, { headers }) => {
        if (headers.format !== 'line') throw new Error(`no format ${headers.format}`)
        const [level, ms] = Buffer.from(bytes).toString('latin1').split(' ')
        return { level, ms: Number(ms) }
      },
      schema: v.object({ level: v.string(), ms: v.pipe(v.number(), v.finite()) }),
      eventTime: 'kafka',
      window: { size: '1 minute' },
      groupBy: ['level'],
      aggregates: ({ sum }) => ({ ms: sum('ms') }),
    })
    const it = testJob(lines, { now: NOW })
    const meta = { headers: { format: 'line' } }
    await it.feedAll(['info 1.5', Buffer.from([0xe9, 0x20, 0x32]), 'info 2', 'info', null], meta)
    await it.feed('info 2', { headers: { format: 'xml' } })
    expect((await it.windows()).map(({ key, values }) => [key.level, values.ms])).toEqual([
      ['info', 3.5],
      ['é', 2],
    ])
    expect(
      (await it.rejects()).map(({ offset, reason, message }) => [offset, reason, message]),
    ).toMatchObject([
      [3, 'schema', expect.stringContaining('ms')],
      [4, 'null', expect.anything()],
      [5, 'decode', 'no format xml'],
    ])
  })

  test('gives the same of one partition or several, whatever comes first', async () => {
    const results: unknown[] = []
    for (const [partitions, order] of [
      [3, orders],
      [3, orders.toSorted((a, b) => a.partition - b.partition)],
    ] as const) {
      const it = testJob(ordersJob({ name: 'orders', topic: 'orders' }), { partitions })
      for (const one of [...order, ...laterOrders, lateOrder]) {
        const { value, ...meta } = one
        await it.feed(value, meta)
      }
      const rows = await it.windows()
      results.push({
        rows: rows.map((row) => JSON.stringify([row.start, row.state, row.key, row.values])).sort(),
        totals: await it.totals(),
      })
    }
    expect(results[0]).toEqual(results[1])
    expect(results[0]).toMatchObject({
      totals: { counted: 93, filtered: 31, late: 1, rejected: 2 },
    })
  })

  test('refuses what it can not take', async () => {
    const it = testJob(job, { now: NOW })
    expect((await rejection(it.feed({}, { partition: 1 }))).message).toBe(
      'partition must be less than 1, not 1',
    )
    expect((await rejection(it.advance('soon' as '1 s'))).message).toBe('not a duration: "soon"')
    expect(() => testJob(job, { now: 'noon' })).toThrow(
      'now must be epoch milliseconds or ISO 8601',
    )
  })

  test('takes a thousand records in well under its time limit', async () => {
    const it = testJob(job, { now: at(1_000) })
    await it.feedAll(Array.from({ length: 1_000 }, (_, i) => reading(i, `room ${i % 3}`, i)))
    expect(await it.totals()).toMatchObject({ counted: 1_000, late: 0 })
    const rows = await it.windows()
    expect(rows.reduce((sum, { values }) => sum + Number(values.n), 0)).toBe(2_000)
  })
})
