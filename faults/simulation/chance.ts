/** Chance by a seed: every die that a world rolls, so that a seed plays the same game again. */
import { seededRandom } from '../../actors/clock.ts'

export class Chance {
  readonly next: () => number

  constructor(seed: number) {
    this.next = seededRandom(Math.imul(seed, 0x9e3779b1) ^ (seed >>> 15))
    // The first numbers of neighbouring seeds are alike.
    for (let i = 0; i < 4; i++) this.next()
  }

  is(probability: number): boolean {
    return this.next() < probability
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least)
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.next() * all.length)]!
  }

  /** A child of its own, so that one part's use of chance does not shift another's. */
  branch(): Chance {
    return new Chance(Math.floor(this.next() * 2 ** 32))
  }
}
