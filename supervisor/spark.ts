/**
 * Spark's dynamic allocation as a policy, for comparison: org.apache.spark.ExecutorAllocationManager
 * with schedulerBacklogTimeout 1 s, sustained 1 s, executorIdleTimeout 10 s. A stream entry is a
 * task, an executor has one slot. Pure.
 */
import { type History, newest, scaling } from './history.ts'
import { count, type Fleet, hold, reasons, type Step } from './reasons.ts'

export function sparkStep(fleet: Fleet, history: History, now: number): Step {
  return (
    addExecutors(fleet, history, now) ??
    removeIdle(fleet, history, now) ??
    hold(fleet.target, reasons.hold, 'neither a backlog nor an idle executor for long enough')
  )
}

/** Pending tasks for 1 s add 1, then 2, 4, 8 each further second, up to one executor a task. */
function addExecutors(fleet: Fleet, history: History, now: number): Step | null {
  const since = history.undeliveredSince
  if (since === null || now - since < scaling.backlogTimeoutMs) return null
  const ran = history.step && history.step.at >= since ? history.step : null
  if (ran && now - ran.at < scaling.backlogTimeoutMs) return null
  const { entries, backlog } = newest(history)
  const size = ran ? ran.size * 2 : 1
  const to = Math.min(fleet.target + size, entries, fleet.max)
  if (to <= fleet.target) return null
  return { to, reason: reasons.backlog, because: `${count(backlog)}, not taken by anybody for 1 s` }
}

/** An executor without a task for 10 s goes, each by itself. */
function removeIdle(fleet: Fleet, history: History, now: number): Step | null {
  if (history.undeliveredSince !== null) return null
  const idle = [...history.activity.values()].filter(
    ({ since }) => now - since >= scaling.idleTimeoutMs,
  ).length
  const to = Math.max(fleet.min, fleet.target - idle)
  if (idle === 0 || to >= fleet.target) return null
  return { to, reason: reasons.idle, because: `${idle} had nothing to do for 10 s` }
}
