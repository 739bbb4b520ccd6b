/**
 * The verification against a real topic and a state that was made by hand: right, then spoiled in
 * one way at a time. Each must be found, and named.
 *
 *   window     [0, 10)          [10, 20)      closed to 10 s
 *   group a    1.5 + 2 = 3.5    4
 *   group b    0.000001         -
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readConfig } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { type Report, verify } from '../../verify/verify.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { jobOn } from './job.ts'
import { cells, closeWindow, groupKey, type MadeState, writeState } from './state.ts'

const records = [
  { t: 1_000, g: 'a', x: 1.5 },
  { t: 2_000, g: 'a', x: 2 },
  { t: 9_999, g: 'b', x: 0.000001 },
  { t: 10_000, g: 'a', x: 4 },
]
const right: MadeState = {
  partitions: [
    [0, 3],
    [0, 3],
  ],
  counted: 4,
  rejected: 1,
  late: 1,
  closedTo: 10_000,
  closed: [
    {
      start: 0,
      rows: [
        { group: 'a', events: 2, total: 3_500_000 },
        { group: 'b', events: 1, total: 1 },
      ],
    },
  ],
  open: [{ start: 10_000, rows: [{ group: 'a', events: 1, total: 4_000_000 }] }],
  verdicts: [{ p: 1, reason: 'late', closedTo: 10_000, offsets: '2' }],
}

let topic: TestTopic
let store: Store
let job: Job
let keys: Keys

beforeAll(async () => {
  const { environment, kafkaBrokers } = await testServices()
  store = openStore(readConfig(environment), createLog('tests', 'error'))
  await untilReady(store)
  topic = await createTopic('verify', { partitions: 2, kafkaBrokers })
  await topic.produce(records.map((record) => JSON.stringify(record)))
  await topic.produce([
    { value: 'not JSON', partition: 0 },
    { value: JSON.stringify({ t: 3_000, g: 'late', x: 1 }), partition: 1 },
  ])
})
afterAll(async () => {
  await topic.delete()
  await store.close()
})

beforeEach(() => {
  job = jobOn('verify', topic.name)
  keys = keysOf(job.name)
})

/** Verifies the state; its keys go again. */
async function check(state: MadeState = right, spoil?: () => Promise<unknown>): Promise<Report> {
  await writeState(store, keys, job, state)
  await spoil?.()
  const kafka = kafkaClient({ KAFKA_BROKERS: topic.kafkaBrokers.split(',') }, 'tests')
  try {
    return await verify({ job, kafka, store, keys })
  } finally {
    await store.redis.unlink(...Object.values(keys).filter((key) => typeof key === 'string'))
    await store.redis.unlink(keys.pane(0), keys.pane(10_000))
  }
}

const failed = (report: Report) => ({
  lost: report.lost,
  duplicated: report.duplicated,
  wrong: report.wrong,
  named: report.differences.named,
})

describe('a right state', () => {
  test('passes, with every row compared', async () => {
    const report = await check()
    expect(failed(report)).toEqual({ lost: 0, duplicated: 0, wrong: 0, named: [] })
    expect(report).toMatchObject({ ok: true, records: 6, unaccounted: 0, notes: [] })
    expect(report.windows).toEqual({ closed: 1, open: 1, rows: 3, trimmed: 0 })
  })

  test('passes where processing began in the middle and has gone beyond its finished prefix', async () => {
    const state: MadeState = {
      ...right,
      // Partition 0: the second record is not committed yet, the third is.
      partitions: [
        [0, 1],
        [1, 3],
      ],
      finished: [[0, 2, 3]],
      counted: 2,
      closed: [{ start: 0, rows: [{ group: 'a', events: 1, total: 1_500_000 }] }],
      open: [{ start: 10_000, rows: [{ group: 'a', events: 1, total: 4_000_000 }] }],
    }
    const report = await check(state)
    expect(failed(report)).toEqual({ lost: 0, duplicated: 0, wrong: 0, named: [] })
    expect(report.records).toBe(4)
    expect(report.notes).toEqual([
      'up to 2 records that Kafka held were not processed when this began, and are not in it; --wait SECONDS waits for them',
    ])
  })
})

