/** Actors' accounts as a snapshot has them, and a clock that is set by hand. */
import type { Clock } from '../../actors/clock.ts'
import type { Snapshot } from '../../actors/measure.ts'
import { noWork } from '../../actors/messages.ts'

export type Known = Snapshot['actors'][number]

/** Epoch ms at which the tests' time begins. */
export const T0 = Date.parse('2026-01-01T00:00:00Z')

/** An executor that runs since `T0`. */
export const executor = (id: string, given: Partial<Known> = {}): Known => ({
  id,
  kind: 'executor',
  pid: 1,
  host: 'here',
  state: 'running',
  startedAt: T0,
  at: T0,
  stoppedAt: null,
  reason: null,
  rssBytes: 1,
  ...noWork,
  alive: true,
  ...given,
})

/** Time passes only by `pass`; the monotonic clock began 5 s before. */
export class HandClock implements Clock {
  #ms = 0

  pass(ms: number): void {
    this.#ms += ms
  }

  now(): number {
    return Math.floor(T0 + this.#ms)
  }

  elapsed(): number {
    return 5_000 + this.#ms
  }

  random(): number {
    return 0
  }

  sleep(): Promise<void> {
    return Promise.resolve()
  }

  turn(): Promise<void> {
    return Promise.resolve()
  }
}
