/** Takes a job off the register; never one that is at work, which would be back at its next word. */
import { keysOf } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { removeEntry } from './entries.ts'

export type Forgetting = 'forgotten' | 'leads' | 'absent'

/** What the job has in Redis stays; rejects on an outage. */
export async function forgetJob(store: Store, job: string): Promise<Forgetting> {
  if ((await store.redis.exists(keysOf(job).leader)) === 1) return 'leads'
  return (await removeEntry(store, job)) ? 'forgotten' : 'absent'
}

/** Why a job was not forgotten, for people. */
export const refusalOf = (outcome: Exclude<Forgetting, 'forgotten'>, job: string): string =>
  outcome === 'leads'
    ? `${job} is at work: a supervisor leads it; stop it first`
    : `there is no job ${JSON.stringify(job)} on the list`
