/**
 * Measure: what waits, as the scale decision needs it, from one snapshot of Redis.
 *
 *   snapshot of Redis, or its failure → here → Measurement or unknown → decide.ts
 *
 * Guarantees: what could not be measured is *unknown*, never zero.
 */
import type { PartitionState, Snapshot } from '../actors/measure.ts'
import { quotaOf } from '../actors/quota.ts'

/** Kafka's high watermarks are the bridge's news; older than this they say nothing of Kafka's end. */
export const lagStaleMs = 5_000

export interface Measurement {
  known: true
  /** When, by our own monotonic-enough clock; epoch ms. */
  at: number
  /** Records in the stream that are not committed. */
  waiting: number
  /**
   * Records in Kafka that the bridge has not fetched, and that no quota holds there; null where the
   * bridge's news is too old.
   */
  kafkaLag: number | null
  /** Counters since the job began: records that came into Kafka (null as above), that are done. */
  arrived: number | null
  committed: number
  /** Time in which executors had records in hand, summed over all that ever ran; µs. */
  busyUs: number
  /** Stream entries, and of these the ones that no executor holds. */
  entries: number
  undelivered: number
}

export interface Unknown {
  known: false
  at: number
}

export type Observation = Measurement | Unknown

/** The measurement that a snapshot gives; `snapshot` is null where taking it failed. */
export function backlogOf(snapshot: Snapshot | null, at: number): Observation {
  if (!snapshot || !isSound(snapshot)) return { known: false, at }
  const { totals } = snapshot
  // What a quota holds back no executor can help with.
  const { heldBy } = quotaOf(snapshot.control, snapshot.quota, snapshot.at)
  const lag = heldBy === null ? kafkaLagOf(snapshot.partitions, snapshot.at) : 0
  return {
    known: true,
    at,
    waiting: Math.max(0, totals.appended - totals.committed),
    kafkaLag: lag,
    arrived: lag === null ? null : totals.appended + lag,
    committed: totals.committed,
    busyUs: totals.busyUs,
    entries: snapshot.entries,
    undelivered: Math.max(0, snapshot.entries - snapshot.pending),
  }
}

/** What executors can compute on. */
export interface Machine {
  cores: number
  /** Cores that idle now; null where that is not known. */
  room: number | null
}

/** An executor takes most of a core; with less than this left, it would take the rest from others. */
const ROOM_LEAST = 0.75

/**
 * How many executors the machine can keep busy: where their time goes into computing, as many as it
 * has cores, and no more than those that it has and those that it has room for; any number (null)
 * where it goes into waiting. More than that only take the cores from each other, and from Kafka and
 * Redis. While too little was done to tell, a machine without room is reason enough to wait.
 */
export function usefulExecutors(executors: readonly Work[], { cores, room }: Machine) {
  const share = computingShare(executors)
  if (share !== null && share <= 0.6) return null
  const more = room === null ? Infinity : Math.floor(room + 1 - ROOM_LEAST)
  const fitting = Math.max(1, executors.length + more)
  if (share !== null) return Math.min(cores, fitting)
  return more === 0 ? fitting : null
}

/** Of the time with records in hand, what went into computing; null where too little was done. */
export function computingShare(executors: readonly Work[]): number | null {
  const busyMs = executors.reduce((sum, one) => sum + one.busyMs, 0)
  const cpuMs = executors.reduce((sum, one) => sum + one.cpuMs, 0)
  return busyMs >= 300 ? cpuMs / busyMs : null
}

interface Work {
  busyMs: number
  cpuMs: number
}

/** Σ max(0, high − next) over partitions that are read; null before the bridge's first news and when it is old. */
export function kafkaLagOf(partitions: readonly PartitionState[], at: number): number | null {
  if (partitions.length === 0) return null
  const lags = partitions.filter(({ left }) => !left).map((partition) => lagOf(partition, at))
  return lags.reduce<number | null>(
    (sum, lag) => (lag === null || sum === null ? null : sum + lag),
    0,
  )
}

/** Of one partition; null when the news of it is old. */
export function lagOf({ high, next, seenAt }: PartitionState, at: number): number | null {
  return at - seenAt > lagStaleMs ? null : Math.max(0, high - next)
}

/** Counters that are not numbers (a key overwritten by somebody) measure nothing. */
function isSound({ totals }: Snapshot): boolean {
  return [totals.appended, totals.committed, totals.busyUs].every(Number.isFinite)
}
