/**
 * How many shards a job has: what it was begun with, which Redis holds. The environment says it once, for a
 * job that begins; from then on it may agree, or say nothing. `bun run reshard` changes it.
 */
import { systemClock } from './clock.ts'
import { messageOf, RefusalError } from './errors.ts'
import { type Keys, keysOf } from './keys.ts'
import type { Job } from './job.ts'
import type { Store } from './redis.ts'
import { partitionOf } from './topics.ts'

export const shardsRange = { from: 1, to: 64 } as const

/** The shard of a partition, by its number. */
export const shardOf = (keys: Keys, number: number): Keys =>
  keys.shards[partitionOf(number) % keys.shards.length]!

/**
 * The keys of a job as it is: for those who read it, and may have come before it. Rejects on an outage.
 * @throws RefusalError while the number of its shards is being changed
 */
export async function heldKeys(store: Store, job: string): Promise<Keys> {
  const kept = await store.redis.get(keysOf(job).count)
  return keysOf(job, kept === null ? 1 : countOf(job, kept))
}

/** The same for those who list jobs: of one whose shards are being changed, all that it has and will have. */
export async function presentKeys(store: Store, job: string): Promise<Keys> {
  const kept = (await store.redis.get(keysOf(job).count)) ?? ''
  const counts = kept.split('>').filter((text) => /^\d+$/.test(text))
  return keysOf(job, Math.max(1, ...counts.map(Number)))
}

/**
 * The same for those who work on it: a job that begins has `asked` shards from now on. One that was begun
 * before shards were counted has one.
 * @throws RefusalError where it has another number, or can't have several
 */
export async function agreedKeys(store: Store, job: Job, asked: number | undefined): Promise<Keys> {
  const kept = await store.redis.get(keysOf(job.name).count)
  const held = countOf(job.name, kept ?? (await settle(store, job, asked)))
  if (asked !== undefined && asked !== held) throw new RefusalError(anotherCount(job, held, asked))
  if (held > 1) refuseWhole(job)
  return keysOf(job.name, held)
}

/** Why a start with `asked` shards would be refused, for people; null where it would not. Changes nothing. */
export async function shardsProblem(
  store: Store,
  job: Job,
  asked: number | undefined,
): Promise<string | null> {
  const { count, ledger } = keysOf(job.name)
  const kept = await store.redis.get(count)
  const begun = kept !== null || (await store.redis.exists(ledger)) === 1
  try {
    const held = kept === null ? 1 : countOf(job.name, kept)
    if (begun && asked !== undefined && asked !== held) return anotherCount(job, held, asked)
    if ((begun ? held : (asked ?? 1)) > 1) refuseWhole(job)
    return null
  } catch (error) {
    return messageOf(error)
  }
}

/** Between two looks whether others have written the number down. */
const SETTLED_MS = 250

/** Writes the number down where there is none; answers with what stands there then. */
async function settle(store: Store, job: Job, asked: number | undefined): Promise<string> {
  const { count, ledger } = keysOf(job.name)
  const begun = (await store.redis.exists(ledger)) === 1
  const wanted = begun ? 1 : (asked ?? 1)
  if (wanted > 1) refuseWhole(job)
  try {
    await store.redis.set(count, String(wanted), 'NX')
  } catch (error) {
    if (!messageOf(error).startsWith('NOPERM')) throw error
    // An executor with a user of its own, that came before the supervisor.
    if (!begun) return untilSettled(store, count)
  }
  return (await store.redis.get(count)) ?? String(wanted)
}

async function untilSettled(store: Store, count: string): Promise<string> {
  for (;;) {
    const kept = await store.redis.get(count)
    if (kept !== null) return kept
    await systemClock.sleep(SETTLED_MS)
  }
}

/**
 * What a job has that its shards can't do each by itself.
 * @throws RefusalError that says what it is
 */
export function refuseWhole(job: Job): void {
  const what = wholeOf(job)
  if (what === null) return
  throw new RefusalError(
    `job ${job.name} has ${what}, which can't be divided over several shards: run it with REDIS_SHARDS=1`,
  )
}

/**
 * What is done with a job of one shard only.
 * @throws RefusalError where it has several
 */
export function refuseDivided({ shards }: Keys, job: string, what: string): void {
  if (shards.length === 1) return
  throw new RefusalError(
    `job ${job} has ${shards.length} shards, and ${what} is for jobs of one shard only: bun run reshard --to 1 makes it one`,
  )
}

function wholeOf(job: Job): string | null {
  if (job.gapMs !== null) return 'session windows'
  if (job.allowedLatenessMs > 0) return 'allowedLateness'
  return job.updatesMs > 0 ? 'updates' : null
}

function countOf(job: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new RefusalError(
    `the shards of job ${job} are being changed (${text.replace('>', ' to ')}); let bun run reshard end, or run it again`,
  )
}

const anotherCount = ({ name }: Job, held: number, asked: number): string =>
  `job ${name} has ${held === 1 ? 'one shard' : `${held} shards`}, and REDIS_SHARDS says ${asked}: leave that out, or change the job with bun run reshard --to ${asked}`
