/** The leader's part of quotas: what was given, what a job weighs, and when its bridge is held. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Clock } from '../../actors/clock.ts'
import { memoryUsed, type QuotaName } from '../../actors/quota.ts'
import { isHeld, Quotas, weigh } from '../../supervisor/quotas.ts'
import { Shard } from '../support/shard.ts'

const mib = 2 ** 20

let it: Shard
let now = 0
const clock = { elapsed: () => now } as Clock
beforeEach(async () => {
  now = 0
  it = await Shard.open('quotas')
  await it.register(0)
})
afterEach(() => it.end())

const quotas = (memoryMib = 0, given: QuotaName[] = [], recordsPerSecond = 0) =>
  new Quotas(it.store, it.keys, clock, { recordsPerSecond, memoryMib, given: new Set(given) })

const control = () => it.redis.hgetall(it.keys.control)
const state = async () => (await it.measure()).quota

test('flags replace what Redis holds; the environment only begins', async () => {
  await quotas(64, [], 500).begin()
  expect(await control()).toEqual({ quotaRecordsPerSecond: '500', quotaMemoryMib: '64' })
  await quotas(32, ['memoryMib'], 9).begin()
  expect(await control()).toEqual({ quotaRecordsPerSecond: '500', quotaMemoryMib: '32' })
  await quotas(0, ['memoryMib']).begin()
  expect((await control()).quotaMemoryMib).toBe('0')
  // An operator's change since the supervisor began is no flag's to take back.
  await quotas(16, ['memoryMib', 'recordsPerSecond'], 7).begin(new Set(['quotaMemoryMib']))
  expect(await control()).toEqual({ quotaRecordsPerSecond: '7', quotaMemoryMib: '0' })
})

describe('what a job weighs', () => {
  test('is about what Redis says that its keys are, payloads beside the stream included', async () => {
    const before = await weigh(it.store, it.keys)
    const payload = Buffer.alloc(300_000, 'x')
    await it.store.setNew(it.keys.payload(0, 0, 10), payload, 60_000)
    await it.append(0, 0, [{ from: 0, to: 10, payload: '' }])
    const rows = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, i) => [`["g${i}"]`, 'n'.repeat(50)]),
    )
    for (const start of [5_000, 10_000]) {
      await it.redis.hset(it.keys.panes, String(start), '1')
      await it.redis.hset(it.keys.pane(start), rows)
    }
    await it.redis.xadd(it.keys.closed, '*', 'rows', 'x'.repeat(200_000))
    const after = await weigh(it.store, it.keys)
    const pane = (await it.redis.call(
      'MEMORY',
      'USAGE',
      it.keys.pane(5_000),
      'SAMPLES',
      0,
    )) as number
    expect(after.entries - before.entries).toBeGreaterThanOrEqual(290_000)
    expect((after.panes - before.panes) / (2 * pane)).toBeWithin(0.8, 1.2)
    expect(after.closed - before.closed).toBeGreaterThanOrEqual(200_000)
  })

  test('of hundreds of panes is told from some of them', async () => {
    const one = 'x'.repeat(1_000)
    for (let i = 0; i < 300; i++) {
      await it.redis.hset(it.keys.panes, String(i * 5_000), '1')
      await it.redis.hset(it.keys.pane(i * 5_000), '["g"]', one)
    }
    const { panes } = await weigh(it.store, it.keys)
    const each = (await it.redis.call('MEMORY', 'USAGE', it.keys.pane(0))) as number
    expect(panes / (300 * each)).toBeWithin(0.9, 1.3)
  })
})

test('held from above the quota until nine tenths of it', () => {
  expect(isHeld(100, 100, false)).toBe(false)
  expect(isHeld(101, 100, false)).toBe(true)
  expect(isHeld(91, 100, true)).toBe(true)
  expect(isHeld(90, 100, true)).toBe(false)
})

test('a job over its quota is held, and goes on when it has less; looked at every five seconds', async () => {
  const one = quotas(1, ['memoryMib'])
  await one.begin()
  const look = async () => one.look(await it.measure())
  await look()
  expect((await state()).memoryHeld).toBe('0')
  await it.redis.xadd(it.keys.closed, '*', 'rows', 'x'.repeat(2 * mib))
  now = 4_999
  await look()
  expect((await state()).memoryHeld).toBe('0')
  now = 5_000
  await look()
  expect((await state()).memoryHeld).toBe('1')
  await it.redis.del(it.keys.closed)
  now = 10_000
  await look()
  expect((await state()).memoryHeld).toBe('0')
  expect(memoryUsed(await weigh(it.store, it.keys))).toBeLessThan(mib)
})

test('a quota that was raised is heeded at once; one that was ended leaves nothing', async () => {
  const one = quotas(1, ['memoryMib'])
  await one.begin()
  await it.redis.xadd(it.keys.closed, '*', 'rows', 'x'.repeat(2 * mib))
  const look = async () => one.look(await it.measure())
  await look()
  expect((await state()).memoryHeld).toBe('1')
  await it.redis.hset(it.keys.control, 'quotaMemoryMib', '100')
  await look()
  expect((await state()).memoryHeld).toBe('0')
  await it.redis.hset(it.keys.control, 'quotaMemoryMib', '0')
  await look()
  expect(await it.redis.exists(it.keys.quota)).toBe(0)
})
