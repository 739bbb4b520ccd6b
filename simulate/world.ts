/**
 * The virtual world: records arrive, executors work, the supervisor looks and decides, all in
 * virtual time. The decisions are those of supervisor/decide.ts, fed as the supervisor feeds it.
 *
 *   load → stream → crew (executors) → result delays
 *             └── observe → decide → reconcile ──┘    every 250 ms, and at once when woken
 *
 * Events are exact, not stepped: an arrival, a commit, a start, a crash, a look. A world is played
 * again to the last digit by its seed; it knows neither clocks nor chance of its own.
 */
import type { Measurement, Observation } from '../supervisor/backlog.ts'
import type { CostAccount } from '../supervisor/cost.ts'
import { decide } from '../supervisor/decide.ts'
import { emptyHistory, type History, observe, remember } from '../supervisor/history.ts'
import type { Decision, Fleet, Policy } from '../supervisor/reasons.ts'
import { type CostOf, costOf } from './cost.ts'
import { Crew } from './crew.ts'
import { states } from './executor.ts'
import { Arrivals, type Point } from './load.ts'
import type { Scenario, Span } from './scenario.ts'
import { Stream } from './stream.ts'

/** How a scenario is played. */
export interface Setting {
  policy: Policy
  min: number
  max: number
  maxResultDelayMs: number
  seed: number
  /** Executors that are at work from the beginning. */
  warm?: number
  /** Executors from a second on, whatever the policy says. */
  plan?: readonly Point[]
  /** So long what waits at the end is still worked off; an hour by default. */
  overtimeMs?: number
}

/** One look of the supervisor. */
export interface Look {
  atMs: number
  fleet: Fleet
  /** What the decision was taken by; null where it was unknown. */
  measured: Measurement | null
  /** Records that are not done, as they are and not as they were measured. */
  waiting: number
  arrived: number
  decision: Decision
  /** The scenario is over; only what waits is still worked off. */
  over: boolean
}

export interface Played {
  account: CostAccount
  /** Result delay of each record in ascending order; ms. */
  delays: Float64Array
  /** Records that were not done even in the overtime. */
  undone: number
  /** Those that changed the count. */
  decisions: Decision[]
}

const times = { tickMs: 250, idleTickMs: 1_000, leastMs: 25 } as const

const OVERTIME_MS = 3_600_000

/** More records than this in one play would not fit into memory. */
export const RECORDS_MAX = 30_000_000

/** Plays a scenario to its end. */
export function play(scenario: Scenario, setting: Setting, onLook?: (look: Look) => void): Played {
  const world = new World(scenario, setting, onLook)
  return world.run()
}

class World {
  readonly #scenario: Scenario
  readonly #setting: Setting
  readonly #onLook: ((look: Look) => void) | undefined
  readonly #endMs: number
  readonly #arrivals: Arrivals
  readonly #stream: Stream
  readonly #crew: Crew
  readonly #decisions: Decision[] = []
  #history: History = emptyHistory
  #target: number
  #lookedAt = -Infinity
  #lookAt = 0
  #arriveAt = 0
  /** The bridge: between two records, when it moves the next one, and when it moved the last. */
  readonly #appendMs: number
  #appendAt = Infinity
  #appendedAt = -Infinity
  /** What was measured, oldest first, where measurements lag. */
  #measured: Measurement[] = []

  constructor(scenario: Scenario, setting: Setting, onLook?: (look: Look) => void) {
    const { seed, warm = 0, max } = setting
    const cost: CostOf = costOf(scenario.cost, seed)
    this.#scenario = scenario
    this.#setting = setting
    this.#onLook = onLook
    this.#endMs = scenario.seconds * 1_000
    this.#arrivals = new Arrivals(scenario.load, seed)
    this.#stream = new Stream(cost.meanMs)
    this.#crew = new Crew(scenario, { stream: this.#stream, cost, seed, staticSize: max })
    this.#crew.warm(warm)
    this.#target = warm
    this.#appendMs = 1_000 / (scenario.bridgePerSecond ?? Infinity)
    this.#arriveAt = this.#nextArrival()
  }

