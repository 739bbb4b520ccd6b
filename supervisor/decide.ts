/**
 * Decide: how many executors there should be, and why. Pure.
 *
 *   policy, fleet, history (history.ts), now → here → Decision → fleet.ts (act), decisions.ts
 *
 * Guarantees: within min..max; what is unknown holds; from 0 anything that waits wakes one at once;
 * in only when the whole trailing time agrees, never a fleet that is behind or saturated, never
 * within that time of having grown. Every decision tells its formula with numbers.
 */
import {
  arrivalsPerSecond,
  busyShare,
  type History,
  knownThroughout,
  limitAt,
  newest,
  scaling,
} from './history.ts'
import {
  amount,
  drainMsOf,
  drainSeconds,
  executorsNeeded,
  formula,
  type Load,
  patienceMsOf,
  utilisation,
} from './need.ts'
import {
  change,
  type Decision,
  type DecisionInputs,
  type Fleet,
  hold,
  type Policy,
  reasons,
  type Step,
  wait,
} from './reasons.ts'
import { sparkStep } from './spark.ts'

/** A fleet whose executors have records in hand for a greater share of their time is not made smaller. */
const SATURATED = 0.95

/** A step that comes within so many times the patience of the one before continues its climb. */
const CLIMB = 4

/** The decision now; `to` equals `from` where nothing is to be done. */
export function decide(policy: Policy, fleet: Fleet, history: History, now: number): Decision {
  const step =
    commanded(fleet) ?? unknownHolds(fleet, history) ?? wanted(policy, fleet, history, now)
  const to = fleet.paused ? step.to : clamp(step.to, fleet.min, fleet.max)
  const reason = to === fleet.target && step.to !== to ? reasons.hold : step.reason
  return {
    at: now,
    from: fleet.target,
    to,
    reason,
    sentence: `${change(fleet.target, to)}: ${step.because}`,
    inputs: inputsOf(policy, fleet, history),
  }
}

/** What the operator's limits ask for, measured or not. */
function commanded(fleet: Fleet): Step | null {
  const { target, min, max, joined } = fleet
  if (fleet.paused) return { to: 0, reason: reasons.paused, because: 'the job is paused' }
  if (target < min) return { to: min, reason: reasons.minimum, because: `the minimum is ${min}` }
  if (target > max) return { to: max, reason: reasons.maximum, because: `the maximum is ${max}` }
  if (joined === 0 || target === max) return null
  // Wanted until the work needs fewer: at rest it would be sent away before it has done anything.
  const because = `${joined} ${joined === 1 ? 'was' : 'were'} started elsewhere`
  return { to: Math.min(target + joined, max), reason: reasons.joined, because }
}

function unknownHolds(fleet: Fleet, history: History): Step | null {
  if (history.moments.at(-1)?.known) return null
  return hold(fleet.target, reasons.unknown, 'what waits is unknown, so nothing changes')
}

function wanted(policy: Policy, fleet: Fleet, history: History, now: number): Step {
  switch (policy) {
    case 'backlog':
      return (
        wake(fleet, history) ??
        giveBack(fleet, history) ??
        stepOut(fleet, history, now) ??
        stepIn(fleet, history, now) ??
        hold(fleet.target, reasons.hold, formula(loadOf(fleet, history)))
      )
    case 'spark':
      return sparkStep(fleet, history, now)
    case 'fixed':
      return { to: fleet.max, reason: reasons.fixed, because: `a fixed number, ${fleet.max}` }
    default:
      return policy satisfies never
  }
}

function wake(fleet: Fleet, history: History): Step | null {
  const { backlog } = newest(history)
  if (fleet.target > 0 || backlog === 0) return null
  return { to: 1, reason: reasons.wake, because: `${wait(backlog)} and nobody runs` }
}

/** Executors that brought nothing go again; how many are enough is held on to for a while. */
function giveBack(fleet: Fleet, { verdict }: History): Step | null {
  if (!verdict || verdict.enough >= fleet.target) return null
  return { to: Math.max(1, verdict.enough), reason: reasons.limit, because: verdict.because }
}

/** 1, then 2, then 4 more while draining takes too long; never more than the rates say are needed. */
function stepOut(fleet: Fleet, history: History, now: number): Step | null {
  const { slowSince } = history
  const patienceMs = patienceMsOf(fleet.maxResultDelayMs)
  if (slowSince === null || now - slowSince < patienceMs) return null
  // Steps of one climb double; it may have kept up for a moment in between.
  const ran = history.step && now - history.step.at <= CLIMB * patienceMs ? history.step : null
  if (ran && now - ran.at < patienceMs) return null
  const load = loadOf(fleet, history)
  const need = executorsNeeded(load)
  if (need !== null && need <= fleet.target) return null
  const size = need === null || !ran ? 1 : ran.size * 2
  const bound = boundOf(fleet, history, now)
  const to = Math.min(fleet.target + size, need ?? Number.POSITIVE_INFINITY, fleet.max)
  if (to <= fleet.target) return null
  if (to <= bound.executors) return { to, reason: reasons.backlog, because: formula(load) }
  const because = `${formula(load)}; ${bound.because}`
  if (bound.executors <= fleet.target) return hold(fleet.target, reasons.limit, because)
  return { to: bound.executors, reason: reasons.backlog, because }
}

