/**
 * Decide: how many executors there should be, and why. Pure.
 *
 *   policy, fleet, history (history.ts), now → here → Decision → fleet.ts (act), decisions.ts
 *
 * Guarantees: within min..max; what is unknown holds; from 0 anything that waits wakes one at once;
 * in only when the whole trailing time agrees; never in within that time of having grown.
 */
import {
  arrivalsPerSecond,
  drainSeconds,
  executorsNeeded,
  type History,
  knownThroughout,
  newest,
  scaling,
} from './history.ts'
import {
  count,
  type Decision,
  type DecisionInputs,
  type Fleet,
  hold,
  type Policy,
  reasons,
  type Step,
} from './reasons.ts'
import { sparkStep } from './spark.ts'

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
  const { target, min, max } = fleet
  if (fleet.paused) return { to: 0, reason: reasons.paused, because: 'the job is paused' }
  if (target < min) return { to: min, reason: reasons.minimum, because: `the minimum is ${min}` }
  if (target > max) return { to: max, reason: reasons.maximum, because: `the maximum is ${max}` }
  return null
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
        stepOut(fleet, history, now) ??
        stepIn(fleet, history, now) ??
        hold(fleet.target, reasons.hold, 'as many as the work needs')
      )
    case 'spark':
      return sparkStep(fleet, history, now)
    default:
      return policy satisfies never
  }
}

function wake(fleet: Fleet, history: History): Step | null {
  const { backlog } = newest(history)
  if (fleet.target > 0 || backlog === 0) return null
  return { to: 1, reason: reasons.wake, because: `${count(backlog)} and nobody runs` }
}

/** 1, then 2, then 4 more while draining takes too long; never more than the rates say are needed. */
function stepOut(fleet: Fleet, history: History, now: number): Step | null {
  const { slowSince, rate } = history
  if (slowSince === null || now - slowSince < scaling.backlogTimeoutMs) return null
  const ran = history.step && history.step.at >= slowSince ? history.step : null
  if (ran && now - ran.at < scaling.backlogTimeoutMs) return null
  const { backlog } = newest(history)
  const arrivals = arrivalsPerSecond(history.moments, scaling.arrivalsFastMs)
  const need = executorsNeeded(backlog, arrivals, rate)
  const size = need === null || !ran ? 1 : ran.size * 2
  const most = Math.min(fleet.max, fleet.useful ?? Number.POSITIVE_INFINITY)
  const to = Math.min(fleet.target + size, need ?? Number.POSITIVE_INFINITY, most)
  if (to <= fleet.target) return null
  const seconds = drainSeconds(backlog, fleet.target, rate)
  const drain = seconds === null ? 'nothing done yet' : `${round(seconds)} s of work`
  const wants = need === null ? 'how many it needs is not known yet' : `it needs ${need}`
  return { to, reason: reasons.backlog, because: `${count(backlog)}, ${drain}; ${wants}` }
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
  const need = needThroughout(history, now)
  const to = Math.max(1, min, need ?? target)
  if (to >= target || isLongToDrain(history, to)) return null
  const because = `for ${seconds} s the work has needed at most ${to}`
  return { to, reason: reasons.utilisation, because }
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
function isLongToDrain(history: History, executors: number): boolean {
  const seconds = drainSeconds(newest(history).backlog, executors, history.rate)
  return seconds === null || seconds * 1_000 > scaling.drainMs
}

function inputsOf(policy: Policy, fleet: Fleet, history: History): DecisionInputs {
  const moment = history.moments.at(-1)
  const known = moment?.known ? moment : null
  const arrivals = arrivalsPerSecond(history.moments, scaling.arrivalsFastMs)
  const drain = known && drainSeconds(known.backlog, fleet.target, history.rate)
  return {
    policy,
    min: fleet.min,
    max: fleet.max,
    useful: fleet.useful,
    running: fleet.running,
    backlog: known && known.backlog,
    arrivalsPerSecond: orNull(arrivals),
    recordsPerExecutorSecond: orNull(history.rate),
    drainSeconds: orNull(drain),
    needed: known && executorsNeeded(known.backlog, arrivals, history.rate),
    neededCalmly: known && known.need,
  }
}

const change = (from: number, to: number) =>
  from === to ? `${from} executor${from === 1 ? '' : 's'} stay` : `${from} → ${to} executors`

const clamp = (value: number, min: number, max: number) => Math.max(min, Math.min(max, value))
const round = (value: number) => Math.round(value * 100) / 100
const orNull = (value: number | null) => (value === null ? null : round(value))
