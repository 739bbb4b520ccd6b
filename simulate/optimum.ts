/**
 * The hindsight optimum: what the cheapest fleet would have used, had it known every arrival.
 *
 * Computed exactly, by dynamic programming: whole executors n_i ∈ 0..max in each step of one second,
 * so that Σ n_i is least and no work is done later than `maxResultDelayMs` after it arrived. With
 *   W(t)  work that has arrived until t, in executor-ms (a record's cost, at its arrival)
 *   S_i   work that is done at the end of step i:  S_i = min(W(t_i), S_i-1 + n_i · step)
 *   M_i   the same with n = max in every step
 * it must hold that S_i ≥ min(W(t_i − maxResultDelay), M_i): in time, or as near to it as a fleet that
 * is always at its maximum comes. More done at the same cost is never worse, so of the plans with
 * equal cost only the one that has done most is kept; few costs are worth keeping, as what waits is
 * bounded by the delay.
 *
 * It is a lower bound for every fleet that changes at whole seconds: executors start at once, none is
 * slow or dies or waits for Redis or the bridge, work is a fluid that any number of them share, what
 * arrives within a step can be done by all of the step, and deadlines are looked at at its end. A fleet that changes within seconds and is paid
 * by the millisecond can come below it; `workMs` is the bound that nobody can pass.
 */
import { costOf } from './cost.ts'
import { Arrivals } from './load.ts'
import type { Scenario } from './scenario.ts'

export interface Optimum {
  /** Σ n_i · step. */
  executorMs: number
  /** Executors of each step. */
  plan: Uint8Array
  /** All work: what executors use that never wait and are paid only while they work. */
  workMs: number
  /** Whether every record can be in time with at most `max` executors. */
  feasible: boolean
}

const STEP_MS = 1_000

export function optimumOf(
  scenario: Scenario,
  setting: { max: number; maxResultDelayMs: number; seed: number },
): Optimum {
  const work = workOf(scenario, setting.seed, setting.maxResultDelayMs)
  return cheapest({ ...work, stepMs: STEP_MS, max: setting.max })
}

export interface Work {
  /** W at the end of each step; ms. */
  arrived: Float64Array
  /** What must be done at the end of each step: W one delay earlier; ms. */
  due: Float64Array
}

/** Work by steps, as the records of a scenario bring it. */
export function workOf(scenario: Scenario, seed: number, delayMs: number): Work {
  const steps = Math.ceil((scenario.seconds * 1_000) / STEP_MS)
  const arrived = new Float64Array(steps)
  const due = new Float64Array(steps)
  const arrivals = new Arrivals(scenario.load, seed)
  const cost = costOf(scenario.cost, seed)
  const put = (into: Float64Array, at: number, ms: number) => {
    const step = Math.max(0, Math.ceil(at / STEP_MS) - 1)
    if (step < steps) into[step]! += ms
  }
  for (let record = 0; ; record++) {
    const at = arrivals.next()
    if (at > scenario.seconds * 1_000) break
    const ms = cost.ms(record)
    put(arrived, at, ms)
    put(due, at + delayMs, ms)
  }
  for (let i = 1; i < steps; i++) {
    arrived[i]! += arrived[i - 1]!
    due[i]! += due[i - 1]!
  }
  return { arrived, due }
}

/** A plan up to a step: what it has cost and done, and how it came here. */
interface Plan {
  cost: number
  done: number
  executors: number
  before: Plan | null
}

/** Rounding of sums of costs; ms. */
const EPSILON = 1e-6

/** Least Σ n_i for work in steps. */
export function cheapest(problem: Work & { stepMs: number; max: number }): Optimum {
  const { arrived, due, stepMs, max } = problem
  let plans: Plan[] = [{ cost: 0, done: 0, executors: 0, before: null }]
  let most = 0
  let feasible = true
  for (let i = 0; i < arrived.length; i++) {
    most = Math.min(arrived[i]!, most + max * stepMs)
    if (most < due[i]! - EPSILON) feasible = false
    const least = Math.min(due[i]!, most) - EPSILON
    plans = next(plans, { arrived: arrived[i]!, least, stepMs, max })
  }
  const best = plans[0]!
  const plan = new Uint8Array(arrived.length)
  let at: Plan | null = best
  for (let i = arrived.length - 1; i >= 0; i--) {
    plan[i] = at!.executors
    at = at!.before
  }
  return { executorMs: best.cost * stepMs, plan, workMs: arrived.at(-1) ?? 0, feasible }
}

/** One step further: for each cost the plan that has done most, cheapest first, none in vain. */
function next(
  plans: readonly Plan[],
  step: { arrived: number; least: number; stepMs: number; max: number },
): Plan[] {
  const byCost: Plan[] = []
  const first = plans[0]!.cost
  for (const before of plans) {
    for (let executors = 0; executors <= step.max; executors++) {
      const done = Math.min(step.arrived, before.done + executors * step.stepMs)
      const cost = before.cost + executors
      const held = byCost[cost - first]
      if (done >= step.least && (!held || done > held.done + EPSILON)) {
        byCost[cost - first] = { cost, done, executors, before }
      }
      if (done === step.arrived) break
    }
  }
  const kept: Plan[] = []
  for (const plan of byCost) {
    if (plan && (kept.length === 0 || plan.done > kept.at(-1)!.done + EPSILON)) kept.push(plan)
  }
  return kept
}
