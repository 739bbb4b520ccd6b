/**
 * The verification and the audit of a job of two shards, made by hand over a real topic: right, then
 * spoiled in one of the shards, or where they are joined.
 *
 *                  shard 0 (partition 0)   shard 1 (partition 1)    joined
 *   [0, 10)        a 1.5, b 0.000001       a 2                      a 3.5, b 0.000001
 *   [10, 20) open  a 3                     a 4; late: 3 s
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { Audit } from '../../verify/audit.ts'
import { HeldAudit } from '../../verify/held-audit.ts'
import { type Report, verify } from '../../verify/verify.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'
import { jobOn } from './job.ts'
import { cells, closeWindow, groupKey, type MadeState, writeState } from './state.ts'

const row = (group: string, events: number, total: number) => ({ group, events, total })
const first: MadeState = {
  partitions: [[0, 3]],
  counted: 3,
  closedTo: 10_000,
  closed: [],
  open: [{ start: 10_000, rows: [row('a', 1, 3_000_000)] }],
}
const second: MadeState = {
  partitions: [[0, 3]],
  first: 1,
  counted: 2,
  late: 1,
  closedTo: 10_000,
  closed: [],
  open: [{ start: 10_000, rows: [row('a', 1, 4_000_000)] }],
  verdicts: [{ p: 1, reason: 'late', closedTo: 10_000, offsets: '2' }],
}
const joined = [row('a', 2, 3_500_000), row('b', 1, 1)]
/** Before any of [10, 20) and of what is late was committed. */
const firstBefore: MadeState = { ...first, partitions: [[0, 2]], counted: 2, open: [] }
const secondBefore: MadeState = {
  ...second,
  partitions: [[0, 1]],
  counted: 1,
  late: 0,
  open: [],
  verdicts: [],
}

let topic: TestTopic
let store: Store
let job: Job
let keys: Keys
let one: Keys
let other: Keys

const record = (t: number, g: string, x: number) => JSON.stringify({ t, g, x })