describe('found: ', () => {
  test('a missing row of a closed window', async () => {
    const closed = [{ start: 0, rows: right.closed[0]!.rows.slice(1) }]
    const report = await check({ ...right, closed })
    expect(failed(report)).toEqual({
      lost: 2,
      duplicated: 0,
      wrong: 0,
      named: ['C3 lost: window 1970-01-01T00:00:00.000Z g="a": the row is missing, 2 records'],
    })
  })

  test('a missing window', async () => {
    expect(failed(await check({ ...right, closed: [] }))).toMatchObject({ lost: 3, duplicated: 0 })
  })

  test('a row that should not be there', async () => {
    const rows = [...right.closed[0]!.rows, { group: 'c', events: 5, total: 0 }]
    const report = await check({ ...right, closed: [{ start: 0, rows }] })
    expect(failed(report)).toMatchObject({ lost: 0, duplicated: 5 })
    expect(failed(report).named[0]).toContain('g="c": the row should not be there')
  })

  test('a record that counts twice', async () => {
    const row = { group: 'a', events: 2, total: 8_000_000 }
    const report = await check(right, () =>
      store.redis.hset(keys.pane(10_000), groupKey(row), cells(row)),
    )
    expect(failed(report)).toMatchObject({ lost: 0, duplicated: 1, wrong: 0 })
    expect(failed(report).named[0]).toContain('events is 2, should be 1; total is 8, should be 4')
  })

  test('a record too few', async () => {
    const rows = [{ group: 'a', events: 1, total: 1_500_000 }, right.closed[0]!.rows[1]!]
    const report = await check({ ...right, closed: [{ start: 0, rows }] })
    expect(failed(report)).toMatchObject({ lost: 1, duplicated: 0, wrong: 0 })
  })

  test('a difference in the last digit', async () => {
    const rows = [{ group: 'a', events: 2, total: 3_500_001 }, right.closed[0]!.rows[1]!]
    const report = await check({ ...right, closed: [{ start: 0, rows }] })
    expect(failed(report)).toMatchObject({ lost: 0, duplicated: 0, wrong: 1 })
    expect(failed(report).named[0]).toContain('total is 3.500001, should be 3.5')
    expect(failed(report).named[0]).toContain('mean is 1.750001, should be 1.75')
  })

  test('a window that was closed twice', async () => {
    const report = await check(right, () => closeWindow(store, keys, job, right.closed[0]!))
    expect(report.ok).toBe(false)
    expect(failed(report).named.join()).toContain('was closed twice')
  })

  test('a window that is closed before its time', async () => {
    const report = await check(right, () => closeWindow(store, keys, job, right.open[0]!))
    expect(failed(report).named.join()).toContain('closed before its time')
  })

  test('a record that no counter knows', async () => {
    const report = await check(right, () => store.redis.hincrby(keys.totals, 'counted', -1))
    expect(failed(report).named).toContain('C1 wrong: counted: the pipeline says 3, the topic 4')
    expect(report.unaccounted).toBe(1)
  })

  test('records that were committed twice, by the counters', async () => {
    const report = await check({ ...right, counted: 6 })
    expect(failed(report)).toMatchObject({ lost: 0, duplicated: 2 })
    expect(failed(report).named).toContain('C1 duplicated: 6 records in the topic, 8 committed')
  })

  test('another record than the topic has, where the number is right', async () => {
    const state: MadeState = { ...right, finished: [[0, 3, 4]] }
    const report = await check(state, () => store.redis.del(keys.finished))
    expect(failed(report)).toMatchObject({ lost: 0, duplicated: 0, wrong: 1 })
    expect(failed(report).named[0]).toStartWith('C2 wrong: 6 records are applied, but not those')
  })

  test('a late verdict that can not be right', async () => {
    const verdicts = [{ p: 1, reason: 'late', closedTo: 9_999, offsets: '2' }]
    const report = await check({ ...right, verdicts })
    expect(failed(report).named[0]).toContain('record 1/2 of 1970-01-01T00:00:03.000Z was called')
  })

  test('the same offsets committed twice', async () => {
    const twice = check(right, () => store.redis.hset(keys.finished, '0:2', '5|'))
    expect((await rejection(twice)).message).toContain('they overlap')
  })

  test('a topic that is shorter than what was processed', async () => {
    const partitions: MadeState['partitions'] = [
      [0, 3],
      [0, 4],
    ]
    const { message } = await rejection(check({ ...right, partitions }))
    expect(message).toContain('this is another topic')
  })
})

describe('said, and not taken for a difference', () => {
  test('closed windows that the bounded stream has lost', async () => {
    const trim = async () => {
      await closeWindow(store, keys, job, { start: 10_000, rows: right.open[0]!.rows })
      await store.redis.del(keys.pane(10_000), keys.panes)
      await store.redis.hset(keys.clock, 'closedTo', 20_000)
      // What closes later pushes the first out; the stream's oldest window may lack rows then.
      await store.redis.xtrim(keys.closed, 'MAXLEN', 1)
    }
    const report = await check(right, trim)
    expect(report).toMatchObject({ ok: true, windows: { closed: 0, trimmed: 2 } })
    expect(report.notes[0]).toContain('2 closed windows not compared: older than what is kept')
  })

  test('verdicts that are not kept any more', async () => {
    const report = await check(right, () => store.redis.xtrim(keys.verdicts, 'MAXLEN', 0))
    expect(report.notes[0]).toContain('the oldest verdicts')
    expect(report.ok).toBe(false)
  })
})
