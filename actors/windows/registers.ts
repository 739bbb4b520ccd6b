/**
 * HyperLogLog with 2,048 registers (Flajolet et al., 2007), estimated by Ertl's formula (2017, "New
 * cardinality estimation algorithms for HyperLogLog sketches", algorithm 6), which needs no correction
 * for few or many values. Standard error 1.04 ÷ √2048 = 2.3 %. Merging keeps the greater of each
 * register, so that it is exact: the sketch of all values, however they were split.
 */
import type { Sketch } from './sketches.ts'

const REGISTERS = 2_048
const RANK_MAX = 31
const LETTER = 'R'.charCodeAt(0)

export class Registers implements Sketch {
  /** Register → rank, for those that are set. */
  readonly #ranks = new Map<number, number>()

  static takes(value: unknown): boolean {
    return typeof value === 'number'
      ? Number.isFinite(value)
      : typeof value === 'string' || typeof value === 'boolean'
  }

  add(value: unknown): number {
    const [register, rank] = registerOf(value as string | number | boolean)
    const held = this.#ranks.get(register)
    if (held !== undefined && held >= rank) return 0
    this.#ranks.set(register, rank)
    return held === undefined ? 1 : 0
  }

  absorb(bytes: Buffer): void {
    for (let at = 1; at < bytes.length; at += 2) {
      const entry = bytes.readUInt16BE(at)
      const register = entry >>> 5
      const rank = entry & RANK_MAX
      if (rank > (this.#ranks.get(register) ?? 0)) this.#ranks.set(register, rank)
    }
  }

  encode(): Buffer {
    const entries = Uint16Array.from(this.#ranks, ([register, rank]) => register * 32 + rank).sort()
    const bytes = Buffer.alloc(1 + 2 * entries.length)
    bytes[0] = LETTER
    entries.forEach((entry, i) => bytes.writeUInt16BE(entry, 1 + 2 * i))
    return bytes
  }

  value(): number {
    const counts = Array.from({ length: RANK_MAX + 1 }, () => 0)
    for (const rank of this.#ranks.values()) counts[rank]!++
    counts[0] = REGISTERS - this.#ranks.size
    let z = REGISTERS * tau(1 - counts[RANK_MAX]! / REGISTERS)
    for (let rank = RANK_MAX - 1; rank >= 1; rank--) z = (z + counts[rank]!) / 2
    z += REGISTERS * sigma(counts[0] / REGISTERS)
    return Math.round(REGISTERS ** 2 / (2 * Math.LN2 * z))
  }
}

/**
 * A value's register and rank, from two 32-bit lanes over its UTF-16 units (a number's or boolean's are
 * those of its text; another start keeps them apart from texts). Each lane ends in MurmurHash3's
 * finalizer. What Redis holds depends on it: it must not change.
 */
function registerOf(value: string | number | boolean): [register: number, rank: number] {
  const text = typeof value === 'string' ? value : String(value)
  let a = typeof value === 'string' ? 0x811c9dc5 : 0x2f0b4c47
  let b = a ^ 0x5bd1e995
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul((b << 5) | (b >>> 27), 0x9e3779b1) ^ unit
  }
  const rank = Math.min(Math.clz32(mix(b ^ text.length)) + 1, RANK_MAX)
  return [mix(a) >>> 21, rank]
}

function mix(word: number): number {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** x + Σ x^(2^k) × 2^(k−1) */
function sigma(share: number): number {
  if (share === 1) return Infinity
  let x = share
  let sum = x
  for (let power = 1, before = -1; sum !== before; power *= 2) {
    x *= x
    before = sum
    sum += x * power
  }
  return sum
}

/** (1 − x − Σ (1 − x^(2^−k))² × 2^−k) ÷ 3 */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0
  let x = share
  let sum = 1 - x
  for (let power = 0.5, before = -1; sum !== before; power /= 2) {
    x = Math.sqrt(x)
    before = sum
    sum -= (1 - x) ** 2 * power
  }
  return sum / 3
}
