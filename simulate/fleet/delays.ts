/**
 * How long a fluid waits that goes first in, first out: what came in each step leaves in later ones, and
 * is counted by its delay.
 */

/** Resolution of a quantile; ms. */
const BIN_MS = 10
/** Longer ones are in the last bin. */
const BINS = 360_000

/** Of an amount that is summed up over a day of millions a second, the digits that a double can't hold. */
const NOTHING = 1e-3

export class Delays {
  readonly #amounts = new Float64Array(BINS)
  /** What has come and waits: when, and how much. */
  #waiting: { at: number; amount: number }[] = []
  #head = 0
  #total = 0
  maxMs = 0

  /** What came at `at` goes to the end; `done` leaves at the front, `besideMs` later than it must. */
  step(at: number, came: number, done: number, besideMs: number): void {
    if (came > 0) this.#waiting.push({ at, amount: came })
    for (let rest = done; rest > NOTHING; ) {
      const first = this.#waiting[this.#head]
      if (!first) break
      const amount = Math.min(first.amount, rest)
      this.#count(at - first.at + besideMs, amount)
      first.amount -= amount
      rest -= amount
      if (first.amount <= NOTHING) this.#head++
    }
    if (this.#head > 4_096) this.#forget()
  }

  /** The delay that a share of all does not exceed; ms, null where nothing was done. */
  quantile(share: number): number | null {
    if (this.#total === 0) return null
    let sum = 0
    for (const [bin, amount] of this.#amounts.entries()) {
      sum += amount
      if (sum >= share * this.#total - NOTHING) return bin * BIN_MS
    }
    return this.maxMs
  }

  #count(ms: number, amount: number): void {
    this.#amounts[Math.min(Math.round(ms / BIN_MS), BINS - 1)]! += amount
    this.#total += amount
    this.maxMs = Math.max(this.maxMs, ms)
  }

  #forget(): void {
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }
}
