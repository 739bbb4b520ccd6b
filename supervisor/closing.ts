/**
 * The leader's clockwork of event time: lets the watermark move and closes what it has passed.
 * Every call does a bounded step inside Redis; while there is more, the next follows at once.
 */
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { shapeArguments } from '../actors/windows/span.ts'

/** Steps of one look: many groups must not keep the supervisor from its other work. */
const stepsMax = 40

/** Answers whether more is left to close. Rejects on an outage; asking again is always safe. */
export async function advance(store: Store, keys: Keys, job: Job): Promise<boolean> {
  for (let step = 0; step < stepsMax; step++) {
    const reply = (await store.call('advance', keys.base, [
      job.ops,
      ...shapeArguments(job),
      job.watermarkDelayMs,
      bounds.idleAfterMs,
      bounds.closeGroupsMax,
      bounds.closedEntriesKept,
      bounds.closedBytesKept,
      bounds.closedEntriesHeld,
      ...job.sinks.map(({ name }) => name),
    ])) as [watermark: string, closedTo: string, more: number, holder: string]
    if (reply[2] !== 1) return false
  }
  return true
}
