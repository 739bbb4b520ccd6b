/**
 * The hash of records' places: the executor's, the verification's, and one by big integers agree.
 */
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { Tally } from '../../actors/executor/tally.ts'
import { Places } from '../../verify/places.ts'

type Place = [partition: number, offset: number]

function tallied(places: Place[]): number {
  const tally = new Tally()
  for (const [partition, offset] of places) {
    tally.begin(partition)
    tally.add(offset)
  }
  return tally.hash
}

function verified(places: Place[]): number {
  const set = new Places()
  for (const [partition, offset] of places) set.add(partition, offset)
  expect(set.count).toBe(places.length)
  return set.hash
}

/** As docs/redis.md defines it. */
function defined(places: Place[]): number {
  const mask = 0xffffffffn
  const mix = (word: bigint) => {
    let h = word ^ (word >> 16n)
    h = (h * 0x85ebca6bn) & mask
    h ^= h >> 13n
    h = (h * 0xc2b2ae35n) & mask
    return h ^ (h >> 16n)
  }
  const hashes = places.map(([partition, offset]) => {
    const [p, low, high] = [BigInt(partition), BigInt(offset) & mask, BigInt(offset) >> 32n]
    const lane = (k: bigint) => mix(low ^ mix((mix((2n * p + k) & mask) + high) & mask)) >> 8n
    return (lane(2n) << 24n) + lane(1n)
  })
  return Number(hashes.reduce((sum, hash) => sum + hash, 0n) % (1n << 48n))
}

const place = fc.tuple(
  fc.nat({ max: 10_000 }),
  fc.oneof(
    fc.nat({ max: 100_000 }),
    fc.maxSafeNat(),
    fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 1),
  ),
)

test('the three agree on any set of places', () => {
  fc.assert(
    fc.property(fc.array(place, { maxLength: 40 }), (places) => {
      expect(tallied(places)).toBe(defined(places))
      expect(verified(places)).toBe(defined(places))
    }),
  )
})

test('neither order nor the cut into commits matters', () => {
  const places = Array.from({ length: 30_000 }, (_, i): Place => [i % 3, 4_294_960_000 + i])
  const parts = [places.slice(20_000), places.slice(0, 7), places.slice(7, 20_000)]
  const sum = parts.reduce((total, part) => (total + tallied(part)) % 2 ** 48, 0)
  expect(sum).toBe(verified(places))
  expect(tallied(places.toReversed())).toBe(sum)
})

test('one record for another is another hash', () => {
  const seen = new Set<number>()
  for (let partition = 0; partition < 20; partition++) {
    for (let offset = 0; offset < 2_000; offset++) seen.add(verified([[partition, offset]]))
  }
  expect(seen.size).toBe(40_000)
  // Sums of neighbours and of blocks, whose hashes must not be in a pattern.
  const pairs = new Set<number>()
  for (let i = 0; i < 300; i++) {
    for (let j = 0; j < i; j++) {
      pairs.add(
        verified([
          [0, i],
          [0, j],
        ]),
      )
    }
  }
  expect(pairs.size).toBe((300 * 299) / 2)
})