  run(): Played {
    const lastMs = this.#endMs + (this.#setting.overtimeMs ?? OVERTIME_MS)
    let at = 0
    for (;;) {
      const { nextAt } = this.#crew
      at = Math.min(this.#arriveAt, this.#appendAt, this.#lookAt, nextAt)
      const over = at > this.#endMs
      if (over && (this.#stream.undone === 0 || at > lastMs)) break
      if (this.#arriveAt <= at) this.#arrive(at)
      else if (this.#appendAt <= at) this.#append(at)
      else if (nextAt <= at) this.#work(at)
      else this.#look(at)
    }
    this.#crew.count(this.#endMs)
    const held = this.#crew.members.flatMap((executor) => executor.held)
    const { undone } = this.#stream
    return {
      account: this.#crew.account,
      undone,
      delays: this.#stream.delays(held, at),
      decisions: this.#decisions,
    }
  }

  #arrive(at: number): void {
    if (this.#stream.arrived >= RECORDS_MAX) {
      throw new RangeError(`scenario ${this.#scenario.name} has more than ${RECORDS_MAX} records`)
    }
    this.#stream.arrive(at)
    this.#arriveAt = this.#nextArrival()
    if (this.#appendMs === 0) this.#append(at)
    else if (this.#appendAt === Infinity)
      this.#appendAt = Math.max(at, this.#appendedAt + this.#appendMs)
  }

  #append(at: number): void {
    // From 0 the bridge wakes the supervisor with the first that waits.
    if (this.#stream.waiting === 0 && this.#target === 0) this.#wake(at)
    this.#stream.append(at)
    this.#crew.offer(at)
    this.#appendedAt = at
    this.#appendAt = this.#stream.appended < this.#stream.arrived ? at + this.#appendMs : Infinity
  }

  #nextArrival(): number {
    const next = this.#arrivals.next()
    return next <= this.#endMs ? next : Infinity
  }

  #work(at: number): void {
    if (this.#crew.turn(at)) this.#wake(at)
  }

  #wake(at: number): void {
    this.#lookAt = Math.min(this.#lookAt, Math.max(at, this.#lookedAt + times.leastMs))
  }

  #look(at: number): void {
    const { policy } = this.#setting
    const fleet = this.#fleet(at)
    const observation = this.#observe(at)
    this.#history = observe(this.#history, fleet, observation)
    const decision = decide(policy, fleet, this.#history, at)
    this.#history = remember(this.#history, decision)
    const over = at > this.#endMs
    if (decision.to !== decision.from && !over) this.#decisions.push(decision)
    this.#target = decision.to
    const { undone: waiting, arrived } = this.#stream
    const measured = observation.known ? observation : null
    this.#onLook?.({ atMs: at, fleet, measured, waiting, arrived, decision, over })
    this.#crew.reconcile(this.#target, at)
    this.#lookedAt = at
    this.#lookAt = at + this.#pauseMs(at, observation)
  }

  #fleet(at: number): Fleet {
    const { living } = this.#crew
    for (const executor of living) if (executor.worked) executor.beat(at)
    const fleet = {
      target: this.#target,
      running: living.filter(({ state }) => state === states.running).length,

      joined: 0,
      executors: living.map(({ id, told }) => ({ id, busyMs: told.busyMs })),
      paused: false,
      useful: null,
      computing: null,
      maxResultDelayMs: this.#setting.maxResultDelayMs,
      ...this.#limits(at),
    }
    return fleet
  }

  #limits(at: number): { min: number; max: number } {
    const { min, max, plan } = this.#setting
    if (!plan) return { min, max }
    // Who knows the load beforehand also starts executors in time.
    const { startMs } = this.#scenario
    const aheadMs = typeof startMs === 'number' ? startMs : startMs[1]
    const executors = planned(plan, (at + aheadMs) / 1_000)
    // One fewer from the time at which the load falls, not before it.
    const fewest = Math.max(executors, planned(plan, at / 1_000))
    return { min: fewest, max: fewest }
  }

  #observe(at: number): Observation {
    const { blind = [], lagMs = 0 } = this.#scenario
    const measured = this.#measure(at)
    if (isWithin(blind, at)) return { known: false, at }
    if (lagMs === 0) return measured
    this.#measured.push(measured)
    while (this.#measured.length > 1 && this.#measured[1]!.at <= at - lagMs) this.#measured.shift()
    const old = this.#measured[0]!
    return old.at <= at - lagMs ? { ...old, at } : { known: false, at }
  }

  #measure(at: number): Measurement {
    const { arrived, appended, committed, waiting, entries, undelivered } = this.#stream
    return {
      known: true,
      at,
      waiting,
      kafkaLag: arrived - appended,
      arrived,
      committed,
      busyUs: Math.round(this.#crew.busyMs * 1_000),
      entries,
      undelivered,
    }
  }

  #pauseMs(at: number, observation: Observation): number {
    const idle =
      this.#target === 0 &&
      observation.known &&
      this.#stream.undone === 0 &&
      this.#crew.members.length === 0
    const wait = this.#crew.waitMs(at)
    const tick = idle ? times.idleTickMs : times.tickMs
    return Math.min(tick, wait > 0 ? wait + 1 : Infinity)
  }
}

/** The plan's executors at a second. */
export function planned(plan: readonly Point[], seconds: number): number {
  return plan.findLast(([from]) => from <= seconds)?.[1] ?? plan[0]?.[1] ?? 0
}

const isWithin = (spans: readonly Span[], atMs: number) =>
  spans.some(([from, to]) => atMs >= from * 1_000 && atMs < to * 1_000)
