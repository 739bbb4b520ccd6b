/**
 * Spark's dynamic allocation as a policy, for comparison: org.apache.spark.ExecutorAllocationManager
 * of Spark 4.0 with schedulerBacklogTimeout 1 s, sustained 1 s, executorIdleTimeout 10 s. A stream
 * entry is a task, an executor has one slot. Pure.
 *
 *   tasks pending for 1 s → target + 1, + 2, + 4 … each further second, up to one executor a task
 *   fewer tasks than the target → the target falls to them at once; executors stay
 *   an executor idle for 10 s → it goes, unless that leaves fewer than the target
 */
import type { History, Moment } from './history.ts'
import { type Fleet, hold, reasons, type Step } from './reasons.ts'

const times = { backlogTimeoutMs: 1_000, sustainedTimeoutMs: 1_000, idleTimeoutMs: 10_000 } as const

export interface SparkState {
  /** Executors asked for; those that live may be more. */
  target: number
  /** When the next are added; null while no task is pending. */
  addAt: number | null
  /** How many: doubles as long as all of them were added. */
  toAdd: number
}

export const freshSpark: SparkState = { target: 0, addAt: null, toAdd: 1 }

/** Spark's state after one more look; it looks ten times a second, we as often as the supervisor. */
export function sparkTick(state: SparkState, fleet: Fleet, moment: Moment): SparkState {
  const { at, entries: tasks, undelivered: pending } = moment
  const addAt = pending > 0 ? (state.addAt ?? at + times.backlogTimeoutMs) : null
  const toAdd = pending > 0 ? state.toAdd : 1
  if (tasks < state.target) return { target: Math.max(tasks, fleet.min), addAt, toAdd: 1 }
  if (addAt === null || at < addAt) return { ...state, addAt, toAdd }
  return { ...added({ ...state, toAdd }, fleet, tasks), addAt: at + times.sustainedTimeoutMs }
}

export function sparkStep(fleet: Fleet, history: History, now: number): Step {
  const { target } = history.spark
  if (target > fleet.target) {
    const { undelivered } = history.moments.at(-1)!
    return { to: target, reason: reasons.backlog, because: `${undelivered} tasks wait for a slot` }
  }
  const idle = [...history.activity.values()].filter(
    ({ since }) => now - since >= times.idleTimeoutMs,
  ).length
  const to = Math.max(fleet.min, target, fleet.target - idle)
  if (to < fleet.target) {
    return { to, reason: reasons.idle, because: `${idle} had nothing to do for 10 s` }
  }
  const because = 'neither tasks without a slot nor an idle executor for long enough'
  return hold(fleet.target, reasons.hold, because)
}

function added(state: SparkState, fleet: Fleet, tasks: number): SparkState {
  if (state.target >= fleet.max) return { ...state, toAdd: 1 }
  const wanted = Math.min(Math.max(state.target, fleet.target) + state.toAdd, tasks)
  const target = Math.max(Math.min(wanted, fleet.max), fleet.min)
  const more = target - state.target
  return { ...state, target, toAdd: more === state.toAdd ? state.toAdd * 2 : 1 }
}
