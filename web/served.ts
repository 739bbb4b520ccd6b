/**
 * What the server serves: at first an app for which Redis is away, and then one of as many shards as Redis
 * says the job has, also when that was changed while we served.
 *
 *   serves at once → the shards' number is known → serves the job → looks now and then → the next
 */
import type { Clock } from '../actors/clock.ts'
import { messageOf, RefusalError } from '../actors/errors.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import { isOutage, type Store } from '../actors/redis.ts'
import type { RedisCommands } from '../actors/redis-connection.ts'
import { heldKeys } from '../actors/shards.ts'
import type { WebApp } from './app.ts'

export interface ServedParts {
  store: Store
  job: string
  clock: Clock
  log: Log
  /** The app of a job with these keys, until another takes its place: it does nothing by itself then. */
  appOf: (store: Store, keys: Keys, replaced: AbortSignal) => WebApp
}

/** Between two looks; until the first answer it is asked more often. */
const lookEveryMs = 5_000
const askEveryMs = 100

export class Served {
  readonly #parts: ServedParts
  #web: WebApp
  #replaced = new AbortController()
  #shards: number | null = null
  #refusal: string | null = null

  constructor(parts: ServedParts) {
    this.#parts = parts
    this.#web = parts.appOf(awayStore(), keysOf(parts.job), this.#replaced.signal)
  }

  get web(): WebApp {
    return this.#web
  }

  /** Looks until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look()
      await this.#parts.clock.sleep(this.#shards === null ? askEveryMs : lookEveryMs, signal)
    }
  }

  /** One look; while nobody can tell, what was served before goes on. */
  async look(): Promise<void> {
    const { store, job, log, appOf } = this.#parts
    try {
      const keys = await heldKeys(store, job)
      this.#refusal = null
      if (keys.shards.length === this.#shards) return
      const before = this.#web
      const replaced = new AbortController()
      this.#web = appOf(store, keys, replaced.signal)
      this.#replaced.abort()
      this.#replaced = replaced
      this.#shards = keys.shards.length
      // Who listens comes again, and hears of the job as it is now.
      await before.feed.close()
    } catch (error) {
      if (isOutage(error)) return
      const text = messageOf(error)
      if (text !== this.#refusal) log[error instanceof RefusalError ? 'warn' : 'error'](text)
      this.#refusal = text
    }
  }
}

/** One that is never there. */
function awayStore(): Store {
  const away = () => Promise.reject(new Error('Connection is closed.'))
  const redis = new Proxy({}, { get: () => away }) as RedisCommands
  return {
    redis,
    call: away,
    callBuffer: away,
    setNew: away,
    close: () => Promise.resolve(),
  }
}
