/**
 * The most frequent values by 128 counters: Misra and Gries (1982), merged as Agarwal et al. do it (2013,
 * "Mergeable summaries"): counters are added; where there are more than 128, the 129th greatest is taken
 * from each, and those above 0 stay. What was taken is the error: a value came `count` to `count + error`
 * times, with error ≤ n ÷ 129 whatever was merged with whatever in which order. Up to 128 different
 * values nothing is ever taken, and the counts are exact.
 */
import { End } from './end.ts'
import type { Aggregate, TopEntry } from './kinds.ts'
import type { Sketch } from './sketches.ts'

const CAPACITY = 128
/** Counters while a batch is folded: pruning is worth its time only now and then. */
const HELD_MAX = 4 * CAPACITY

export class Counters implements Sketch {
  /** A value's JSON → how often it came, less what was taken. */
  #counts = new Map<string, number>()
  #error = 0

  static readonly takes = End.takes

  add(value: unknown): number {
    return this.#put(JSON.stringify(value), 1)
  }

  absorb(bytes: Buffer): void {
    this.#error += bytes.readDoubleLE(9)
    for (let at = 17; at < bytes.length; ) {
      const end = at + 4 + bytes.readUInt32LE(at)
      this.#put(bytes.toString('utf8', at + 4, end), bytes.readDoubleLE(end))
      at = end + 8
    }
  }

  encode(): Buffer {
    this.#prune()
    const head = Buffer.alloc(17)
    head.write('T')
    head.writeDoubleLE(CAPACITY, 1)
    head.writeDoubleLE(this.#error, 9)
    const parts = [head]
    for (const [text, count] of this.#counts) {
      const name = Buffer.from(text)
      const numbers = Buffer.alloc(12)
      numbers.writeUInt32LE(name.length)
      numbers.writeDoubleLE(count, 4)
      parts.push(numbers.subarray(0, 4), name, numbers.subarray(4))
    }
    return Buffer.concat(parts)
  }

  /** Most frequent first; of equal counts the one whose JSON comes first. */
  value({ most = 0 }: Aggregate<never>): TopEntry[] {
    this.#prune()
    return [...this.#counts]
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .slice(0, most)
      .map(([text, count]) => ({
        value: JSON.parse(text) as TopEntry['value'],
        count,
        error: this.#error,
      }))
  }

  #put(text: string, count: number): number {
    const held = this.#counts.get(text)
    this.#counts.set(text, (held ?? 0) + count)
    if (held !== undefined) return 0
    if (this.#counts.size > HELD_MAX) this.#prune()
    return 1
  }

  #prune(): void {
    if (this.#counts.size <= CAPACITY) return
    const taken = [...this.#counts.values()].sort((a, b) => b - a)[CAPACITY]!
    this.#error += taken
    const left = [...this.#counts].filter(([, count]) => count > taken)
    this.#counts = new Map(left.map(([text, count]) => [text, count - taken]))
  }
}
