/**
 * What all executors share, such as Redis: only so many records a second get through, whoever brings
 * them. Where it is full, each executor is longer at its records, and more executors do no more.
 */
export class Ceiling {
  readonly #recordMs: number
  #freeAt = 0

  constructor(perSecond = Infinity) {
    this.#recordMs = 1_000 / perSecond
  }

  /** When records that could be done at `at` are through. */
  through(at: number, records: number): number {
    if (this.#recordMs === 0) return at
    this.#freeAt = Math.max(at, this.#freeAt + records * this.#recordMs)
    return this.#freeAt
  }
}
