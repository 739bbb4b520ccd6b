/**
 * How many executors the work needs: the one formula of the `backlog` policy, and its sentence. Pure.
 *
 *   steady   = arrivals ÷ (rate × utilisation)         what keeps up, with room for chance
 *   catch-up = (arrivals + waiting ÷ drain) ÷ rate     what also works off the backlog in time
 *   needed   = ⌈ the greater of the two ⌉
 *
 * `drain` is half of `maxResultDelay`: the other half is for noticing and for starting executors.
 * After the true processing rate of DS2 (Kalavri et al., OSDI '18), which Flink's autoscaler uses too.
 */
import { wait } from './reasons.ts'

/**
 * The band in which a fleet stays as it is. One that must grow gets so large that steady work takes
 * 80 % of its time; one may shrink until it takes 95 %: delays are kept by looking at them, not by idling.
 */
export const utilisation = { grown: 0.8, shrunk: 0.95 } as const

export interface Load {
  /** Records that wait. */
  backlog: number
  /** Executors at work: each has a record in hand, which nobody can help it with. */
  running: number
  /** Records a second; null where that is not known. */
  arrivals: number | null
  /** Records that one executor does in a busy second; null before anything is known. */
  rate: number | null
  /** In which the backlog should be gone; ms. */
  drainMs: number
  /** The share of an executor's time that steady work may take. */
  utilisation: number
}

/** Half of the delay that results may have is for working off what waits. */
export const drainMsOf = (maxResultDelayMs: number): number => maxResultDelayMs / 2

/** How long a fleet must be too slow before it grows, and between two steps. */
export const patienceMsOf = (maxResultDelayMs: number): number => maxResultDelayMs / 4

/** Executors that the load needs; null where a rate is not known. */
export function executorsNeeded(load: Load): number | null {
  const parts = partsOf(load)
  return parts && wholeExecutors(Math.max(parts.steady, parts.catchUp))
}

/** Seconds until `executors` had done what waits; null while their rate is unknown. */
export function drainSeconds(backlog: number, executors: number, rate: number | null) {
  if (backlog === 0) return 0
  return rate === null || executors === 0 ? null : backlog / (executors * rate)
}

/** "38/s arriving, 12.4/s per executor at 80 % → 4 needed" */
export function formula(load: Load): string {
  const { backlog, arrivals, rate, drainMs, utilisation } = load
  const parts = partsOf(load)
  if (!parts) {
    const unknown = rate === null ? 'how fast an executor is' : 'how many arrive'
    return `${wait(backlog)}; ${unknown} is not known yet`
  }
  if (rate === null || arrivals === null) return 'nothing arrives and nothing waits → 0 needed'
  const needed = wholeExecutors(Math.max(parts.steady, parts.catchUp))
  const steady = parts.steady >= parts.catchUp
  const waiting = steady
    ? ''
    : ` and ${backlog} waiting to be done within ${amount(drainMs / 1_000)} s`
  const at = steady ? ` at ${Math.round(utilisation * 100)} %` : ''
  return `${amount(arrivals)}/s arriving${waiting}, ${amount(rate)}/s per executor${at} → ${needed} needed`
}

function partsOf({ backlog, running, arrivals, rate, drainMs, utilisation }: Load) {
  if (backlog === 0 && arrivals === 0) return { steady: 0, catchUp: 0 }
  if (arrivals === null || rate === null) return null
  const waiting = Math.max(0, backlog - running)
  return {
    steady: arrivals / (rate * utilisation),
    catchUp: (arrivals + (waiting * 1_000) / drainMs) / rate,
  }
}

/** A quotient that is whole but for its last binary digit is whole. */
const wholeExecutors = (executors: number) => Math.max(0, Math.ceil(executors - 1e-9))

/** Two or three digits are enough for people: 0.42, 3.5, 12.4, 380, 52000. */
export function amount(value: number): string {
  if (value >= 100) return String(Math.round(value))
  return String(Number(value.toFixed(value >= 1 ? 1 : 2)))
}
