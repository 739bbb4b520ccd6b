/** A change of a job's shards that is at work, as its steps need it. */
import type { Clock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { Lease } from './lease.ts'

export interface Change {
  store: Store
  job: Job
  /** The job with the shards that it has, and with those that it is to have. */
  from: Keys
  to: Keys
  /** Of this attempt; one that was decided goes on under its own. */
  id: string
  lease: Lease
  clock: Clock
  /** Says where it is, for people. */
  tell: (text: string) => void
}

/** Shards before and after, each once: of both the first ones are the same. */
export const allShards = ({ from, to }: Pick<Change, 'from' | 'to'>): readonly Keys[] =>
  from.shards.length > to.shards.length ? from.shards : to.shards

/** Where what a shard holds of no partition of its own goes, such as panes: itself, if it stays. */
export const heirOf = (shard: number, { to }: Pick<Change, 'to'>): Keys =>
  to.shards[shard % to.shards.length]!

/** Those that go. */
export const goingShards = ({ from, to }: Pick<Change, 'from' | 'to'>): readonly Keys[] =>
  from.shards.slice(to.shards.length)

/** The form in which the number of shards stands in Redis while it is changed. */
export const changingText = (from: number, to: number): string => `${from}>${to}`
