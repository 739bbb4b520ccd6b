/** Whether a job's shards may be changed now: what it is, and who is at work. */
import { agreedShape } from '../actors/agree.ts'
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import { measure } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'
import { refuseWhole } from '../actors/shards.ts'
import { heldJobs } from '../versions/list.ts'

const LOOK_EVERY_MS = 200

/** @throws RefusalError where it can't have so many */
export async function refuseUnable(store: Store, job: Job, from: Keys, to: number): Promise<void> {
  if (to > 1) refuseWhole(job)
  await agreedShape(store, keysOf(job.name), job)
  const { version } = await measure(store, from.shards[0]!)
  if (version && version.stage !== 'live') {
    throw new RefusalError(
      `job ${job.name} is ${stageText[version.stage]}: finish that with bun run versions first`,
    )
  }
  const beside = (await heldJobs(store)).find(
    ({ snapshot }) => snapshot.version?.of === job.name && snapshot.version.stage === 'shadow',
  )
  if (beside) {
    throw new RefusalError(
      `${beside.name} runs as a shadow of job ${job.name}: make it the one or drop it first (bun run versions)`,
    )
  }
}

const stageText = {
  shadow: 'a shadow of another version',
  ending: 'about to be replaced by another version',
  replaced: 'replaced by another version',
} as const

/**
 * Nobody else works on it. Whoever was killed is at work until its lease has ended, for which there is a wait.
 * @throws RefusalError that names who does
 */
export async function refuseAtWork(
  store: Store,
  { from, clock, waits }: { from: Keys; clock: Clock; waits: boolean },
): Promise<void> {
  const deadline = clock.elapsed() + (waits ? 2 * bounds.leaseMs : 0)
  for (;;) {
    const { actors } = await measure(store, from.shards[0]!)
    const alive = actors.filter((actor) => actor.alive)
    if (alive.length === 0) return
    if (clock.elapsed() >= deadline) {
      const names = alive.map(({ id, kind }) => `${kind} ${id}`)
      throw new RefusalError(`the job is at work (${names.join(', ')}): end it first`)
    }
    await clock.sleep(LOOK_EVERY_MS)
  }
}
