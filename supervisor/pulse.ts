/**
 * What makes the main loop look: time, or a message in the supervisors' mailbox (the first record
 * after a silence, a changed limit), or the end of a child. From 0 executors nothing may wait for
 * the next look, so a wake ends the pause at once.
 */
import type { Clock } from '../actors/clock.ts'
import { type Keys, SUPERVISOR } from '../actors/keys.ts'
import { isOutage, type Store } from '../actors/redis.ts'

export class Pulse {
  readonly #clock: Clock
  #woken = false
  #end: (() => void) | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    this.#woken = true
    this.#end?.()
  }

  /** Pauses for `ms`, or until the next wake, but `leastMs` in any case. */
  async pause(ms: number, leastMs = 0): Promise<void> {
    if (leastMs > 0) await this.#clock.sleep(leastMs)
    if (!this.#woken && ms > leastMs) {
      const ended = new AbortController()
      this.#end = () => ended.abort()
      await this.#clock.sleep(ms - leastMs, ended.signal)
      this.#end = null
    }
    this.#woken = false
  }
}

/** How long one read of the mailbox waits; the connection's time limit must allow for it. */
export const mailboxBlockMs = 5_000

/** Between two reads: many wakes in a row are one. */
const calmMs = 50

/** Wakes for each message until the signal; `store` blocks and serves nothing else. */
export async function listen(
  store: Store,
  keys: Keys,
  pulse: Pulse,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const mailbox = keys.mailbox(SUPERVISOR)
  let last = ''
  while (!signal.aborted) {
    try {
      // From where the mailbox ends now, so that what comes between two reads is not missed.
      last ||= (await store.redis.xrevrange(mailbox, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0'
      const newest = await nextMessage(store, mailbox, last)
      if (newest === null) continue
      last = newest
      pulse.wake()
      await clock.sleep(calmMs, signal)
    } catch (error) {
      if (signal.aborted) return
      if (!isOutage(error)) throw error
      await clock.sleep(200, signal)
    }
  }
}

/** Id of the newest message behind `last`, waited for; null where none came. */
async function nextMessage(store: Store, mailbox: string, last: string): Promise<string | null> {
  const reply = await store.redis.xread('BLOCK', mailboxBlockMs, 'STREAMS', mailbox, last)
  return reply?.[0]?.[1].at(-1)?.[0] ?? null
}
