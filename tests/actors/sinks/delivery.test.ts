import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { SinkRefusal } from '../../../actors/sinks/sink.ts'
import { until } from '../../../faults/until.ts'
import { memorySink, openClosed, type Place, T } from './place.ts'

let it: Place
beforeEach(async () => {
  it = await openClosed('delivery')
})
afterEach(() => it.end())

const starts = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => T + (from + i) * 10_000)

const report = async (...sinks: ReturnType<typeof memorySink>[]) =>
  (await readSinks(it.store, it.keys, { sinks }, Date.now()))[0]!

/** Its account with this state, which is written a moment after the complaint. */
const told = (sink: ReturnType<typeof memorySink>, state: 'down' | 'refused') =>
  until(`an account that is ${state}`, async () => {
    const account = await report(sink)
    return account.state === state && account
  })

test('takes whole windows in their order, from the first that there is', async () => {
  const sink = memorySink()
  await it.close(3)
  it.deliver(sink)
  await until('three', () => sink.starts.length === 3)
  await it.close(2, 600)
  await until('five', () => sink.starts.length === 5)
  expect(sink.starts).toEqual(starts(5))
  await until('the account', async () => (await report(sink)).windows === 5)
  expect(await report(sink)).toMatchObject({
    state: 'running',
    reason: null,
    rows: 3 * 3 + 2 * 600,
    lagWindows: 0,
    lost: 0,
    upTo: new Date(T + 50_000).toISOString(),
  })
})

test('goes on where the one before it was', async () => {
  const sink = memorySink()
  await it.close(2)
  const first = it.deliver(sink)
  await until('two', () => sink.starts.length === 2)
  await first.end()
  await it.close(2)
  it.deliver(sink)
  await until('four', () => sink.starts.length >= 4)
  expect(sink.starts).toEqual(starts(4))
})

test('one that is down holds its own place and nobody else’s, and says so', async () => {
  const [good, bad] = [memorySink({ name: 'good' }), memorySink({ name: 'bad' })]
  bad.onWrite = () => {
    throw new Error('connection refused')
  }
  it.deliver(good)
  const { delivery } = it.deliver(bad)
  await it.close(3)
  await until('the good one', () => good.starts.length === 3)
  await until('a complaint', () => delivery.complaint)
  expect(delivery.complaint).toBe(
    'sink bad: at nowhere:1 is down; trying again: connection refused',
  )
  expect(await told(bad, 'down')).toMatchObject({ lagWindows: 3, windows: 0 })
  bad.onWrite = null
  await until('the bad one', () => bad.starts.length === 3)
  await until('no complaint', () => delivery.complaint === null)
})

const refuses =
  (...refused: number[]) =>
  (windows: number[]) => {
    if (windows.some((start) => refused.includes(start))) {
      throw new SinkRefusal('constraint "positive"')
    }
  }

test('what is refused for good is found and waited for, and what came before it is there', async () => {
  const sink = memorySink()
  sink.onWrite = refuses(T + 20_000)
  await it.close(4)
  const { delivery } = it.deliver(sink)
  await until('a complaint', () => delivery.complaint)
  expect(sink.starts).toEqual(starts(2))
  expect(delivery.complaint).toBe(
    `sink memory: at nowhere:1 refuses the window after that which ended at ${new Date(T + 20_000).toISOString()}: constraint "positive"; put it right, or let it be passed over with onRefusal`,
  )
  expect(await told(sink, 'refused')).toMatchObject({ lagWindows: 2, skipped: 0 })
  sink.onWrite = null
  await until('the rest', () => sink.starts.length === 4)
  expect(sink.starts).toEqual(starts(4))
})

test('or is passed over where the job says so, and counted', async () => {
  const sink = memorySink({ onRefusal: 'skip' })
  sink.onWrite = refuses(T + 10_000, T + 30_000)
  await it.close(5)
  it.deliver(sink)
  await until('the rest', async () => (await report(sink)).lagWindows === 0)
  expect(sink.starts).toEqual([T, T + 20_000, T + 40_000])
  expect(await report(sink)).toMatchObject({ state: 'running', skipped: 2, windows: 3, lost: 0 })
})

