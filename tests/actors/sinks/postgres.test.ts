import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { SQL } from 'bun'
import * as v from 'valibot'
import { count, defineJob, distinct, last, max, quantiles, topK } from '../../../actors/job.ts'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { postgres } from '../../../actors/sinks/postgres.ts'
import type { Sink, SinkContext } from '../../../actors/sinks/sink.ts'
import { until } from '../../../faults/until.ts'
import { postgresPrograms, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { tableIn } from './found.ts'
import { openClosed, type Place, T } from './place.ts'

const options = { urlFrom: 'TEST_WAREHOUSE', table: 'windows' }

describe.skipIf(!postgresPrograms)('a real PostgreSQL', () => {
  let server: TestPostgres
  let sql: SQL
  let it: Place
  let environment: Record<string, string>
  beforeAll(async () => {
    server = await startPostgres()
    environment = { TEST_WAREHOUSE: server.url }
  })
  afterAll(() => server.end())
  beforeEach(async () => {
    it = await openClosed('postgres')
    sql = new SQL({ url: server.url, max: 1 })
  })
  afterEach(async () => {
    await sql.unsafe('drop table if exists windows, millrace_positions')
    await sql.close({ timeout: 0 })
    await it.end()
  })

  interface Row {
    window_start: Date
    window_end: Date
    group_key: string
    who: string
    total: string
    events: string
  }
  const rows = async () =>
    (await sql.unsafe('select * from windows order by window_start, group_key')) as Row[]
  const caughtUp = (sink: Sink, windows: number) =>
    until('it to catch up', async () => {
      const [report] = await readSinks(it.store, it.keys, { sinks: [sink] }, Date.now())
      return report!.windows >= windows && report!.lagWindows === 0
    })
  /** The table as the closed stream has it. */
  const expectSame = async () => expect(await tableIn(sql)).toEqual(await it.expected())

  test('has each row once, with its position', async () => {
    const sink = postgres(options)
    await it.close(3)
    const { end } = it.deliver(sink, { environment })
    await caughtUp(sink, 3)
    await expectSame()
    const [row] = await rows()
    expect(row!.window_end.getTime() - row!.window_start.getTime()).toBe(10_000)
    // The text has no NUL, which PostgreSQL does not know; the key does.
    expect(row!.who).toBe('0 "é"\ufffd\'')
    await it.close(2, 700)
    await caughtUp(sink, 5)
    await expectSame()
    await end()
    const [place] = (await sql.unsafe('select * from millrace_positions')) as { position: string }[]
    expect(place!.position).toBe((await it.store.redis.hget(it.keys.taken, 'postgres'))!)
  })

  test('goes by its own position, not by Redis’s', async () => {
    const sink = postgres(options)
    await it.close(3)
    const { end } = it.deliver(sink, { environment })
    await caughtUp(sink, 3)
    await end()
    await it.store.redis.del(it.keys.taken)
    await sql.unsafe('delete from windows')
    it.deliver(sink, { environment })
    await it.close(1)
    await caughtUp(sink, 4)
    const starts = (await rows()).map((row) => row.window_start.getTime())
    expect(new Set(starts)).toEqual(new Set([T + 30_000]))
  })

  const rowOf = (who: string, total: number, start = T, end = T + 10_000) => ({
    start,
    end,
    group: JSON.stringify([who]),
    key: { who },
    values: { total, events: 1 },
  })

  /*    T    2    4    6    8   10   12
   *    a════════)                        closed with the first closing, up to T + 5
   *    a══════════════════════════)      begins as early: a record came for it that was not late
   *         b═════════════════════════)
   */
  test('sessions of a group that begin together are two rows, and a closing takes the place of what it was', async () => {
    const job = { ...it.job, gapMs: 2_000 }
    const sink = postgres(options)
    const context = { job, environment, store: it.store, clock: null!, log: null!, kept: null }
    const never = new AbortController().signal
    const closing = (
      number: number,
      from: number,
      to: number,
      ...rows: ReturnType<typeof rowOf>[]
    ) => ({
      start: T + from * 1_000,
      end: T + to * 1_000,
      number,
      position: `${number}-0/${number}/${T + to * 1_000}`,
      rows,
    })
    const first = closing(1, -1, 5, rowOf('a', 1, T, T + 4_000))
    const second = closing(
      2,
      5,
      14,
      rowOf('a', 2, T, T + 11_000),
      rowOf('b', 3, T + 2_000, T + 12_000),
    )
    const connection = await sink.open(context)
    await connection.write(
      { expected: null, position: second.position, windows: [first, second] },
      never,
    )
    const totals = async () => (await rows()).map(({ who, total }) => `${who}${total}`).sort()
    expect(await totals()).toEqual(['a1', 'a2', 'b3'])
    // Redis was taken back to T + 5, and has closed up to T + 11 only.
    const again = closing(2, 5, 11, rowOf('a', 7, T + 1_000, T + 11_000))
    const { position } = again
    await connection.write({ expected: second.position, position, windows: [again] }, never)
    expect(await totals()).toEqual(['a1', 'a7', 'b3'])
    const rest = closing(3, 11, 20, rowOf('c', 9, T + 2_000, T + 14_000))
    await connection.write({ expected: position, position: rest.position, windows: [rest] }, never)
    expect(await totals()).toEqual(['a1', 'a7', 'c9'])
    await connection.close()
  })

  test('a writer that is behind is refused by the position, and changes nothing', async () => {
    const sink = postgres(options)
    const { job, store } = it
    const context = { job, environment, store, clock: null!, log: null!, kept: null }
    const [zombie, successor] = [await sink.open(context), await sink.open(context)]
    expect([await zombie.position!(), await successor.position!()]).toEqual([null, null])
    const window = (loc: number) => ({
      start: T,
      end: T + 10_000,
      number: 1,
      position: `1-${loc}/1/${T}`,
      rows: [rowOf('a', loc)],
    })
    const batch = (loc: number) => ({
      expected: null,
      position: window(loc).position,
      windows: [window(loc)],
    })
    const never = new AbortController().signal
    await successor.write(batch(1), never)
    expect(await zombie.write(batch(2), never).catch((error: Error) => error.name)).toBe(
      'SinkFenced',
    )
    expect((await rows()).map(({ total }) => total)).toEqual(['1'])
    // A window that comes again is what it was last, with nothing of what it had been.
    const again = {
      ...window(3),
      rows: [rowOf('b', 3)],
    }
    await successor.write(
      { expected: batch(1).position, position: '3-0/1/0', windows: [again] },
      never,
    )
    expect((await rows()).map(({ who, total }) => [who, total])).toEqual([['b', '3']])
    await zombie.close()
    await successor.close()
  })

  test('has the newest telling of each window, and which it is', async () => {
    const sink = postgres({ ...options, updates: true })
    const { store } = it
    // A table that the job has written to when it told each window once.
    const once = await sink.open({ ...context(it.job), environment, store })
    await once.close()
    const job = { ...it.job, allowedLatenessMs: 60_000, updatesMs: 5_000 }
    const connection = await sink.open({ ...context(job), environment, store })
    const told = (revision: number, isOpen: boolean, isFinal: boolean) => ({
      start: T,
      end: T + 10_000,
      number: 1,
      position: `${revision + 1}-0/1/${T}`,
      revision: { revision, isOpen, isFinal },
      rows: [
        {
          start: T,
          end: T + 10_000,
          group: '["a"]',
          key: { who: 'a' },
          values: { total: revision, events: 1 },
        },
      ],
    })
    const never = new AbortController().signal
    const found = async () =>
      (await sql.unsafe('select state, revision, final, total from windows')) as unknown[]
    const [first, second] = [told(0, true, false), told(1, false, false)]
    await connection.write({ expected: null, position: first.position, windows: [first] }, never)
    expect(await found()).toEqual([{ state: 'open', revision: '0', final: false, total: '0' }])
    const last = told(2, false, true)
    const batch = { expected: first.position, position: last.position, windows: [second, last] }
    await connection.write(batch, never)
    expect(await found()).toEqual([{ state: 'closed', revision: '2', final: true, total: '2' }])
    await connection.close()
  })

  const context = (job: SinkContext['job']) => ({ job, clock: null!, log: null!, kept: null })

  test('a group that is named as one of its columns is told', () => {
    const job = { ...it.job, groups: [{ name: 'revision', of: () => 'a' }] }
    const address = (more: object) => postgres(options).address({ ...job, ...more }, environment)
    expect(() => address({ allowedLatenessMs: 1 })).toThrow('"revision" can\'t be a column')
    expect(address({})).toContain('table windows')
  })

  test('has a column for what each aggregate says', async () => {
    const job = defineJob({
      name: 'kinds',
      topic: 'records',
      window: { size: '10 s' },
      schema: v.object({ at: v.number(), who: v.string(), loc: v.number() }),
      eventTime: ({ at }) => at,
      groupBy: ['who'],
      aggregates: {
        events: count(),
        whos: distinct('who'),
        latest: last('who'),
        most: max('loc'),
        spread: quantiles('loc', [0.5]),
        often: topK('who', 2),
      },
    })
    const sink = postgres(options)
    const connection = await sink.open({
      job,
      environment,
      store: it.store,
      clock: null!,
      log: null!,
      kept: null,
    })
    const values = {
      events: 2 ** 40,
      whos: 3,
      latest: 'a\0b',
      most: -0.1,
      spread: { p50: 1.5 },
      often: [{ value: 'x\0y', count: 2, error: 0 }],
    }
    const rows = [{ start: T, end: T + 10_000, group: '[null]', key: { who: null }, values }]
    const window = { start: T, end: T + 10_000, number: 1, position: '1-0/1/0', rows }
    const batch = { expected: null, position: window.position, windows: [window] }
    await connection.write(batch, new AbortController().signal)
    await connection.close()
    const [found] = (await sql.unsafe('select * from windows')) as object[]
    expect(found).toMatchObject({
      who: null,
      events: String(2 ** 40),
      whos: '3',
      latest: 'a\ufffdb',
      most: -0.1,
      spread: { p50: 1.5 },
      often: [{ value: 'x\ufffdy', count: 2, error: 0 }],
    })
  })

  test('what a constraint refuses is told, in the database’s words', async () => {
    const sink = postgres(options)
    await it.close(1)
    const { delivery } = it.deliver(sink, { environment })
    await caughtUp(sink, 1)
    await sql.unsafe('alter table windows add constraint few check (events < 1) not valid')
    await it.close(1)
    await until('a complaint', () => delivery.complaint)
    expect(delivery.complaint).toContain('violates check constraint "few"')
    expect(delivery.complaint).not.toContain('postgres@')
    await sql.unsafe('alter table windows drop constraint few')
    await caughtUp(sink, 2)
    await expectSame()
  })

  test('a table is one sink’s alone', async () => {
    await it.close(1)
    const first = postgres(options)
    it.deliver(first, { environment })
    await caughtUp(first, 1)
    const { delivery } = it.deliver(postgres({ ...options, name: 'other' }), { environment })
    await until('a complaint', () => delivery.complaint)
    expect(delivery.complaint).toContain('table windows belongs to sink postgres of job')
  })

  test('while it is down that is told, and it goes on when it is back', async () => {
    const sink = postgres(options)
    await it.close(2)
    const { delivery } = it.deliver(sink, { environment })
    await caughtUp(sink, 2)
    await sql.close({ timeout: 0 })
    await server.server.stop('SIGINT')
    await it.close(2)
    await until('a complaint', () => delivery.complaint)
    expect(delivery.complaint).toMatch(
      /^sink postgres: at 127.0.0.1:\d+\/postgres, table windows is down/,
    )
    await server.server.start()
    sql = new SQL({ url: server.url, max: 1 })
    await caughtUp(sink, 4)
    await expectSame()
    expect(delivery.complaint).toBeNull()
  })
})

describe('what is declared wrong is told in one line', () => {
  const job = { name: 'j', topic: 't', topics: null, groups: [], aggregates: [], gapMs: null }

  test('an address in place of a name is not told', () => {
    const secret = 'postgres://u:hunter2@h/d'
    expect(() => postgres({ ...options, urlFrom: secret })).toThrow(
      'sink postgres: urlFrom must be the name of a variable',
    )
    expect(() =>
      postgres(options).address(job, { TEST_WAREHOUSE: 'mysql://u:hunter2@h/d' }),
    ).toThrow('sink postgres: TEST_WAREHOUSE must be postgres://user:password@host:port/database')
    expect(() => postgres(options).address(job, {})).toThrow(
      'sink postgres: the environment must have TEST_WAREHOUSE, postgres://',
    )
    expect(postgres(options).address(job, { TEST_WAREHOUSE: secret })).toBe(
      'h:5432/d, table windows',
    )
  })

  test('names of tables and columns', () => {
    expect(() => postgres({ ...options, table: 'a"; drop table b' })).toThrow(
      'table must be a name',
    )
    const twice = { ...job, groups: [{ name: 'group_key', of: () => 1 }] }
    const environment = { TEST_WAREHOUSE: 'postgres://u@h/d' }
    expect(() => postgres(options).address(twice, environment)).toThrow(
      `"group_key" can't be a column`,
    )
  })
})
