/**
 * An audit in rounds, over a real topic and a state that is made by hand and goes on from round to
 * round: two partitions, windows of 10 s that tumble (in one test, slide).
 *
 *   committed    p0: a 1.5, b 0.000001   p1: a 2     then p0: not JSON   p1: a 4 at 10 s, late
 *   window       [0, 10) open                        [0, 10) closed, [10, 20) open
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import { messageOf } from '../../actors/errors.ts'
import { readConfig } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { Audit } from '../../verify/audit.ts'
import { testServices } from '../support/services.ts'
import { jobOn } from './job.ts'
import { closeWindow, type MadeState, writeState } from './state.ts'

const first: MadeState = {
  partitions: [
    [0, 2],
    [0, 1],
  ],
  counted: 3,
  closedTo: 0,
  closed: [],
  open: [],
}
const window = {
  start: 0,
  rows: [
    { group: 'a', events: 2, total: 3_500_000 },
    { group: 'b', events: 1, total: 1 },
  ],
}
const second: MadeState = {
  partitions: [
    [0, 3],
    [0, 3],
  ],
  counted: 4,
  rejected: 1,
  late: 1,
  closedTo: 10_000,
  closed: [window],
  open: [],
  verdicts: [{ p: 1, reason: 'late', closedTo: 10_000, offsets: '2' }],
}
const clean = { lost: 0, duplicated: 0, wrong: 0, unaccounted: 0, named: [] }

let topic: TestTopic
let store: Store
let job: Job
let keys: Keys
let audit: Audit

const record = (t: number, g: string, x: number) => JSON.stringify({ t, g, x })

beforeAll(async () => {
  const { environment, kafkaBrokers } = await testServices()
  store = openStore(readConfig(environment), createLog('tests', 'error'))
  await untilReady(store)
  topic = await createTopic('audit', { partitions: 2, kafkaBrokers })
  await topic.produce([
    { value: record(1_000, 'a', 1.5), partition: 0 },
    { value: record(9_999, 'b', 0.000001), partition: 0 },
    { value: 'not JSON', partition: 0 },
    { value: record(2_000, 'a', 2), partition: 1 },
    { value: record(10_000, 'a', 4), partition: 1 },
    { value: record(3_000, 'late', 1), partition: 1 },
  ])
})
afterAll(async () => {
  await topic.delete()
  await store.close()
})

beforeEach(() => {
  job = jobOn('audit', topic.name)
  keys = keysOf(job.name)
  audit = open()
})
afterEach(async () => {
  await audit.close()
  await store.redis.unlink(...Object.values(keys).filter((key) => typeof key === 'string'))
})

function open(options: ConstructorParameters<typeof Audit>[1] = {}): Audit {
  const kafka = kafkaClient({ KAFKA_BROKERS: topic.kafkaBrokers.split(',') }, 'tests')
  return new Audit({ job, kafka, store, keys }, options)
}
const become = (state: MadeState) => writeState(store, keys, job, state)

test('goes along with what is committed and closed', async () => {
  expect(await audit.round()).toMatchObject({ ...clean, records: 0, windows: 0, behind: 6 })
  await become(first)
  expect(await audit.round()).toMatchObject({ ...clean, records: 3, windows: 0, behind: 3 })
  expect(await audit.round()).toMatchObject({ ...clean, records: 3 })
  await become(second)
  expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 1, behind: 0 })
  expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 1, notes: [] })
})

test('does not miss a compared window for the pane that it shares with a later one', async () => {
  job = jobOn('audit', topic.name, '5 s')
  keys = keysOf(job.name)
  await audit.close()
  audit = open()
  const before = { start: -5_000, rows: window.rows.slice(0, 1) }
  await become({ ...first, closedTo: 10_000, closed: [before, window] })
  expect(await audit.round()).toMatchObject({ ...clean, records: 3, windows: 2 })
  expect(await audit.round()).toMatchObject({ ...clean, records: 3, windows: 2 })
})

test('finds a row that is wrong in a window that has closed since, and keeps it', async () => {
  await become(first)
  await audit.round()
  await become({ ...second, closed: [{ start: 0, rows: window.rows.slice(0, 1) }] })
  expect(await audit.round()).toMatchObject({ lost: 1, duplicated: 0, wrong: 0 })
  expect((await audit.round()).named.join()).toContain('C3 lost: window 1970-01-01')
})

test('finds a window that never closed, and one that closes again', async () => {
  await become({ ...second, closed: [] })
  expect(await audit.round()).toMatchObject({ lost: 3, windows: 1 })
  await audit.close()
  audit = open()
  await become({ ...second, verdicts: [] })
  expect(await audit.round()).toMatchObject(clean)
  await closeWindow(store, keys, job, window)
  expect((await audit.round()).named).toEqual([
    'C5 wrong: the window that ends at 10000 was closed twice',
  ])
})

test('finds a record that counted in a window after that was compared', async () => {
  await become({
    ...second,
    partitions: [
      [0, 3],
      [0, 2],
    ],
    late: 0,
    verdicts: [],
  })
  expect(await audit.round()).toMatchObject(clean)
  // Without the verdict it is said to have counted in [0, 10), which lacks it.
  await become({ ...second, counted: 5, late: 0, closed: [], verdicts: [] })
  const { wrong, named } = await audit.round()
  expect(wrong).toBeGreaterThan(0)
  expect(named.join()).toContain('record 1/2 counted in a window that was closed')
})

test('finds another record than the topic has, and a counter that went back', async () => {
  await become(first)
  await audit.round()
  await store.redis.hincrby(keys.totals, 'hash', 1)
  expect((await audit.round()).named.join()).toContain('C2 wrong: 3 records are applied, but not')
  await become(first)
  await store.redis.hincrby(keys.clock, 'closedTo', -1_000)
  expect((await audit.round()).named.join()).toContain('closedTo went from 0 back to -1000')
})

test('begins again where Redis was taken back', async () => {
  await become(second)
  expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 1 })
  await store.redis.del(keys.closed, keys.verdicts, keys.totals)
  await become(first)
  const back = await audit.round()
  expect(back).toMatchObject({ ...clean, records: 3, windows: 0 })
  expect(back.notes).toEqual(['Redis was taken back to an earlier state: the audit begins again'])
  await become(second)
  expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 1, notes: [] })
})

test('from now on it leaves out what was before, and windows that hold some of it', async () => {
  await become({ ...first, open: [{ start: 0, rows: [{ group: 'a', events: 2, total: 0 }] }] })
  audit = open({ fromNow: true })
  expect(await audit.round()).toMatchObject({ ...clean, records: 0 })
  await become(second)
  expect(await audit.round()).toMatchObject({ ...clean, records: 3, windows: 0 })
  const next = { start: 10_000, rows: [{ group: 'a', events: 2, total: 4_000_000 }] }
  await become({ ...second, verdicts: [], closed: [next], closedTo: 20_000 })
  // One record of 4 came since; the window says two.
  expect(await audit.round()).toMatchObject({ lost: 0, duplicated: 1, windows: 1 })
})

test('a round that fails has lost nothing', async () => {
  await become(first)
  await become({ ...second, closed: [], closedTo: 0 })
  // Now and then everything is there within the millisecond, and nothing stalls.
  const failure = await until('a round that fails', async () => {
    const broken = open({ stallMs: 1 })
    const failed = await broken.round().then(
      () => null,
      (error: unknown) => error,
    )
    await broken.close()
    return failed
  })
  expect(messageOf(failure)).toContain('no record came')
  // What it read meanwhile is known, and the rest comes with the next rounds.
  expect(await audit.round()).toMatchObject({ ...clean, records: 6 })
})

/*   watermark 10 s    [0, 10) told as 0      a late record, not told yet
 *   watermark 70 s    [0, 10) told as 1, and final with that
 */