beforeAll(async () => {
  const { environment, kafkaBrokers } = await testServices()
  store = openStore(readConfig(environment), createLog('tests', 'error'))
  await untilReady(store)
  topic = await createTopic('verify-shards', { partitions: 2, kafkaBrokers })
  await topic.produce([
    { value: record(1_000, 'a', 1.5), partition: 0 },
    { value: record(9_999, 'b', 0.000001), partition: 0 },
    { value: record(11_000, 'a', 3), partition: 0 },
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
  job = jobOn('verify-shards', topic.name)
  keys = keysOf(job.name, 2)
  ;[one, other] = keys.shards as [Keys, Keys]
})
afterEach(async () => {
  await store.redis.unlink(await store.redis.keys(`millrace:{${job.name}/*`))
})

async function become(ofOne = first, ofOther = second): Promise<void> {
  await writeState(store, one, job, ofOne)
  await writeState(store, other, job, ofOther)
}

async function join(closedTo: number, rows = joined): Promise<void> {
  await closeWindow(store, keys, job, { start: closedTo - 10_000, rows })
  await store.redis.hset(keys.clock, 'closedTo', closedTo)
}

const kafka = () => kafkaClient({ KAFKA_BROKERS: topic.kafkaBrokers.split(',') }, 'tests')
/** Nobody joins anything here, and so looking again needs no time. */
const clock = { ...systemClock, sleep: () => Promise.resolve() }
const check = () => verify({ job, kafka: kafka(), store, keys, clock })
const failed = ({ lost, duplicated, wrong, differences }: Report) =>
  [lost, duplicated, wrong, differences.named] as const

describe('a state of two shards', () => {
  beforeEach(() => become())

  test('passes, with every row compared', async () => {
    await join(10_000)
    const report = await check()
    expect(failed(report)).toEqual([0, 0, 0, []])
    expect(report).toMatchObject({ ok: true, records: 6, unaccounted: 0, notes: [] })
    expect(report.windows).toEqual({ closed: 1, open: 1, rows: 3, trimmed: 0 })
  })

  test('found: a record that the second shard has not counted', async () => {
    await join(10_000)
    for (const name of ['appended', 'committed', 'counted']) {
      await store.redis.hincrby(other.totals, name, -1)
    }
    expect(await check()).toMatchObject({ lost: 1, duplicated: 0, wrong: 1 })
  })

  test('found: another record than the topic has, by the sum of the shards’ hashes', async () => {
    await join(10_000)
    await store.redis.hincrby(other.totals, 'hash', 1)
    expect((await check()).differences.named.join()).toContain('C2 wrong: 6 records are applied')
  })

  test('found: a cell of a pane of the second shard', async () => {
    await join(10_000)
    const changed = row('a', 1, 5_000_000)
    await store.redis.hset(other.pane(10_000), groupKey(changed), cells(changed))
    const [lost, duplicated, wrong, named] = failed(await check())
    expect([lost, duplicated, wrong]).toEqual([0, 0, 1])
    expect(named[0]).toContain('g="a": total is 8, should be 7')
    await store.redis.hdel(other.pane(10_000), groupKey(changed))
    expect(await check()).toMatchObject({ lost: 1, duplicated: 0, wrong: 0 })
  })

  test('found: a row of the joined window', async () => {
    await join(10_000, [joined[0]!, row('b', 1, 2)])
    expect(await check()).toMatchObject({ lost: 0, duplicated: 0, wrong: 1 })
  })

  test('found: a part that the joined window lacks, and one that it has twice', async () => {
    await join(10_000, [row('a', 1, 1_500_000), joined[1]!])
    expect(await check()).toMatchObject({ lost: 1, duplicated: 0, wrong: 0 })
    await store.redis.del(keys.closed)
    await join(10_000, [row('a', 3, 5_500_000), joined[1]!])
    expect(await check()).toMatchObject({ lost: 0, duplicated: 1, wrong: 0 })
  })

  test('found: a window that was never joined', async () => {
    await store.redis.hset(keys.clock, 'closedTo', 10_000)
    expect(await check()).toMatchObject({ lost: 3, duplicated: 0, wrong: 0 })
  })

  test('found: a partition in the ledger of another shard', async () => {
    await store.redis.hset(one.ledger, { '1:start': 0, '1:next': 3, '1:frontier': 3 })
    expect((await rejection(check())).message).toBe(
      'partition 1 is in the ledger of shard 0, and belongs to shard 1',
    )
  })

  test('a window that is closed and not joined yet is not called lost', async () => {
    const report = await check()
    expect(failed(report)).toEqual([0, 0, 0, []])
    expect(report.windows).toMatchObject({ closed: 0, open: 0 })
    expect(report.notes.join()).toContain('the shards have not closed the same windows')
  })
})

/*   shard 1 was taken back to before it closed [0, 10): a 2 is to be committed again */
test('a joined window is not called wrong while a shard that was taken back lacks its records', async () => {
  await become(first, { ...secondBefore, partitions: [[0, 0]], counted: 0, closedTo: 0 })
  await join(10_000)
  const report = await check()
  expect(failed(report)).toEqual([0, 0, 0, []])
  expect(report.windows).toMatchObject({ closed: 0, open: 0 })
  await become()
  await store.redis.hset(other.clock, 'closedTo', 10_000)
  expect(await check()).toMatchObject({ ok: true, windows: { closed: 1, open: 1 } })
})

test('what was before a change of the code is left out, by the note of each shard', async () => {
  const judged = (code: string) =>
    Promise.all([one, other].map(({ base }) => store.call('judged', base, [code])))
  await become(firstBefore, secondBefore)
  await join(10_000)
  await judged('one')
  expect(await judged('two')).toEqual([1, 1])
  await become()
  const report = await check()
  expect(failed(report)).toEqual([0, 0, 0, []])
  expect(report.windows).toMatchObject({ closed: 0, open: 1, rows: 1 })
  expect(report.partitions).toMatchObject([
    { from: 2, to: 3, records: 1 },
    { from: 1, to: 3, records: 2 },
  ])
  expect(report.notes.join()).toContain('3 records before that (to offsets 0:2, 1:1)')
  await store.redis.hset(other.ledger, 'code', 'three')
  expect((await check()).notes.join()).toContain('is being changed just now')
})

async function verdict({ verdicts, shard }: Keys, id: string, offset: number): Promise<void> {
  const said = ['reason', 'late', 'closedTo', 10_000, 'offsets', offset]
  await store.redis.xadd(verdicts, id, 'p', shard, ...said)
}

describe('an audit', () => {
  const clean = { lost: 0, duplicated: 0, wrong: 0, unaccounted: 0, named: [] }
  let audit: Audit
  beforeEach(() => {
    audit = new Audit({ job, kafka: kafka(), store, keys })
  })
  afterEach(() => audit.close())

  test('goes along, and takes no shard’s ids for another’s', async () => {
    await become(firstBefore, secondBefore)
    await verdict(one, '9999999999999-0', 99)
    expect(await audit.round()).toMatchObject({ ...clean, records: 3, windows: 0, behind: 3 })
    await verdict(other, '5-0', 2)
    await become(first, { ...second, verdicts: [] })
    await join(10_000)
    expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 1, behind: 0 })
  })

  test('finds a part that a joined window lacks', async () => {
    await become()
    await join(10_000, [row('a', 1, 1_500_000), joined[1]!])
    expect(await audit.round()).toMatchObject({ lost: 1, duplicated: 0, windows: 1 })
  })

  test('begins again where one shard was taken back, and the other went on', async () => {
    await become(firstBefore, second)
    expect(await audit.round()).toMatchObject({ ...clean, records: 5 })
    await join(10_000)
    await store.redis.del(other.verdicts)
    await become(first, { ...secondBefore, closedTo: 0 })
    const back = await audit.round()
    expect(back).toMatchObject({ ...clean, records: 4, windows: 0 })
    expect(back.notes).toEqual(['Redis was taken back to an earlier state: the audit begins again'])
    await become()
    expect(await audit.round()).toMatchObject({ ...clean, records: 6, windows: 1, notes: [] })
  })

  test('says that verdicts of a shard are gone', async () => {
    await become()
    await join(10_000)
    await store.redis.xtrim(other.verdicts, 'MAXLEN', 0)
    expect((await audit.round()).notes.join()).toContain('the oldest verdicts are not kept')
  })

  test('from now on leaves out a window that only one of the shards has closed', async () => {
    const late = new Audit({ job, kafka: kafka(), store, keys }, { fromNow: true })
    await become(firstBefore, { ...secondBefore, partitions: [[0, 0]], counted: 0, closedTo: 0 })
    expect(await late.round()).toMatchObject({ ...clean, records: 0 })
    await become()
    await join(10_000)
    expect(await late.round()).toMatchObject({ ...clean, records: 4, windows: 0 })
    await late.close()
  })

  test('that began before its job goes by the number of shards that this has', async () => {
    const held = new HeldAudit({ job, kafka: kafka(), store }, { fromNow: true })
    try {
      expect(await held.round()).toMatchObject({ ...clean, records: 0, notes: [] })
      await store.redis.set(keys.count, 2)
      await become()
      await join(10_000)
      const round = await held.round()
      expect(round).toMatchObject({ ...clean, records: 6, windows: 1 })
      expect(round.notes).toEqual(['the job has 2 shards: the audit begins again'])
      expect(await held.round()).toMatchObject({ ...clean, records: 6, notes: [] })
    } finally {
      await held.close()
    }
  })
})