test('windows that were cut away before are counted as lost, to the window', async () => {
  const sink = memorySink()
  await it.close(2)
  const first = it.deliver(sink)
  await until('two', () => sink.starts.length === 2)
  await first.end()
  await it.close(5, 2_000)
  const entries = await it.store.redis.xrange(it.keys.closed, '-', '+')
  // Into the middle of the fifth window, which has several entries.
  const fifth = entries.findIndex(([, fields]) => fields[1] === String(T + 40_000))
  expect(entries[fifth + 1]![1][1]).toBe(String(T + 40_000))
  await it.store.redis.xtrim(it.keys.closed, 'MINID', entries[fifth + 1]![0])
  const { delivery } = it.deliver(sink)
  await until('the rest', () => sink.starts.length === 4)
  expect(sink.starts).toEqual([...starts(2), ...starts(2, 5)])
  await until('its account', async () => (await report(sink)).lost === 3)
  expect(delivery.complaint).toBe(
    'sink memory has lost 3 windows that were cut away before it took them',
  )
})

test('what is cut away while it is down is told at once, and counted once', async () => {
  const sink = memorySink()
  await it.close(1)
  const { delivery } = it.deliver(sink)
  await until('one', () => sink.starts.length === 1)
  sink.onWrite = () => {
    throw new Error('away')
  }
  await it.close(4)
  await until('a complaint', () => delivery.complaint)
  await it.store.redis.xtrim(it.keys.closed, 'MAXLEN', 1)
  const lost = 'sink memory has lost 3 windows that were cut away before it took them'
  await until('the loss', () => delivery.complaint?.includes(lost))
  expect(await told(sink, 'down')).toMatchObject({ lost: 0 })
  sink.onWrite = null
  await until('the last', () => sink.starts.length === 2)
  await until('its account', async () => (await report(sink)).lagWindows === 0)
  expect(await report(sink)).toMatchObject({ lost: 3, windows: 2, state: 'running' })
  expect(delivery.complaint).toBe(lost)
})

test('of two processes at once one writes, and the other takes over', async () => {
  const sink = memorySink()
  const first = it.deliver(sink)
  await until('it is open', () => sink.opened === 1)
  const second = it.deliver(sink)
  await it.close(3)
  await until('three', () => sink.starts.length === 3)
  expect(sink.opened).toBe(1)
  await first.end()
  await it.close(2)
  await until('five', () => sink.starts.length === 5)
  expect(sink.starts).toEqual(starts(5))
  expect(sink.opened).toBe(2)
  await second.end()
})

test('a Redis that was taken back in time closes windows again, and they come again', async () => {
  const sink = memorySink()
  await it.close(4)
  const { delivery } = it.deliver(sink)
  await until('four', () => sink.starts.length === 4)
  const entries = await it.store.redis.xrange(it.keys.closed, '-', '+')
  await it.store.redis
    .multi()
    .xdel(it.keys.closed, ...entries.slice(2).map(([id]) => id))
    .hset(it.keys.clock, 'closedWindows', 2, 'closedTo', T + 20_000, 'watermark', T + 20_000)
    .hset(it.keys.taken, 'memory', `${entries[1]![0]}/2/${T + 20_000}`)
    .exec()
  await it.records([{ at: T + 20_000, group: ['again'], fields: { loc: 1 } }])
  await it.closeTo(T + 30_000)
  await until('the third again', () => sink.starts.length === 5)
  expect(sink.starts).toEqual([...starts(4), T + 20_000])
  expect(delivery.complaint).toBeNull()
})

test('a write that hangs is given up when another process has taken the lease', async () => {
  const sink = memorySink()
  const signals: AbortSignal[] = []
  sink.onWrite = (_, signal) => {
    signals.push(signal)
    return new Promise(() => {})
  }
  await it.close(1)
  it.deliver(sink)
  await until('it hangs', () => signals.length === 1)
  await it.store.redis.set(`${it.keys.base}:sink:memory`, 'somebody else')
  await until('it is told', () => signals[0]!.aborted)
  expect(await it.store.redis.hget(it.keys.taken, 'memory')).toBeNull()
  await it.store.redis.del(`${it.keys.base}:sink:memory`)
  sink.onWrite = null
  await until('it is tried again', () => sink.starts.length === 1)
})
