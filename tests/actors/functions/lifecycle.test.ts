import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GROUP } from '../../../actors/keys.ts'
import { Shard } from '../../support/shard.ts'
import { until } from '../../../faults/until.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('lifecycle')
})
afterEach(() => it.end())

describe('a lease', () => {
  const lead = (holder: string, ms = 60_000) => it.call('lead', 'leader', holder, ms)

  test('belongs to who asked first, and is renewed by it alone', async () => {
    expect(await lead('a', 30_000)).toBe('a')
    expect(await lead('b')).toBe('a')
    expect(await it.redis.pttl(it.keys.leader)).toBeLessThanOrEqual(30_000)
    expect(await lead('a')).toBe('a')
    expect(await it.redis.pttl(it.keys.leader)).toBeGreaterThan(30_000)
  })

  test('is given back by its holder only', async () => {
    await lead('a')
    expect(await it.call('resign', 'leader', 'b')).toBe(0)
    expect(await lead('b')).toBe('a')
    expect(await it.call('resign', 'leader', 'a')).toBe(1)
    expect(await it.call('resign', 'leader', 'a')).toBe(0)
    expect(await lead('b')).toBe('b')
  })

  test('runs out', async () => {
    await lead('a', 1)
    await until('the lease to run out', async () => (await lead('b')) === 'b')
  })

  test('of another name is another one', async () => {
    await lead('a')
    expect(await it.call('lead', 'bridge', 'b', 60_000)).toBe('b')
  })
})

describe('an end', () => {
  const actor = (id: string) => ({
    id,
    kind: 'executor',
    pid: 1,
    host: 'h',
    state: 'stopped',
    startedAt: 1,
    at: 2,
    stoppedAt: 2,
    reason: 'because',
    rssBytes: 3,
  })

  test('in order takes lease, mailbox and, with nothing in hand, the name in the group', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 1 }])
    await it.beat('e1')
    await it.redis.xadd(it.keys.mailbox('e1'), '*', 'm', '{}')
    const [entry] = await it.read('e1')
    await it.commit({ slices: [{ entry: entry! }] })
    await it.call('leave', 'e1', JSON.stringify(actor('e1')))
    expect(await it.redis.exists(it.keys.mailbox('e1'), it.keys.left, it.keys.leases)).toBe(0)
    expect(await it.redis.xinfo('CONSUMERS', it.keys.entries, GROUP)).toEqual([])
    expect((await it.measure()).actors).toMatchObject([
      { id: 'e1', state: 'stopped', alive: false },
    ])
  })

  test('before there was any entry is no error, for who leaves and who is buried', async () => {
    await it.beat('e1')
    expect(await it.call('leave', 'e1', '{}')).toBe(1)
    expect(await it.call('leave', 'e1', '{}')).toBe(1)
    expect(await it.call('bury', 'e2', '{}')).toBe(1)
  })

  test('that somebody else saw frees the entries at once, and they count as orphaned', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 1 }])
    await it.beat('e1')
    await it.read('e1')
    expect(await it.measure()).toMatchObject({ entries: 1, pending: 1, orphaned: 0 })
    expect((await it.measure()).pendingOf.get('e1')).toBe(1)
    await it.call('bury', 'e1', JSON.stringify(actor('e1')))
    expect(await it.measure()).toMatchObject({ entries: 1, pending: 1, orphaned: 1 })
  })
})

describe('a snapshot', () => {
  test('of a job that never ran is empty', async () => {
    expect(await it.measure()).toMatchObject({
      entries: 0,
      pending: 0,
      orphaned: 0,
      partitions: [],
      watermark: null,
      closedTo: null,
      control: {},
      actors: [],
      leader: '',
      totals: {
        appended: 0,
        busyUs: 0,
      },
    })
  })

  test('has each partition, actor, total and the clock', async () => {
    await it.register(5, 0)
    await it.append(1, 0, [{ from: 0, to: 3 }], { high: 8 })
    const [entry] = await it.read('e1')
    await it.commit({ slices: [{ entry: entry!, max: 12_345 }], panes: { 10000: { a: [3] } } })
    await it.closeTo(10_000)
    await it.redis.hset(it.keys.control, 'max', '2')
    await it.call('lead', 'leader', 's1', 60_000)
    await it.redis.hset(it.keys.actors, 'newer', '{"kind":"oracle"}')
    const snapshot = await it.measure()
    expect(snapshot.partitions).toMatchObject([
      { partition: 0, start: 5, next: 5, frontier: 5, high: 5, maxEventTime: null },
      { partition: 1, start: 0, next: 3, frontier: 3, high: 8, maxEventTime: 12_345 },
    ])
    expect(snapshot).toMatchObject({
      watermark: 10_000,
      closedTo: 10_000,
      control: { max: '2' },
      leader: 's1',
      actors: [],
    })
    expect(Math.abs(snapshot.at - snapshot.partitions[1]!.dataAt)).toBeLessThan(60_000)
  })
})
