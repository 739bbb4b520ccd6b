/**
 * What makes the main loop look: time, or a message in the supervisors' mailbox (the first record
 * after a silence, a changed limit), or the end of a child. From 0 executors nothing may wait for
 * the next look, so a wake ends the pause at once.
 */
import type { Clock } from '../actors/clock.ts'
import { type Keys, SUPERVISOR } from '../actors/keys.ts'
import type { Message } from '../actors/messages.ts'
import { isOutage, type Store } from '../actors/redis.ts'

export class Pulse {
  readonly #clock: Clock
  #woken = false
  #heeds = true
  #arrived = false
  #end: (() => void) | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    this.#woken = true
    this.#end?.()
  }

  /** A look begins: what has arrived until now it will see by itself. */
  begins(): void {
    this.#arrived = false
  }

  /**
   * Whether the first record after a silence is a reason to look. Where executors are at work it is
   * none, and with one that keeps up there is such a record many times a second.
   */
  heed(arrivals: boolean): void {
    this.#heeds = arrivals
    if (arrivals && this.#arrived) this.wake()
  }

  arrived(): void {
    this.#arrived = true
    if (this.#heeds) this.wake()
  }

  /** Pauses for `ms`, or until the next wake, but `leastMs` in any case. */
  async pause(ms: number, leastMs = 0): Promise<void> {
    const begun = this.#clock.elapsed()
    if (!this.#woken && ms > leastMs) {
      const ended = new AbortController()
      this.#end = () => ended.abort()
      await this.#clock.sleep(ms, ended.signal)
      this.#end = null
    }
    const early = leastMs - (this.#clock.elapsed() - begun)
    if (early > 0) await this.#clock.sleep(Math.ceil(early))
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
      if (last === '') {
        // From where the mailbox ends now, so that what comes between two reads is not missed.
        last = (await store.redis.xrevrange(mailbox, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0'
        // What came before may have come after the last look: records can be in Redis before this
        // connection is.
        pulse.wake()
      }
      const messages = await nextMessages(store, mailbox, last)
      if (messages.length === 0) continue
      last = messages.at(-1)!.id
      if (messages.every(({ text }) => text === arrival)) pulse.arrived()
      else pulse.wake()
      await clock.sleep(calmMs, signal)
    } catch (error) {
      if (signal.aborted) return
      if (!isOutage(error)) throw error
      await clock.sleep(200, signal)
    }
  }
}

/** As append.lua writes it. */
const arrival = JSON.stringify({ kind: 'arrived' } satisfies Message)

/** What is behind `last`, waited for; nothing where nothing came. */
async function nextMessages(store: Store, mailbox: string, last: string) {
  const reply = await store.redis.xread('BLOCK', mailboxBlockMs, 'STREAMS', mailbox, last)
  return (reply?.[0]?.[1] ?? []).map(([id, fields]) => ({ id, text: fields[1] ?? '' }))
}
