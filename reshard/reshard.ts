/**
 * Changes the number of a job's shards. Nobody works on the job meanwhile; killed at any point, it is run
 * again and goes on.
 *
 *   claim ──► drain ──► stage ──► decide ──► take ──► clear ──► number
 *     │  the text `from>to`, which keeps everybody out; until the decision it can be given up
 *     └─ what is staged is thrown away and made anew as often as it takes; after the decision it is only taken
 *
 * The shards may be on different servers. One that crashes may come back as it was a moment before, so that
 * between steps of which the later ones can't be taken back there is a wait until the earlier ones are on disk.
 */
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import { keysOf } from '../actors/keys.ts'
import { measure } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'
import { shardOf } from '../actors/shards.ts'
import { allShards, type Change, changingText, goingShards } from './change.ts'
import { drain, type OpenReader } from './drain.ts'
import { attemptOf, Lease } from './lease.ts'
import { refuseAtWork, refuseUnable } from './permission.ts'
import { readNumber, wayOut } from './number.ts'
import { dropStaged, readHeld, stage, type Staged } from './stage.ts'
import { clearGone, takeAll } from './take.ts'

/** What an append-only file that is synced every second may lack. */
const ON_DISK_MS = 2_000

export interface ReshardParts {
  store: Store
  job: Job
  to: number
  /** The hash of the job's code, as the records that wait are judged by it; null where it is not known. */
  code: string | null
  openReader: OpenReader
  clock: Clock
  tell: (text: string) => void
}

export interface Outcome {
  from: number
  to: number
  /** `same`: nothing to do; `given up`: it has the shards that it had. */
  outcome: 'changed' | 'same' | 'given up'
  partitions: number
  /** Partitions that are in another shard now. */
  moved: number
  /** Records that waited and were processed before. */
  records: number
  /** Panes of shards that went, merged into those of others. */
  panes: number
  seconds: number
}

export async function reshard(parts: ReshardParts): Promise<Outcome> {
  const { store, job, to, clock, tell } = parts
  const number = await readNumber(store, job.name)
  const begun = clock.elapsed()
  const nothing = { from: number.from, to, partitions: 0, moved: 0, records: 0, panes: 0 }
  if (number.to === null && number.from === to) return { ...nothing, outcome: 'same', seconds: 0 }
  const isBack = number.to !== null && number.from === to
  if (number.to !== null && number.to !== to && !isBack) {
    throw new RefusalError(
      `the shards of job ${job.name} are being changed from ${number.from} to ${number.to}: ${wayOut(number)}`,
    )
  }
  const home = keysOf(job.name)
  const lease = new Lease(store, home, clock)
  const from = keysOf(job.name, number.from)
  const change: Change = {
    store,
    job,
    from,
    lease,
    clock,
    tell,
    to: keysOf(job.name, number.to ?? to),
    id: attemptOf('attempt', clock),
  }
  await refuseUnable(store, job, from, to)
  await lease.take(number.to === null ? 0 : 2 * bounds.leaderLeaseMs)
  try {
    await refuseAtWork(store, { from, clock, waits: number.to !== null })
    const done = isBack
      ? await giveUp(change)
      : await carryOut(change, parts, number.to === null ? number.text : null)
    return { ...nothing, ...done, seconds: (clock.elapsed() - begun) / 1_000 }
  } finally {
    await lease.giveBack()
  }
}

type Done = Partial<Outcome> & Pick<Outcome, 'outcome'>

/** `before`: the number as Redis has it; null where the change was begun. */
async function carryOut(change: Change, parts: ReshardParts, before: string | null): Promise<Done> {
  const { store, from, to, clock } = change
  const text = changingText(from.shards.length, to.shards.length)
  if (before !== null) await renumber(change, before, text)
  // Somebody may have begun between the first look and the text that keeps everybody out.
  await refuseAtWork(store, { from, clock, waits: false })
  const decided = await decidedIn(change)
  if (decided === null) return finish(change, await prepare(change, parts))
  return finish({ ...change, id: decided }, 0)
}

/** Everything that can be done without changing what there is; answers with the records that waited. */
async function prepare(change: Change, { openReader, code }: ReshardParts): Promise<number> {
  const { store, from, lease, clock, tell } = change
  const { totals } = await measure(store, from)
  await drain(change, openReader, code)
  tell('putting together what the new shards hold')
  const staged = await stage(change)
  await lease.wait(ON_DISK_MS)
  await refuseAtWork(store, { from, clock, waits: false })
  await refuseChanged(change, staged)
  if ((await store.call('decide', from.base, [lease.id, change.id])) !== 1) {
    throw new RefusalError('somebody else changes the shards of the job; run it again')
  }
  return totals.waiting
}

/** @throws RefusalError where an old shard is not what it was when it was copied */
async function refuseChanged(change: Change, { held }: Staged): Promise<void> {
  if (JSON.stringify(await readHeld(change)) === JSON.stringify(held)) return
  throw new RefusalError('the job was changed while its shards were copied; run it again')
}

async function finish(change: Change, records: number): Promise<Done> {
  const { store, from, to, lease, tell } = change
  await lease.wait(ON_DISK_MS)
  tell('the new shards take what was put together')
  const panes = await takeAll(change)
  await lease.wait(ON_DISK_MS)
  await clearGone(change)
  const { partitions } = await measure(store, to)
  const moved = partitions.filter(
    ({ partition }) => shardOf(from, partition).base !== shardOf(to, partition).base,
  ).length
  const text = changingText(from.shards.length, to.shards.length)
  await renumber(change, text, String(to.shards.length))
  // Only what said that they went: nothing hangs on it any more.
  for (const shard of goingShards(change)) await store.redis.unlink(shard.change)
  return { outcome: 'changed', records, partitions: partitions.length, moved, panes }
}

async function renumber({ store, from, lease }: Change, is: string, next: string): Promise<void> {
  await lease.keep()
  if ((await store.call('renumber', from.base, [lease.id, is, next])) === 1) return
  throw new RefusalError('somebody else changes the shards of the job; run it again')
}

/** The attempt that was decided; null for none. */
async function decidedIn({ store, from }: Change): Promise<string | null> {
  const [id, decided] = await store.redis.hmget(from.shards[0]!.change, 'id', 'decided')
  return id && decided === '1' ? id : null
}

async function giveUp(change: Change): Promise<Done> {
  const { from, to } = change
  if ((await decidedIn(change)) !== null) {
    throw new RefusalError(
      `the shards of job ${change.job.name} have begun to be changed: run it with --to ${to.shards.length} to end that, and then change them back`,
    )
  }
  await dropStaged(change)
  // Of the first it goes with the number; before that everything can be staged anew.
  for (const shard of allShards(change).slice(1)) await change.store.redis.unlink(shard.change)
  const text = changingText(from.shards.length, to.shards.length)
  await renumber(change, text, String(from.shards.length))
  return { outcome: 'given up' }
}
