/**
 * What the scale decision remembers: the trailing seconds, moment by moment, and what they say of
 * rates. Pure: observations in, a new history out; nothing here asks the time.
 *
 *   Observation (backlog.ts) → observe → History → decide.ts → remember → History
 */
import type { Observation } from './backlog.ts'
import {
  type Done,
  isRipe,
  type Limit,
  limited,
  stepped,
  type Trial,
  trials,
  type Verdict,
  verdictOf,
  watched,
} from './gain.ts'
import { drainMsOf, drainSeconds, executorsNeeded, utilisation } from './need.ts'
import { type Decision, type Fleet, reasons } from './reasons.ts'
import { freshSpark, type SparkState, sparkTick } from './spark.ts'

/** The numbers that do not follow from `maxResultDelay` (need.ts). */
export const scaling = {
  /** Trailing time that must agree to a scale-in, and without a record before 0. */
  idleTimeoutMs: 10_000,
  /** A fleet that grows again so soon after it shrank was too small: then it shrinks later. */
  regretMs: 300_000,
  calmMaxMs: 600_000,
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
  /** Of that what is in the stream already. */
  waiting: number
  lagKnown: boolean
  arrived: number | null
  committed: number
  busyUs: number
  entries: number
  undelivered: number
  /** Executors that steady work needs by the calm arrival rate; null where that is unknown. */
  need: number | null
  /** Draining the backlog would take longer than it may. */
  slow: boolean
}

export interface History {
  /** Oldest first, the trailing seconds. */
  moments: readonly Moment[]
  /** Records that one executor does in a busy second; null before anything is known. */
  rate: number | null
  /** Since when, without a break: too slow; nothing arrived and nothing waits. */
  slowSince: number | null
  quietSince: number | null
  /** When it was last too slow. */
  slowAt: number | null
  /** The last step outwards that the backlog caused, and when the fleet last grew and shrank. */
  step: { at: number; size: number } | null
  grewAt: number | null
  shrankAt: number | null
  /** When it last shrank because the work needed fewer, which may prove wrong. */
  loweredAt: number | null
  /** After growing it is not made smaller for so long: doubles with each scale-in that was regretted. */
  calmMs: number
  /** Executor → its busy time when last seen, and since when that has not moved. */
  activity: ReadonlyMap<string, { busyMs: number; since: number }>
  /** Whether growth paid: being watched, just found, and what follows from that (gain.ts). */
  trial: Trial | null
  verdict: Verdict | null
  limit: Limit | null
  spark: SparkState
}

export const emptyHistory: History = {
  moments: [],
  rate: null,
  slowSince: null,
  quietSince: null,
  slowAt: null,
  step: null,
  grewAt: null,
  shrankAt: null,
  loweredAt: null,
  calmMs: scaling.idleTimeoutMs,
  activity: new Map(),
  trial: null,
  verdict: null,
  limit: null,
  spark: freshSpark,
}

/** The history with one more observation; what was measured before it began again is forgotten. */
export function observe(history: History, fleet: Fleet, observation: Observation): History {
  const { at } = observation
  const moments = history.moments.filter((moment) => at - moment.at <= keptMs)
  if (!observation.known) {
    const moment = { ...unknownMoment, at }
    // Unknown breaks every "continuously": nothing is decided from what might have been.
    const broken = { slowSince: null, quietSince: null, trial: null, verdict: null }
    return { ...history, ...broken, moments: [...moments, moment] }
  }
  const raw = rawMoment(observation)
  const rate = learnRate(history, raw)
  const calm = arrivalsPerSecond([...moments, raw], scaling.arrivalsCalmMs)
  const { running, maxResultDelayMs } = fleet
  const need = executorsNeeded({
    backlog: raw.backlog,
    running,
    arrivals: calm,
    rate,
    drainMs: drainMsOf(maxResultDelayMs),
    utilisation: utilisation.shrunk,
  })
  const moment = {
    ...raw,
    need,
    slow: isSlow(raw.backlog, fleet, rate),
  }
  const next = {
    ...history,
    moments: [...moments, moment],
    rate,
    slowSince: moment.slow ? (history.slowSince ?? at) : null,
    quietSince: quietSince(history, moment),
    slowAt: moment.slow ? at : history.slowAt,
    activity: activityOf(history, fleet, at),
    spark: sparkTick(history.spark, fleet, moment),
  }
  return judged(next, fleet, moment)
}

/** The history after a decision was taken. */
export function remember(history: History, decision: Decision): History {
  const { at, from, to, reason } = decision
  // A verdict is heard once, whatever came of it.
  const { verdict } = history
  const limit = verdict ? limited(verdict, history.limit, at) : history.limit
  const heard = { ...history, verdict: null, limit }
  if (to === from) return heard
  if (to < from) {
    const loweredAt = reason === reasons.utilisation ? at : history.loweredAt
    return { ...heard, shrankAt: at, loweredAt, step: null, trial: null }
  }
  const grown = { ...heard, grewAt: at, step: { at, size: to - from } }
  if (reason !== reasons.backlog) return grown
  const done = doneSince(history, history.slowSince ?? at)
  const trial = stepped(history.trial, { from, to, at, done, rate: history.rate })
  return { ...grown, trial, calmMs: calmAfter(history, at) }
}

