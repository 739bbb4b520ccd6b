/**
 * C2: the places (partition, offset) of records as a number of them and a sum of hashes, which is
 * what the executors' commits add up to. Computed apart from theirs, by other arithmetic, from what
 * docs/redis.md says of the hash. Pure.
 */
import type { RecordSet } from './checks.ts'

const HALF = 2 ** 16
const WORD = 2 ** 32
/** The sum is kept modulo this. */
const MODULUS = 2 ** 48

export class Places implements RecordSet {
  count = 0
  hash = 0
  readonly #seeds = new Map<number, [high: number, low: number]>()

  add(partition: number, offset: number): void {
    let seeds = this.#seeds.get(partition)
    if (!seeds) {
      seeds = [scrambled(partition * 2 + 2), scrambled(partition * 2 + 1)]
      this.#seeds.set(partition, seeds)
    }
    this.count++
    this.hash =
      (this.hash + laneOf(offset, seeds[0]) * 2 ** 24 + laneOf(offset, seeds[1])) % MODULUS
  }
}

/** The upper 24 bits of the hash of an offset under a partition's seed. */
function laneOf(offset: number, seed: number): number {
  const upper = Math.floor(offset / WORD)
  const word = scrambled((seed + upper) % WORD)
  return Math.floor(scrambled(((offset % WORD) ^ word) >>> 0) / 2 ** 8)
}

/** MurmurHash3's fmix32 of a word in [0, 2^32). */
function scrambled(word: number): number {
  const first = product((word ^ (word >>> 16)) >>> 0, 2_246_822_507)
  const second = product((first ^ (first >>> 13)) >>> 0, 3_266_489_909)
  return (second ^ (second >>> 16)) >>> 0
}

/** Modulo 2^32, in doubles that stay below 2^53. */
function product(a: number, b: number): number {
  const low = (a % HALF) * b
  const high = (Math.floor(a / HALF) * b) % HALF
  return (low + high * HALF) % WORD
}
