/** The pace of a job's quota: kept in Redis by the append itself, and waited for by each bridge. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Clock } from '../../../actors/clock.ts'
import { Pace } from '../../../actors/bridge/pace.ts'
import { rejection } from '../../support/rejection.ts'
import { Shard } from '../../support/shard.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('pace')
  await it.register(0)
})
afterEach(() => it.end())

const setQuota = (value: number) =>
  it.redis.hset(it.keys.control, 'quotaRecordsPerSecond', String(value))

/** Appends so many records behind those before; what the reply says of waiting. */
let offset = 0
beforeEach(() => void (offset = 0))
async function append(records: number) {
  const reply = await it.append(0, offset, [{ from: offset, to: offset + records }])
  offset += records
  const [ok, , , , , waitMs, rate] = reply.map(Number)
  expect(ok).toBe(1)
  return { waitMs, rate }
}

describe('an append', () => {
  test('says nothing of it where there is no quota, and writes nothing', async () => {
    expect(await it.append(0, 0, [{ from: 0, to: 5 }])).toHaveLength(5)
    expect(await it.redis.exists(it.keys.quota)).toBe(0)
  })

  test('a second of the quota is free; then each record costs its share', async () => {
    await setQuota(100)
    expect(await append(100)).toEqual({ waitMs: 0, rate: 100 })
    const { waitMs } = await append(200)
    // Two seconds more, but for the time that has passed since the first.
    expect(waitMs).toBeGreaterThan(1_000)
    expect(waitMs).toBeLessThanOrEqual(2_000)
    const { heldAt } = (await it.measure()).quota
    expect(Number(heldAt)).toBeGreaterThan(0)
  })

  test('many small ones cost what one large one costs', async () => {
    await setQuota(1_000_000)
    const before = Number((await it.redis.time())[0]) * 1e6
    for (let i = 0; i < 20; i++) await append(50_000)
    const due = Number(await it.redis.hget(it.keys.quota, 'due'))
    // A million records: not before a second after the first, by Redis's clock.
    expect(due).toBeGreaterThanOrEqual(before + 1e6)
  })

  test('nothing that was not appended counts', async () => {
    await setQuota(10)
    await append(10)
    const due = await it.redis.hget(it.keys.quota, 'due')
    expect((await it.append(0, 4_711, [{ from: 4_711, to: 4_811 }]))[0]).toBe(0)
    expect(await it.redis.hget(it.keys.quota, 'due')).toBe(due)
  })

  test('a clock that was set back by a day holds nobody for more than a minute', async () => {
    await setQuota(1_000)
    const day = 86_400_000_000
    await it.redis.hset(it.keys.quota, 'due', Number((await it.redis.time())[0]) * 1e6 + day)
    expect((await append(1)).waitMs).toBeLessThanOrEqual(60_000)
  })

  test('memory that is over holds too', async () => {
    await it.redis.hset(it.keys.quota, 'memoryHeld', '1')
    expect(await append(1)).toEqual({ waitMs: 1_000, rate: 0 })
  })
})

describe('a bridge', () => {
  /** A clock that only sleeping moves. */
  function fakeClock() {
    const clock = { ms: 0, slept: 0 }
    return {
      clock,
      as: {
        elapsed: () => clock.ms,
        sleep: (ms: number) => {
          clock.ms += ms
          clock.slept += ms
          return Promise.resolve()
        },
      } as Clock,
    }
  }
  const open = () => {
    const { clock, as } = fakeClock()
    return { clock, pace: new Pace({ store: it.store, keys: it.keys, clock: as }) }
  }
  const never = new AbortController().signal

  test('waits for as long as it was told, and no longer', async () => {
    await it.redis.hset(it.keys.quota, 'due', '1')
    const { clock, pace } = open()
    expect(await pace.free(never)).toBe(true)
    expect(clock.slept).toBe(0)
    pace.heed(1_234, 100)
    expect(await pace.free(never)).toBe(true)
    expect(clock.slept).toBe(1_234)
  })

  test('goes on within half a second when the quota was given up or raised', async () => {
    const { clock, pace } = open()
    // As setQuotas leaves it: what was due is forgotten.
    pace.heed(50_000, 1)
    expect(await pace.free(never)).toBe(true)
    expect(clock.slept).toBe(500)
  })

  test('stays while memory is over, and goes on when it no longer is', async () => {
    await it.redis.hset(it.keys.quota, 'memoryHeld', '1')
    const { clock, pace } = open()
    await pace.look()
    const held = pace.free(never)
    let done = false
    void held.then(() => (done = true))
    while (clock.slept < 5_000) await it.redis.ping()
    expect(done).toBe(false)
    await it.redis.hset(it.keys.quota, 'memoryHeld', '0')
    expect(await held).toBe(true)
  })

  test('ends at once with its session', async () => {
    const { pace } = open()
    pace.heed(10_000, 1)
    expect(await pace.free(AbortSignal.abort())).toBe(false)
  })

  test('appends one after the other where there is a quota, and all at once where there is none', async () => {
    const { pace } = open()
    const most = { running: 0, seen: 0 }
    const append = async () => {
      most.seen = Math.max(most.seen, ++most.running)
      await it.redis.ping()
      most.running--
    }
    const three = () => Promise.all([append, append, append].map((one) => pace.inTurn(one, never)))
    expect(await three()).toEqual([true, true, true])
    expect(most.seen).toBe(3)
    most.seen = 0
    pace.heed(0, 100)
    expect(await three()).toEqual([true, true, true])
    expect(most.seen).toBe(1)
  })

  test('an append that fails holds up nobody', async () => {
    const { pace } = open()
    pace.heed(0, 100)
    const failing = pace.inTurn(() => Promise.reject(new Error('away')), never)
    const after = pace.inTurn(() => Promise.resolve(), never)
    expect((await rejection(failing)).message).toBe('away')
    expect(await after).toBe(true)
  })

  test('appends about a second of its quota at once', async () => {
    const { pace } = open()
    await setQuota(100)
    await pace.look()
    expect(pace.recordsMax).toBe(100)
    pace.heed(undefined, undefined)
    expect(pace.recordsMax).toBe(Infinity)
  })
})
