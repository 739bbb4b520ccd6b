/**
 * How old results are: from a record's Kafka timestamp, or from its event time, to its commit. Each executor counts its records
 * by delay for as long as it lives; what was committed between two moments is the difference, and those
 * that ended meanwhile count with what they had done by then. Pure.
 */
import { type Actor, delayBucketsMs } from '../actors/messages.ts'

/** An executor's histograms: records by bucket (actors/messages.ts). */
export type Delayed = Pick<Actor, 'id' | 'delays' | 'eventDelays'>

/** From Kafka's timestamp, of every record; from the event time, of a sample. */
export type DelayKind = 'delays' | 'eventDelays'

/** Records by delay that were committed after `before` and up to `now`, over all executors. */
export function delaysBetween(
  before: readonly Delayed[],
  now: readonly Delayed[],
  kind: DelayKind = 'delays',
): number[] {
  const earlier = new Map(before.map((actor) => [actor.id, actor[kind]]))
  return delayBucketsMs.map((_, k) =>
    now.reduce((sum, actor) => sum + (actor[kind][k] ?? 0) - (earlier.get(actor.id)?.[k] ?? 0), 0),
  )
}

export interface DelayQuantiles {
  p50: number | null
  p99: number | null
}

/** Median and p99 in ms of what was committed between two moments; null without a record. */
export function delayQuantiles(
  before: readonly Delayed[] | null,
  now: readonly Delayed[],
  kind: DelayKind,
): DelayQuantiles {
  if (!before) return { p50: null, p99: null }
  const delays = delaysBetween(before, now, kind)
  return { p50: delayQuantile(delays, 0.5), p99: delayQuantile(delays, 0.99) }
}

/** The upper bound in ms of the bucket that holds the quantile (19 % wide); null without a record. */
export function delayQuantile(delays: readonly number[], share: number): number | null {
  const count = delays.reduce((sum, records) => sum + records, 0)
  let left = count * share
  const bucket = delays.findIndex((records) => (left -= records) <= 0 && records > 0)
  return bucket < 0 ? null : Math.round(delayBucketsMs[bucket]! * 10) / 10
}
