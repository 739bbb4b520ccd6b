/**
 * How old results are: from a record's Kafka timestamp to its commit. Each executor counts its records
 * by delay for as long as it lives; what was committed between two moments is the difference, and those
 * that ended meanwhile count with what they had done by then. Pure.
 */
import { type Actor, delayBucketsMs } from '../actors/messages.ts'

/** An executor's histogram: `delays[k]` records in bucket k (actors/messages.ts). */
export type Delayed = Pick<Actor, 'id' | 'delays'>

/** Records by delay that were committed after `before` and up to `now`, over all executors. */
export function delaysBetween(before: readonly Delayed[], now: readonly Delayed[]): number[] {
  const earlier = new Map(before.map(({ id, delays }) => [id, delays]))
  return delayBucketsMs.map((_, k) =>
    now.reduce((sum, { id, delays }) => sum + (delays[k] ?? 0) - (earlier.get(id)?.[k] ?? 0), 0),
  )
}

/** The upper bound in ms of the bucket that holds the quantile (19 % wide); null without a record. */
export function delayQuantile(delays: readonly number[], share: number): number | null {
  const count = delays.reduce((sum, records) => sum + records, 0)
  let left = count * share
  const bucket = delays.findIndex((records) => (left -= records) <= 0 && records > 0)
  return bucket < 0 ? null : Math.round(delayBucketsMs[bucket]! * 10) / 10
}
