/**
 * How much room this machine's processor has: the cores that idled over the last second. Executors
 * share the machine with the bridge, and often with Kafka and Redis; one more that finds no core to
 * itself only takes turns with them.
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Clock } from '../actors/clock.ts'

/** A shorter look says too little. */
const spanLeastMs = 500
/** Cores that idle when what can wait goes on. */
const spareRoom = 0.5
const spanMs = 1_000

export class Processor {
  readonly #clock: Pick<Clock, 'elapsed' | 'sleep'>
  readonly #idle: () => number
  #samples: { at: number; idleMs: number }[] = []

  /** `idle`: milliseconds that all cores together have idled since whenever. */
  constructor(clock: Pick<Clock, 'elapsed' | 'sleep'>, idle: () => number = idleMs) {
    this.#clock = clock
    this.#idle = idle
  }

  /** Cores, with a fraction; null before it was asked for long enough. */
  room(): number | null {
    const at = this.#clock.elapsed()
    const now = { at, idleMs: this.#idle() }
    // The last one that is old enough stays, so that the span is never much less than wanted.
    const old = this.#samples.findLastIndex((sample) => at - sample.at >= spanMs)
    this.#samples = [...this.#samples.slice(Math.max(old, 0)), now]
    const first = this.#samples[0]!
    if (at - first.at < spanLeastMs) return null
    return (now.idleMs - first.idleMs) / (at - first.at)
  }

  /** For what can wait: until half a core idles, for so long at the most, or until the signal. */
  async spare(mostMs: number, signal: AbortSignal): Promise<void> {
    const endsAt = this.#clock.elapsed() + mostMs
    while (!signal.aborted && this.#clock.elapsed() < endsAt) {
      if ((this.room() ?? 0) >= spareRoom) return
      await this.#clock.sleep(spanLeastMs, signal)
    }
  }
}

/** Where there is no /proc, by way of Node's, which looks at much more: a millisecond where this takes a tenth. */
function idleMs(): number {
  if (process.platform !== 'linux') return cpus().reduce((sum, { times }) => sum + times.idle, 0)
  // `cpu  user nice system idle …`, of all cores.
  const ticks = Number(readFileSync('/proc/stat', 'utf8').split(/ +/, 5)[4])
  return (ticks * 1_000) / TICKS_PER_SECOND
}

/** USER_HZ is 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100