/** Executors beyond which more would bring nothing, and why. */
function boundOf({ useful }: Fleet, history: History, now: number) {
  const limit = limitAt(history, now)
  if (limit && limit.executors <= (useful ?? Number.POSITIVE_INFINITY)) return limit
  const because = `the work computes, and the machine has cores for ${useful}`
  return { executors: useful ?? Number.POSITIVE_INFINITY, because }
}

/** To what every moment of the trailing time agrees on; to 0 only by way of 1. */
function stepIn(fleet: Fleet, history: History, now: number): Step | null {
  const { target, min } = fleet
  if (target <= min || !mayShrink(history, now)) return null
  const seconds = Math.round(scaling.idleTimeoutMs / 1_000)
  const { quietSince } = history
  if (quietSince !== null && now - quietSince >= scaling.idleTimeoutMs) {
    const pause = history.shrankAt === null ? Infinity : now - history.shrankAt
    if (target === 1 && pause < scaling.lastStepPauseMs) return null
    const to = Math.max(min, target > 1 ? 1 : 0)
    return { to, reason: reasons.quiet, because: `no record for ${seconds} s` }
  }
  if (history.grewAt !== null && now - history.grewAt < history.calmMs) return null
  const need = needThroughout(history, now)
  const to = Math.max(1, min, need ?? target)
  if (to >= target || isLongToDrain(fleet, history, to) || isSaturated(fleet, history)) return null
  const calm = formula({
    ...loadOf(fleet, history, scaling.arrivalsCalmMs),
    utilisation: utilisation.shrunk,
  })
  const most = `at most ${need} for ${seconds} s`
  return { to, reason: reasons.utilisation, because: `${calm}, ${most}` }
}

function mayShrink(history: History, now: number): boolean {
  const { grewAt, moments } = history
  if (grewAt !== null && now - grewAt < scaling.idleTimeoutMs) return false
  return knownThroughout(moments, scaling.idleTimeoutMs)
}

/** The most that any moment of the trailing time needed; null where one was slow or not known. */
function needThroughout(history: History, now: number): number | null {
  let most = 0
  for (const moment of history.moments) {
    if (now - moment.at > scaling.idleTimeoutMs) continue
    if (moment.slow || moment.need === null) return null
    most = Math.max(most, moment.need)
  }
  return most
}

/** Whether fewer executors would be too slow for what waits at this very moment. */
function isLongToDrain(fleet: Fleet, history: History, executors: number): boolean {
  const seconds = drainSeconds(newest(history).backlog, executors, history.rate)
  return seconds === null || seconds * 1_000 > drainMsOf(fleet.maxResultDelayMs)
}

function isSaturated(fleet: Fleet, history: History): boolean {
  const share = busyShare(history, fleet.target)
  return share === null || share > SATURATED
}

/** What the formula of need.ts goes by: what arrives of late to grow soon, or over longer to shrink. */
function loadOf(
  { running, maxResultDelayMs }: Fleet,
  { moments, rate }: History,
  spanMs: number = scaling.arrivalsFastMs,
): Load {
  const arrivals = arrivalsPerSecond(moments, spanMs)
  const backlog = moments.at(-1)?.backlog ?? 0
  const drainMs = drainMsOf(maxResultDelayMs)
  return { backlog, running, arrivals, rate, drainMs, utilisation: utilisation.grown }
}

function inputsOf(policy: Policy, fleet: Fleet, history: History): DecisionInputs {
  const moment = history.moments.at(-1)
  const known = moment?.known ? moment : null
  const load = loadOf(fleet, history)
  const drain = known && drainSeconds(known.backlog, fleet.target, history.rate)
  return {
    policy,
    min: fleet.min,
    max: fleet.max,
    maxResultDelayMs: fleet.maxResultDelayMs,
    useful: fleet.useful,
    running: fleet.running,
    backlog: known && known.backlog,
    arrivalsPerSecond: orNull(load.arrivals),
    recordsPerExecutorSecond: orNull(load.rate),
    drainSeconds: orNull(drain),
    busy: orNull(fleet.target > 0 ? busyShare(history, fleet.target) : null),
    needed: known && executorsNeeded(load),
    neededCalmly: known && known.need,
  }
}

const clamp = (value: number, min: number, max: number) => Math.max(min, Math.min(max, value))
const orNull = (value: number | null) => (value === null ? null : Number(amount(value)))
