/**
 * The virtual world for large fleets: records are a fluid, executors are as in crew.ts, and the
 * decisions those of supervisor/decide.ts, fed as the supervisor feeds it.
 *
 *   load → what waits → executors (their rates added up) → delays
 *            └── observe → decide → reconcile ──┘    every 250 ms, and at once when one ended
 *
 * Time goes by steps of 50 ms. What world.ts has and this has not: single records and their costs,
 * entries, heartbeats; where one executor or 300 of equal speed share cheap records, none of these
 * matter (tests/simulate/fleet.test.ts compares the two). Replayed to the last digit by its seed.
 */
import { seededRandom } from '../../actors/clock.ts'
import { bounds } from '../../actors/config.ts'
import type { Measurement } from '../../supervisor/backlog.ts'
import { addCost, type CostAccount } from '../../supervisor/cost.ts'
import { decide } from '../../supervisor/decide.ts'
import { emptyHistory, type History, observe, remember } from '../../supervisor/history.ts'
import type { Decision, Fleet } from '../../supervisor/reasons.ts'
import { rates } from '../load.ts'
import type { Course } from './course.ts'
import { Delays } from './delays.ts'
import { Staff } from './staff.ts'

export interface Terms {
  /** Records a second that one executor does. */
  recordsPerExecutor: number
  /** From a record's append to its commit where nothing waits: so long it counts as waiting. */
  residenceMs: number
  maxResultDelayMs: number
  seed: number
}

/** What a look saw. */
export interface Glance {
  atMs: number
  /** Executors that are wanted, that work, and that the load keeps busy. */
  wanted: number
  working: number
  worth: number
  /** How long all that waits would take the fleet that works; ms, null where none does. */
  behindMs: number | null
}

export interface Played {
  account: CostAccount
  decisions: Decision[]
  delays: Delays
  /** Records that were not done at the end. */
  undone: number
}

const times = { stepMs: 50, tickMs: 250 } as const

export function play(course: Course, terms: Terms, onLook?: (glance: Glance) => void): Played {
  return new Fluid(course, terms, onLook).run()
}

class Fluid {
  readonly #course: Course
  readonly #terms: Terms
  readonly #onLook: ((glance: Glance) => void) | undefined
  readonly #random: () => number
  readonly #staff: Staff
  readonly #delays = new Delays()
  readonly #decisions: Decision[] = []
  #history: History = emptyHistory
  #account: CostAccount = { since: 0, elapsedMs: 0, usedMs: 0, staticMs: 0 }
  #target: number
  #arrived = 0
  #done = 0
  #busyMs = 0
  /** Done in the last step, a second. */
  #pace = 0
  /** Of this second, by chance. */
  #factor = 1
  #worth = 0

  constructor(course: Course, terms: Terms, onLook?: (glance: Glance) => void) {
    this.#course = course
    this.#terms = terms
    this.#onLook = onLook
    this.#random = seededRandom(terms.seed)
    this.#staff = new Staff(course, this.#random)
    this.#target = course.warm
    this.#worth = rates(course.load)(0)
  }

  run(): Played {
    const { seconds, load, max } = this.#course
    const rateAt = rates(load)
    for (let at = 0; at < seconds * 1_000; at += times.stepMs) {
      const ended = this.#staff.turn(at)
      if (at % times.tickMs === 0 || ended) this.#look(at)
      if (at % 1_000 === 0) this.#factor = this.#chance()
      this.#worth = rateAt((at + times.stepMs / 2) / 1_000) * this.#factor
      this.#step(at)
      const usedMs = this.#staff.size * times.stepMs
      this.#account = addCost(this.#account, times.stepMs, usedMs, max)
    }
    const undone = this.#arrived - this.#done
    return { account: this.#account, decisions: this.#decisions, delays: this.#delays, undone }
  }

  /** What comes and what is done in a step. */
  #step(at: number): void {
    const { recordsPerExecutor, residenceMs } = this.#terms
    const seconds = times.stepMs / 1_000
    const came = this.#worth * recordsPerExecutor * seconds
    const capacity = this.#staff.workingMs(at, at + times.stepMs) * (recordsPerExecutor / 1_000)
    const done = Math.min(this.#arrived + came - this.#done, capacity)
    this.#arrived += came
    this.#done += done
    this.#busyMs += (done / recordsPerExecutor) * 1_000
    this.#pace = done / seconds
    this.#delays.step(at, came, done, residenceMs)
  }

  #look(at: number): void {
    const fleet = this.#fleet()
    const measured = this.#measure(at)
    this.#history = observe(this.#history, fleet, measured)
    const decision = decide('backlog', fleet, this.#history, at)
    this.#history = remember(this.#history, decision)
    if (decision.to !== decision.from) this.#decisions.push(decision)
    this.#target = decision.to
    this.#staff.reconcile(this.#target, at)
    const { working } = this.#staff
    const waits = this.#arrived - this.#done
    const behindMs =
      working === 0 ? null : (waits / (working * this.#terms.recordsPerExecutor)) * 1_000
    this.#onLook?.({ atMs: at, wanted: this.#target, working, worth: this.#worth, behindMs })
  }

  #fleet(): Fleet {
    const { max } = this.#course
    return {
      target: this.#target,
      running: this.#staff.seenWorking,
      joined: 0,
      // Only Spark's policy asks who has been idle, and for how long.
      executors: [],
      min: 0,
      max,
      paused: false,
      maxResultDelayMs: this.#terms.maxResultDelayMs,
      useful: null,
      computing: null,
    }
  }

  /** What is in the executors' hands counts as waiting, as in Redis. */
  #measure(at: number): Measurement {
    const { recordsPerExecutor, residenceMs } = this.#terms
    const inHand = (this.#pace * residenceMs) / 1_000
    const waiting = Math.round(this.#arrived - this.#done + inHand)
    const perEntry = Math.min(recordsPerExecutor, bounds.entryRecordsMax)
    const entries = Math.ceil(waiting / perEntry)
    return {
      known: true,
      at,
      waiting,
      kafkaLag: 0,
      arrived: Math.round(this.#arrived),
      committed: Math.round(this.#arrived) - waiting,
      busyUs: Math.round(this.#busyMs * 1_000),
      entries,
      undelivered: Math.max(0, entries - this.#staff.seenWorking),
    }
  }

  /** The normal distribution, by Box and Muller. */
  #chance(): number {
    const { jitter = 0 } = this.#course
    if (jitter === 0) return 1
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random()))
    return Math.max(0, 1 + jitter * radius * Math.cos(2 * Math.PI * this.#random()))
  }
}
