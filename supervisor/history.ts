/**
 * What the scale decision remembers: the trailing seconds, moment by moment, and what they say of
 * rates. Pure: observations in, a new history out; nothing here asks the time.
 *
 *   Observation (backlog.ts) → observe → History → decide.ts → remember → History
 */
import type { Observation } from './backlog.ts'
import type { Decision, Fleet } from './reasons.ts'

/** All of the policies' numbers. */
export const scaling = {
  /** A backlog that takes longer than this to drain is too slow (Spark: schedulerBacklogTimeout). */
  drainMs: 1_000,
  /** So long it must be too slow before the first step, and between steps. */
  backlogTimeoutMs: 1_000,
  /** Trailing time that must agree to a scale-in, and without a record before 0 (Spark: executorIdleTimeout). */
  idleTimeoutMs: 10_000,
  /** The share of an executor's time that steady work should take. */
  utilisation: 0.8,
  /** How fast what waits should be worked off beside what arrives: sets how many are needed. */
  catchUpMs: 5_000,
  /** Between the step to 1 and the step to 0, so that both are seen. */
  lastStepPauseMs: 2_000,
  /** Spans over which arrivals are averaged: to scale out soon, to scale in calmly. */
  arrivalsFastMs: 2_000,
  arrivalsCalmMs: 5_000,
  /** Span and time constant of the learned rate of one executor. */
  rateSpanMs: 5_000,
  rateEwmaMs: 2_000,
  /** Busy time below which a span says nothing of the rate. */
  rateBusyUsMin: 50_000,
  /** Two moments further apart than this leave a hole in which nothing is known. */
  holeMs: 2_500,
} as const

const keptMs = scaling.idleTimeoutMs + 2_000

/** One observation with what followed from it. */
export interface Moment {
  at: number
  /** False where measuring failed: every other field is then meaningless. */
  known: boolean
  /** What waits, Kafka's lag included as far as it is known. */
  backlog: number
  lagKnown: boolean
  arrived: number | null
  committed: number
  busyUs: number
  entries: number
  undelivered: number
  /** Executors that steady work needs by the calm arrival rate; null where that is unknown. */
  need: number | null
  /** Draining the backlog would take longer than `drainMs`. */
  slow: boolean
}

export interface History {
  /** Oldest first, the trailing seconds. */
  moments: readonly Moment[]
  /** Records that one executor does in a busy second; null before anything is known. */
  rate: number | null
  /** Since when, without a break: too slow; entries undelivered; nothing arrived and nothing waits. */
  slowSince: number | null
  undeliveredSince: number | null
  quietSince: number | null
  /** The last step outwards that the backlog caused, and when the fleet last grew and shrank. */
  step: { at: number; size: number } | null
  grewAt: number | null
  shrankAt: number | null
  /** Executor → its busy time when last seen, and since when that has not moved. */
  activity: ReadonlyMap<string, { busyMs: number; since: number }>
}

export const emptyHistory: History = {
  moments: [],
  rate: null,
  slowSince: null,
  undeliveredSince: null,
  quietSince: null,
  step: null,
  grewAt: null,
  shrankAt: null,
  activity: new Map(),
}

/** The history with one more observation; what was measured before it began again is forgotten. */
export function observe(history: History, fleet: Fleet, observation: Observation): History {
  const { at } = observation
  const moments = history.moments.filter((moment) => at - moment.at <= keptMs)
  if (!observation.known) {
    const moment = { ...unknownMoment, at }
    // Unknown breaks every "continuously": nothing is decided from what might have been.
    const broken = { slowSince: null, undeliveredSince: null, quietSince: null }
    return { ...history, ...broken, moments: [...moments, moment] }
  }
  const raw: Moment = {
    at,
    known: true,
    backlog: observation.waiting + (observation.kafkaLag ?? 0),
    lagKnown: observation.kafkaLag !== null,
    arrived: observation.arrived,
    committed: observation.committed,
    busyUs: observation.busyUs,
    entries: observation.entries,
    undelivered: observation.undelivered,
    need: null,
    slow: false,
  }
  const rate = learnRate(history, raw)
  const calm = arrivalsPerSecond([...moments, raw], scaling.arrivalsCalmMs)
  const moment = {
    ...raw,
    need: executorsNeeded(raw.backlog, calm, rate),
    slow: isSlow(raw.backlog, fleet, rate),
  }
  const since = (was: number | null, is: boolean) => (is ? (was ?? at) : null)
  return {
    ...history,
    moments: [...moments, moment],
    rate,
    slowSince: since(history.slowSince, moment.slow),
    undeliveredSince: since(history.undeliveredSince, moment.undelivered > 0),
    quietSince: quietSince(history, moment),
    activity: activityOf(history, fleet, at),
  }
}

