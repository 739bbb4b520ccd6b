/** Steps that an outage of Redis delays and no more; anything else is said, once, and not hidden. */
import { causesOf } from '../actors/errors.ts'
import type { Log } from '../actors/log.ts'
import { isOutage } from '../actors/redis.ts'

export class Attempts {
  readonly #log: Log
  #troubles = new Set<string>()

  constructor(log: Log) {
    this.#log = log
  }

  /** Whether the step was done; `what` it does, for people. */
  async attempt(what: string, step: () => Promise<unknown>): Promise<boolean> {
    try {
      await step()
      this.#troubles.delete(what)
      return true
    } catch (error) {
      if (!isOutage(error) && !this.#troubles.has(what)) {
        this.#troubles.add(what)
        this.#log.error(`could not ${what}`, { error: causesOf(error) })
      }
      return false
    }
  }
}