test('compares a window that late records change when it is final, as it was told last', async () => {
  job = { ...jobOn('audit', topic.name), allowedLatenessMs: 60_000 }
  keys = keysOf(job.name)
  await audit.close()
  audit = open()
  const late = { group: 'late', events: 1, total: 1_000_000 }
  const telling = (revision: number, rows: MadeState['closed'][0]['rows'], finalTo: number) => {
    const told = { revision, open: 0, final: 0, closedTo: 10_000, finalTo } as const
    return closeWindow(store, keys, job, { start: 0, rows, told })
  }
  await become({ ...second, counted: 5, late: 0, closed: [], verdicts: [] })
  await store.redis.hset(keys.clock, 'finalTo', -50_000)
  await telling(0, window.rows, -50_000)
  await store.redis.sadd(keys.changed, 0)
  expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 0 })
  const whole = [...window.rows, late]
  await telling(1, whole, -50_000)
  await store.redis.del(keys.changed)
  expect(await audit.round()).toMatchObject({ ...clean, windows: 0 })
  await store.redis.hset(keys.clock, 'finalTo', 10_000)
  expect(await audit.round()).toMatchObject({ ...clean, windows: 1 })
  await telling(2, whole, 10_000)
  expect((await audit.round()).named).toEqual([
    'C5 wrong: the window that ends at 10000 was told again after it was final',
  ])
  await audit.close()
  audit = open()
  await store.redis.del(keys.closed)
  await telling(0, window.rows, -50_000)
  expect(await audit.round()).toMatchObject({ lost: 1, windows: 1 })
})
