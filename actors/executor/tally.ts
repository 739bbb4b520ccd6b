/**
 * Which records a fold has dealt with, as one number: the sum, modulo 2^48, of a 48-bit hash of each
 * record's place (partition, offset). Sums do not depend on order, and those of all commits add up, so
 * one counter tells afterwards whether exactly the topic's records were committed. The hash stands in
 * docs/redis.md; verify computes it with code of its own. Pure.
 */
const LANE = 2 ** 24
const WORD = 2 ** 32

export class Tally {
  /** Sums of the hashes' halves; exact for 2^29 records. */
  #low = 0
  #high = 0
  #partition = 0
  /** Of the partition and the upper half of the offset, which hardly ever changes. */
  #upper = -1
  #lowSeed = 0
  #highSeed = 0

  get hash(): number {
    return ((this.#high % LANE) * LANE + (this.#low % (LANE * LANE))) % (LANE * LANE)
  }

  /** The records that follow are of this partition. */
  begin(partition: number): void {
    this.#partition = partition
    this.#upper = -1
  }

  add(offset: number): void {
    const upper = offset < WORD ? 0 : Math.floor(offset / WORD)
    if (upper !== this.#upper) this.#seed(upper)
    this.#low += mix(offset ^ this.#lowSeed) >>> 8
    this.#high += mix(offset ^ this.#highSeed) >>> 8
  }

  #seed(upper: number): void {
    this.#upper = upper
    this.#lowSeed = mix(mix(2 * this.#partition + 1) + upper)
    this.#highSeed = mix(mix(2 * this.#partition + 2) + upper)
  }
}

/** MurmurHash3's last step: each bit of a 32-bit word reaches all others. */
function mix(word: number): number {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
