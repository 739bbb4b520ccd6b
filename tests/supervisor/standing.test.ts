/** The watermark that all shards allow: the same that one shard with all of their partitions would have. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { leastOf } from '../../actors/least.ts'
import { allowedBy, standingOf } from '../../supervisor/standing.ts'
import { openPlace, type Place } from '../support/redis.ts'

const DELAY = 60_000
const IDLE_AFTER = 30_000

let place: Place
beforeAll(async () => {
  place = await openPlace('standing')
})
afterAll(() => place.end())

interface Partition {
  /** Highest event time, where it has brought any. */
  max: number | null
  /** Records were read, and all of them are finished. */
  read: number
  behind: number
  quietMs: number
  seenMs: number
}

const partition: fc.Arbitrary<Partition> = fc.record({
  max: fc.option(fc.integer({ min: 1_000, max: 500_000 })),
  read: fc.constantFrom(0, 5),
  behind: fc.constantFrom(0, 0, 3),
  quietMs: fc.constantFrom(0, 10_000, 40_000, 90_000),
  seenMs: fc.constantFrom(0, 100, 20_000),
})

async function writeLedger(base: string, partitions: [number, Partition][], now: number) {
  const fields = partitions.flatMap(([p, { max, read, behind, quietMs, seenMs }]) => [
    [`${p}:start`, 0, `${p}:next`, read, `${p}:frontier`, read, `${p}:high`, read + behind],
    [`${p}:dataAt`, now - quietMs, `${p}:seenAt`, now - seenMs],
    max === null ? [] : [`${p}:max`, max],
  ])
  await place.store.redis.del(`${base}:ledger`, `${base}:clock`)
  await place.store.redis.hset(`${base}:ledger`, 'shape', 'x', ...fields.flat())
}

const nowOf = async () => Number((await place.store.redis.time())[0]) * 1_000

test('shards together allow what their partitions would in one', async () => {
  const { store, keys } = place
  await fc.assert(
    fc.asyncProperty(fc.array(partition, { minLength: 1, maxLength: 6 }), async (partitions) => {
      const numbered = [...partitions.entries()]
      const now = await nowOf()
      const shards = [0, 1, 2].map((shard) => `${keys.base}:part-${shard}`)
      const standings = []
      for (const [shard, base] of shards.entries()) {
        await writeLedger(
          base,
          numbered.filter(([p]) => p % 3 === shard),
          now,
        )
        standings.push(
          standingOf((await store.call('standing', base, [IDLE_AFTER, 1])) as string[]),
        )
      }
      await writeLedger(keys.base, numbered, now)
      const whole = ['n', 10_000, 5_000, DELAY, IDLE_AFTER, 1, 10, 10_000, 10] as const
      const [watermark] = (await store.call('advance', keys.base, [...whole])) as [string]
      const allowed = allowedBy(standings, DELAY)
      if (watermark === '') expect(allowed).toBeNull()
      // By the clock it goes on between two calls.
      else expect(Math.abs(allowed! - Number(watermark))).toBeLessThan(1_000)
    }),
    { numRuns: 300 },
  )
})

describe('the least', () => {
  test('of none, and with one that is not known, is not known', () => {
    expect(leastOf([])).toBeNull()
    expect(leastOf([3, null])).toBeNull()
    expect(leastOf([3, 1, 2])).toBe(1)
  })
})

test('a shard without a ledger holds all', async () => {
  const { store, keys } = place
  const reply = await store.call('standing', `${keys.base}:nowhere`, [IDLE_AFTER, 1])
  const standing = standingOf(reply as string[])
  expect(standing).toMatchObject({ state: 'unread', watermark: null, closedTo: null })
  expect(allowedBy([standing], DELAY)).toBeNull()
})
