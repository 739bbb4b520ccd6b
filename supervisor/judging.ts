/** From where on which code of the job judges records: noted in the ledger, for verify (functions/judged.lua). */
import type { Keys } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import type { Snapshot } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'

export interface JudgingOptions {
  store: Store
  keys: Keys
  log: Log
  /** Hash of the job's code; null where unknown, and then nothing is noted. */
  code: string | null
}

export class Judging {
  readonly #options: JudgingOptions
  /** The ledger has the code that judges from now on. */
  #told = false

  constructor(options: JudgingOptions) {
    this.#options = options
  }

  /** Another may have noted its own meanwhile. */
  takesOver(): void {
    this.#told = false
  }

  /** Once all executors are of our code: what one of another still commits is judged by that one. */
  async note({ actors }: Snapshot): Promise<void> {
    const { store, keys, code, log } = this.#options
    if (!code || this.#told) return
    const others = actors.filter(
      ({ alive, judges }) => alive && judges !== undefined && judges !== code,
    )
    if (others.length > 0) return
    const replies = await Promise.all(
      keys.shards.map(({ base }) => store.call('judged', base, [code])),
    )
    this.#told = !replies.includes(-1)
    if (replies.includes(1))
      log.info("the job's code is another one from here on: verify goes by that")
  }
}