/** The history after a decision was taken. */
export function remember(history: History, decision: Decision): History {
  const { at, from, to } = decision
  if (to > from) {
    return { ...history, grewAt: at, step: { at, size: to - from } }
  }
  return to < from ? { ...history, shrankAt: at, step: null } : history
}

/** The moment that a policy decides by. */
export function newest(history: History): Moment {
  const moment = history.moments.at(-1)
  if (!moment?.known) throw new Error('a policy was asked without a known moment')
  return moment
}

/** Executors that keep up with what arrives and work off what waits; null where a rate is unknown. */
export function executorsNeeded(
  backlog: number,
  arrivals: number | null,
  rate: number | null,
): number | null {
  if (backlog === 0 && arrivals === 0) return 0
  if (arrivals === null || rate === null) return null
  const perSecond = arrivals + backlog / (scaling.catchUpMs / 1_000)
  return Math.ceil(perSecond / (rate * scaling.utilisation))
}

/** Seconds until the fleet had done what waits; null while its rate is unknown. */
export function drainSeconds(backlog: number, executors: number, rate: number | null) {
  if (backlog === 0) return 0
  return rate === null || executors === 0 ? null : backlog / (executors * rate)
}

/** Arrivals a second over the trailing span; null where less than a quarter of it is known. */
export function arrivalsPerSecond(moments: readonly Moment[], spanMs: number): number | null {
  const last = moments.at(-1)
  if (!last || last.arrived === null) return null
  const trailing = knownTail(moments, spanMs)
  const first = trailing[0]!
  const elapsed = last.at - first.at
  if (elapsed < spanMs / 4) return null
  // A counter that went back (a rolled-back Redis) counts as nothing, not as negative arrivals.
  return (Math.max(0, last.arrived - (first.arrived ?? 0)) * 1_000) / elapsed
}

/** Whether every moment of the trailing span is known, Kafka's lag included, and none is missing. */
export function knownThroughout(moments: readonly Moment[], spanMs: number): boolean {
  const tail = knownTail(moments, spanMs + scaling.holeMs)
  const first = tail[0]
  const last = moments.at(-1)
  return first !== undefined && last !== undefined && last.at - first.at >= spanMs
}

/** The newest moments within the span, back to the first that is not known or a hole. */
function knownTail(moments: readonly Moment[], spanMs: number): readonly Moment[] {
  const last = moments.at(-1)
  if (!last) return []
  let first = moments.length
  let next = last.at
  while (first > 0) {
    const moment = moments[first - 1]!
    const usable = moment.known && moment.lagKnown && next - moment.at <= scaling.holeMs
    if (!usable || last.at - moment.at > spanMs) break
    next = moment.at
    first--
  }
  return moments.slice(first)
}

/** Before a rate is known, what waits at a running executor counts as slow: +1 steps are allowed. */
function isSlow(backlog: number, fleet: Fleet, rate: number | null): boolean {
  if (backlog === 0 || fleet.target === 0) return false
  const seconds = drainSeconds(backlog, fleet.target, rate)
  return seconds === null ? fleet.running > 0 : seconds * 1_000 > scaling.drainMs
}

/** Records per busy second over the trailing span, smoothed. */
function learnRate(history: History, now: Moment): number | null {
  const before = history.moments.find(({ known, at }) => known && now.at - at <= scaling.rateSpanMs)
  if (!before) return history.rate
  const records = now.committed - before.committed
  const busyUs = now.busyUs - before.busyUs
  if (records <= 0 || busyUs < scaling.rateBusyUsMin) return history.rate
  const sample = records / (busyUs / 1_000_000)
  if (history.rate === null) return sample
  const elapsed = now.at - (history.moments.at(-1)?.at ?? now.at)
  return history.rate + (sample - history.rate) * (1 - Math.exp(-elapsed / scaling.rateEwmaMs))
}

function quietSince(history: History, now: Moment): number | null {
  if (now.backlog > 0 || !now.lagKnown) return null
  const before = history.moments.at(-1)
  const unchanged = before?.known && before.arrived === now.arrived
  return unchanged && now.at - before.at <= scaling.holeMs ? (history.quietSince ?? now.at) : now.at
}

function activityOf(history: History, fleet: Fleet, at: number): History['activity'] {
  return new Map(
    fleet.executors.map(({ id, busyMs }) => {
      const held = history.activity.get(id)
      return [id, held && held.busyMs === busyMs ? held : { busyMs, since: at }]
    }),
  )
}

const unknownMoment: Moment = {
  at: 0,
  known: false,
  backlog: 0,
  lagKnown: false,
  arrived: null,
  committed: 0,
  busyUs: 0,
  entries: 0,
  undelivered: 0,
  need: null,
  slow: false,
}
