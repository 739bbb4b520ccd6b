/**
 * How far whoever moves the watermarks of several shards may move them: what all shards allow, as each
 * stood when it was asked, by the witness's own knowledge.
 */

export interface Standing {
  /** Of its partitions: none has brought anything; all are idle; one is read, or not read yet. */
  state: 'none' | 'idle' | 'running' | 'unread'
  /** Its ledger is there. */
  begun: boolean
  /** The least of the newest event times of those that are read; the newest of all. */
  least: number
  greatest: number
  /** Since the last record, by the shard's clock; Infinity where it has no partitions. */
  sinceMs: number
}

export class Standings {
  readonly #shards: number
  readonly #delayMs: number
  /** Who asked → shard → how it stood then. */
  readonly #told = new Map<string, Map<number, Standing>>()
  /** Who asked → the furthest that all allowed at once: an answer may come after the next question. */
  readonly #most = new Map<string, number>()

  constructor(shards: number, delayMs: number) {
    this.#shards = shards
    this.#delayMs = delayMs
  }

  note(who: string, shard: number, standing: Standing): void {
    const told = this.#told.get(who) ?? new Map<number, Standing>()
    this.#told.set(who, told.set(shard, standing))
    if (told.size < this.#shards) return
    const allowed = allowedBy([...told.values()], this.#delayMs)
    this.#most.set(who, Math.max(allowed, this.most(who)))
  }

  most(who: string): number {
    return this.#most.get(who) ?? -Infinity
  }
}

function allowedBy(standings: readonly Standing[], delayMs: number): number {
  const states = new Set(standings.map(({ state }) => state))
  if (states.has('unread')) return -Infinity
  if (states.has('running')) {
    return (
      Math.min(...standings.map((one) => (one.state === 'running' ? one.least : Infinity))) -
      delayMs
    )
  }
  const greatest = Math.max(...standings.map((one) => one.greatest))
  return greatest - delayMs + Math.min(...standings.map(({ sinceMs }) => sinceMs))
}