/** How long to keep a fleet that grows now: twice as long where it shrank just before, else half as long. */
function calmAfter({ loweredAt, grewAt, calmMs }: History, now: number): number {
  // A further step of a climb changes nothing.
  if (grewAt !== null && (loweredAt === null || grewAt > loweredAt)) return calmMs
  const regretted = loweredAt !== null && now - loweredAt <= scaling.regretMs
  if (regretted) return Math.min(calmMs * 2, scaling.calmMaxMs)
  return Math.max(calmMs / 2, scaling.idleTimeoutMs)
}

/** The moment that a policy decides by. */
export function newest(history: History): Moment {
  const moment = history.moments.at(-1)
  if (!moment?.known) throw new Error('a policy was asked without a known moment')
  return moment
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

/** The share of its time that the fleet had records in hand, over the calm span; null where unknown. */
export function busyShare(history: History, executors: number): number | null {
  const trailing = knownTail(history.moments, scaling.arrivalsCalmMs)
  const first = trailing[0]
  const last = trailing.at(-1)
  if (!first || !last || last.at - first.at < scaling.arrivalsCalmMs / 2) return null
  return (last.busyUs - first.busyUs) / (executors * (last.at - first.at) * 1_000)
}

/** The limit that holds at the moment; null where none does. */
export function limitAt({ limit }: History, now: number): Limit | null {
  return limit && now < limit.until ? limit : null
}

/** Whether growth has paid is asked as soon as enough was seen. */
function judged(history: History, fleet: Fleet, moment: Moment): History {
  const { at } = moment
  const behindAt = history.slowAt ?? -Infinity
  const limit = at - behindAt > trials.limitMs ? null : history.limit
  const trial = watched(history.trial, { at, behindAt, running: fleet.running })
  const after = doneSince(history, at - trials.fullMs)
  if (!trial || !isRipe(trial, after, at)) return { ...history, trial, limit }
  const verdict = verdictOf(trial, after, bottleneck(moment, fleet))
  return { ...history, trial: null, verdict, limit }
}

/** What may hold up executors that are behind, for people. */
function bottleneck({ backlog, waiting, undelivered }: Moment, fleet: Fleet): string {
  if (undelivered === 0 && backlog - waiting > waiting) return 'Kafka or the bridge'
  if ((fleet.computing ?? 0) > 0.6) return 'the CPU'
  return 'Redis, or what the work waits for,'
}

/** What was done from a time on until now. */
function doneSince({ moments }: History, since: number): Done {
  const first = moments.find(({ at, known }) => known && at >= since)
  const last = moments.at(-1)
  if (!first || !last?.known) return { records: 0, ms: 0 }
  return { records: last.committed - first.committed, ms: last.at - first.at }
}

/** Before a rate is known, what waits at a running executor counts as slow: +1 steps are allowed. */
function isSlow(backlog: number, fleet: Fleet, rate: number | null): boolean {
  if (backlog === 0 || fleet.target === 0) return false
  const seconds = drainSeconds(backlog, fleet.target, rate)
  return seconds === null ? fleet.running > 0 : seconds * 1_000 > drainMsOf(fleet.maxResultDelayMs)
}

function rawMoment(observation: Extract<Observation, { known: true }>): Moment {
  const { at, waiting, kafkaLag, arrived, committed, busyUs, entries, undelivered } = observation
  return {
    at,
    known: true,
    backlog: waiting + (kafkaLag ?? 0),
    waiting,
    lagKnown: kafkaLag !== null,
    arrived,
    committed,
    busyUs,
    entries,
    undelivered,
    need: null,
    slow: false,
  }
}

/** Records per busy second over the trailing span, smoothed. */
function learnRate(history: History, now: Moment): number | null {
  const before = history.moments.find(({ known, at }) => known && now.at - at <= scaling.rateSpanMs)
  // A supervisor that just began knows what was done before its time.
  if (!before) return history.rate ?? rateOf(now.committed, now.busyUs)
  const sample = rateOf(now.committed - before.committed, now.busyUs - before.busyUs)
  if (sample === null || history.rate === null) return sample ?? history.rate
  const elapsed = now.at - (history.moments.at(-1)?.at ?? now.at)
  return history.rate + (sample - history.rate) * (1 - Math.exp(-elapsed / scaling.rateEwmaMs))
}

/** Null where too little was done to tell. */
function rateOf(records: number, busyUs: number): number | null {
  if (records <= 0 || busyUs < scaling.rateBusyUsMin) return null
  return records / (busyUs / 1_000_000)
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
  waiting: 0,
  lagKnown: false,
  arrived: null,
  committed: 0,
  busyUs: 0,
  entries: 0,
  undelivered: 0,
  need: null,
  slow: false,
}
