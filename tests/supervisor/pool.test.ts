/**
 * Executors that several jobs share: what one call reserves, and whole fleets of jobs over it, of which
 * there are never more than may be, and none starves.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { type Clock, systemClock } from '../../actors/clock.ts'
import type { Store } from '../../actors/redis.ts'
import { Chance } from '../../faults/simulation/chance.ts'
import { fairShares } from '../../supervisor/fair.ts'
import { Pool } from '../../supervisor/pool.ts'
import type { Decision } from '../../supervisor/reasons.ts'
import { openPlace, type Place } from '../support/redis.ts'

let place: Place
let base: string
let key: string
beforeEach(async () => {
  place = await openPlace('pool')
  base = place.keys.base
  key = `${base}:pool`
})
afterEach(() => place.end())

/** job, need, has, asks for, of all. */
async function reserve(
  job: string,
  given: { need: number; has?: number; asks: number; total: number; lease?: number },
) {
  const { need, has = 0, asks, total, lease = 60_000 } = given
  const args = [job, need, 1, has, asks, total, lease]
  const [granted, , least, others] = (await place.store.call('reserve', base, args)) as [
    number,
    string,
    number,
    string[],
  ]
  return { granted, least, others }
}

describe('a reservation', () => {
  test('is what is asked for, as far as others have not reserved it', async () => {
    expect((await reserve('a', { need: 3, asks: 3, total: 4 })).granted).toBe(3)
    const b = await reserve('b', { need: 2, asks: 2, total: 4 })
    expect(b).toEqual({ granted: 1, least: 4, others: ['a', '3', '1'] })
    expect((await reserve('c', { need: 1, asks: 1, total: 4 })).granted).toBe(0)
  })

  test('is given back when those that drain are gone, and not before', async () => {
    await reserve('a', { need: 3, asks: 3, total: 4 })
    await reserve('a', { need: 1, has: 3, asks: 1, total: 4 })
    expect((await reserve('b', { need: 3, asks: 3, total: 4 })).granted).toBe(1)
    await reserve('a', { need: 1, has: 1, asks: 1, total: 4 })
    expect((await reserve('b', { need: 3, asks: 3, total: 4 })).granted).toBe(3)
  })

  test('ends with its lease, or when its job leaves', async () => {
    await reserve('a', { need: 2, asks: 2, total: 2, lease: 0 })
    expect((await reserve('b', { need: 2, asks: 2, total: 2 })).granted).toBe(2)
    await place.store.call('release', base, ['b'])
    expect((await reserve('c', { need: 2, asks: 2, total: 2 })).granted).toBe(2)
  })

  test('lasts no longer because the clock was set back', async () => {
    const day = Number((await place.store.redis.time())[0]) * 1_000 + 86_400_000
    await place.store.redis.hset(key, 'a', `2 1 2 2 ${day}`)
    await reserve('b', { need: 1, asks: 1, total: 2, lease: 5_000 })
    const till = Number((await place.store.redis.hget(key, 'a'))?.split(' ').at(-1))
    expect(till).toBeLessThan(day - 80_000_000)
  })

  test('of jobs that say different totals goes by the least', async () => {
    await reserve('a', { need: 9, asks: 2, total: 2 })
    expect(await reserve('b', { need: 9, asks: 9, total: 9 })).toMatchObject({
      granted: 0,
      least: 2,
    })
  })

  test('of nonsense is nobody’s', async () => {
    await place.store.redis.hset(key, 'a', 'nonsense')
    expect((await reserve('b', { need: 2, asks: 2, total: 2 })).granted).toBe(2)
    expect(await place.store.redis.hkeys(key)).toEqual(['b'])
  })
})

const decision = (from: number, to: number): Decision => ({
  at: 0,
  from,
  to,
  reason: 'backlog',
  sentence: `${from} → ${to} executors: because`,
  inputs: { needed: to },
})

/** A clock of which each look is half a second later. */
function stepping(): Clock {
  let ms = 0
  return { ...systemClock, elapsed: () => (ms += 500) }
}

const poolOf = (job: string, total: number, more: { turnMs?: number; store?: Store } = {}) =>
  new Pool({ store: place.store, clock: stepping(), job, total, weight: 1, base, ...more })

describe('a decision', () => {
  test('within the share stays what it is', async () => {
    const wanted = decision(0, 2)
    expect(await poolOf('a', 4).fit(wanted, 0)).toBe(wanted)
  })

  test('beyond it is cut, with a reason that names the others', async () => {
    await reserve('b', { need: 4, has: 2, asks: 2, total: 4 })
    expect(await poolOf('a', 4).fit(decision(1, 4), 1)).toMatchObject({
      from: 1,
      to: 2,
      reason: 'share',
      sentence:
        '1 → 2 executors: 4 needed, and its share of the 4 executors of all jobs is 2; others need: b 4',
      inputs: { needed: 4, wanted: 4, share: 2 },
    })
  })

  test('waits for what others still have, and says so', async () => {
    await reserve('b', { need: 4, has: 4, asks: 4, total: 4 })
    const { to, sentence } = await poolOf('a', 4).fit(decision(0, 1), 0)
    expect(to).toBe(0)
    expect(sentence).toContain('0 executors stay: 1 needed')
    expect(sentence).toContain('of which 1 are still others')
  })

  test('while Redis does not answer nobody takes more, and nobody gives up what it has', async () => {
    const away = { call: () => Promise.reject(new Error('Connection is closed.')) }
    const store = away as unknown as Store
    expect((await poolOf('a', 4, { store }).fit(decision(1, 3), 1)).to).toBe(1)
    expect((await poolOf('a', 4, { store }).fit(decision(3, 1), 3)).to).toBe(1)
  })
})

