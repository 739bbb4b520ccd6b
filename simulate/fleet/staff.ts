/**
 * The executors of a large virtual fleet: when each came to work and when it ended, and when the
 * supervisor finds out. Starts after crashes are those that supervisor/restarts.ts allows.
 */
import { bounds } from '../../actors/config.ts'
import {
  crashed,
  executorRestarts,
  lived,
  mayStart,
  noCrashes,
  type Restarts,
} from '../../supervisor/restarts.ts'
import type { Course, Kind } from './course.ts'

/** Until the supervisor takes one for gone that has ended; a pod is killed 1.5 s after its lease (stuck.ts). */
const silenceMs: Record<Kind, number> = {
  processes: 0,
  pods: bounds.leaseMs + 1_500,
  elsewhere: bounds.leaseMs,
}

interface One {
  startedAt: number
  /** When it comes to work, and when it ends by itself. */
  readyAt: number
  endsAt: number
}

export class Staff {
  readonly #course: Course
  readonly #random: () => number
  /** Those that work or start, and those that have ended and are not missed yet; oldest first. */
  #living: One[] = []
  #unmissed: One[] = []
  #restarts: Restarts = noCrashes
  #lost = 0
  /** Of the living, those that have come to work. */
  #working = 0

  constructor(course: Course, random: () => number) {
    this.#course = course
    this.#random = random
    for (let i = 0; i < course.warm; i++) this.#living.push(this.#one(0, 0))
    this.#working = course.warm
  }

  /** Executors that are there and cost something. */
  get size(): number {
    return this.#living.length
  }

  get working(): number {
    return this.#working
  }

  /** Those that the supervisor takes to be at work. */
  get seenWorking(): number {
    return this.#working + this.#unmissed.length
  }

  /** Lets time go on to `at`; true where the supervisor hears of an end. */
  turn(at: number): boolean {
    this.#lose(at)
    if (this.#living.some(({ endsAt }) => endsAt <= at)) {
      this.#unmissed.push(...this.#living.filter(({ endsAt }) => endsAt <= at))
      this.#living = this.#living.filter(({ endsAt }) => endsAt > at)
    }
    if (this.#working !== this.#living.length) this.#count(at)
    if (this.#unmissed.length === 0) return false
    const missed = this.#unmissed.filter(({ endsAt }) => at - endsAt >= this.#silenceMs)
    if (missed.length === 0) return false
    this.#unmissed = this.#unmissed.filter(({ endsAt }) => at - endsAt < this.#silenceMs)
    if (this.#course.kind !== 'elsewhere') for (const one of missed) this.#countCrash(one, at)
    return true
  }

  /** Brings those that are taken to live to the target. */
  reconcile(target: number, at: number): void {
    const oldest = this.#living.find(({ readyAt }) => readyAt <= at)
    if (oldest) this.#restarts = lived(executorRestarts, this.#restarts, at - oldest.startedAt)
    let count = this.#living.length + this.#unmissed.length
    for (; count < target && mayStart(this.#restarts, at); count++) {
      const [from, to] = this.#course.startMs
      this.#living.push(this.#one(at, from + (to - from) * this.#random()))
    }
    // The newest go first: who has not come to work yet is among them.
    this.#living.splice(Math.max(0, this.#living.length - Math.max(0, count - target)))
    this.#count(at)
  }

  /** Time at work of all of them between two moments; ms. */
  workingMs(from: number, to: number): number {
    if (this.#working === this.#living.length) return this.#working * (to - from)
    return this.#living.reduce(
      (sum, { readyAt }) => sum + Math.max(0, to - Math.max(from, readyAt)),
      0,
    )
  }

  #count(at: number): void {
    this.#working = this.#living.filter(({ readyAt }) => readyAt <= at).length
  }

  get #silenceMs(): number {
    return silenceMs[this.#course.kind]
  }

  #one(at: number, startMs: number): One {
    const readyAt = at + startMs
    return { startedAt: at, readyAt, endsAt: this.#endOf(readyAt) }
  }

  #endOf(readyAt: number): number {
    const { crashes } = this.#course
    if (!crashes) return Infinity
    const at = Math.max(readyAt, crashes.fromSeconds * 1_000) + crashes.afterMs
    return at < crashes.toSeconds * 1_000 ? at : Infinity
  }

  #lose(at: number): void {
    const loss = this.#course.losses?.[this.#lost]
    if (!loss || loss.atSeconds * 1_000 > at) return
    this.#lost++
    // The oldest: those of one machine have come together.
    for (const one of this.#living.slice(0, loss.executors)) one.endsAt = at
  }

  #countCrash({ startedAt, readyAt, endsAt }: One, at: number): void {
    const uptimeMs = endsAt >= readyAt ? endsAt - startedAt : 0
    const crash = { at, uptimeMs, reason: 'killed', refused: false }
    this.#restarts = crashed(executorRestarts, this.#restarts, crash, this.#random())
  }
}