/** A job of the simulation: its need changes, starting is at once, draining takes some looks. */
interface Fleet {
  job: string
  pool: Pool
  need: number
  target: number
  running: number
  draining: number[]
}

const presentOf = ({ running, draining }: Fleet) => running + draining.length

/** One look of a supervisor; `drainLooks` is how long one that goes takes. */
async function look(fleet: Fleet, drainLooks: number): Promise<void> {
  fleet.draining = fleet.draining.map((left) => left - 1).filter((left) => left > 0)
  const { to } = await fleet.pool.fit(decision(fleet.target, fleet.need), presentOf(fleet))
  fleet.target = to
  const room = fleet.pool.granted - presentOf(fleet)
  fleet.running += Math.max(0, Math.min(to - fleet.running, room))
  for (; fleet.running > to; fleet.running--) fleet.draining.push(drainLooks)
}

const fleetsOf = (jobs: number, total: number, turnMs?: number): Fleet[] =>
  Array.from({ length: jobs }, (_, i) => {
    const job = `job-${i}`
    const pool = poolOf(job, total, turnMs === undefined ? {} : { turnMs })
    return { job, pool, need: 0, target: 0, running: 0, draining: [] }
  })

const presentOfAll = (fleets: Fleet[]) => fleets.reduce((sum, one) => sum + presentOf(one), 0)

describe('several jobs', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'seed %d: never more than may be; when their needs rest each comes to its share',
    async (seed) => {
      const chance = new Chance(seed)
      const total = chance.whole(2, 8)
      const fleets = fleetsOf(chance.whole(2, 6), total)
      for (let round = 0; round < 6; round++) {
        for (const fleet of fleets) fleet.need = chance.whole(0, 6)
        for (let looks = 0; looks < 12; looks++) {
          for (const fleet of chance.is(0.5) ? fleets : fleets.toReversed()) {
            await look(fleet, chance.whole(1, 3))
            expect(presentOfAll(fleets)).toBeLessThanOrEqual(total)
          }
        }
        const shares = fairShares(
          fleets.map(({ job, need }) => ({ job, need, weight: 1 })),
          total,
          0,
        )
        const wanting = fleets.filter(({ need }) => need > 0)
        if (wanting.length > total) continue
        const got = fleets.map(({ job, running }) => [job, running])
        expect(got).toEqual(fleets.map(({ job }) => [job, shares.get(job) ?? 0]))
      }
    },
    60_000,
  )

  test('one that comes while another has everything gets its part back by draining', async () => {
    const fleets = fleetsOf(2, 4)
    const [a, b] = fleets as [Fleet, Fleet]
    a.need = 4
    await look(a, 3)
    expect(a.running).toBe(4)
    b.need = 4
    for (let looks = 0; looks < 8; looks++) {
      for (const fleet of fleets) await look(fleet, 3)
      expect(presentOfAll(fleets)).toBeLessThanOrEqual(4)
    }
    expect([a.running, b.running]).toEqual([2, 2])
    b.need = 0
    for (let looks = 0; looks < 8; looks++) for (const fleet of fleets) await look(fleet, 3)
    expect([a.running, b.running]).toEqual([4, 0])
  })

  test('more jobs than executors: each has one in its turn', async () => {
    const fleets = fleetsOf(5, 2, 20)
    for (const fleet of fleets) fleet.need = 2
    const served = new Set<string>()
    for (let looks = 0; looks < 2_000 && served.size < 5; looks++) {
      for (const fleet of fleets) {
        await look(fleet, 1)
        if (fleet.running > 0) served.add(fleet.job)
        expect(presentOfAll(fleets)).toBeLessThanOrEqual(2)
      }
    }
    expect(served.size).toBe(5)
  })

  test('what a killed supervisor had is others’ when its lease is over', async () => {
    const [a, b] = fleetsOf(2, 2) as [Fleet, Fleet]
    a.need = 2
    await look(a, 1)
    b.need = 2
    await look(b, 1)
    expect(b.running).toBe(0)
    const past = `2 1 2 2 ${Number((await place.store.redis.time())[0]) * 1_000 - 1}`
    await place.store.redis.hset(key, 'job-0', past)
    await look(b, 1)
    expect(b.running).toBe(2)
  })
})
