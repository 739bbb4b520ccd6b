/**
 * An executor's whole life, from its first heartbeat to its leave, with entries of each shard; what it
 * needs is passed in, so that a simulation runs the same.
 */
import { agreedShape } from '../agree.ts'
import type { Clock } from '../clock.ts'
import type { Host } from '../host.ts'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import { Lifecycle, startWhenReady } from '../lifecycle.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import type { Trace } from '../trace/trace.ts'
import { Executor } from './executor.ts'
import type { Hand } from './hand.ts'
import { Stats } from './stats.ts'
import { Turns } from './turns.ts'

export interface ExecutorParts {
  job: Job
  keys: Keys
  id: string | undefined
  writer: Store
  /** Connections that block on reads, one for each shard. */
  readers: readonly Store[]
  clock: Clock
  host: Host
  log: Log
  /** Where a supervisor looks for what was in hand at our death. */
  hand?: Hand | null
  /** The hash of the job's code, which others may run in another version. */
  code?: string | undefined
  trace?: Trace | null
  /** Aborted when it was asked to end while it was warm: the lifecycle can't have heard of it. */
  asked?: AbortSignal
}

export async function runExecutor(parts: ExecutorParts): Promise<void> {
  const {
    job,
    keys,
    id,
    writer,
    readers,
    clock,
    host,
    log,
    hand = null,
    trace = null,
    asked,
    code,
  } = parts
  const stats = new Stats(host)
  const life = new Lifecycle({
    kind: 'executor',
    id,
    store: writer,
    keys,
    clock,
    host,
    log,
    account: () => ({ ...stats.account(clock.now()), ...(code && { judges: code }) }),
  })
  const drain = () => life.drain(String(asked?.reason))
  if (asked?.aborted) drain()
  asked?.addEventListener('abort', drain)
  await startWhenReady(life, [writer, ...readers], clock)
  // A version of the job with other panes must not even fold. Without an answer, commits find it out.
  await agreedShape(writer, keys, job).catch((error: unknown) => {
    if (!isOutage(error)) throw error
  })
  // A record of one shard at a time: as many are in hand as the job allows, and busy means one thing.
  const turns = keys.shards.length > 1 ? new Turns() : null
  const shared = { job, writer, clock, log, life, stats, hand, trace, turns }
  const executors = keys.shards.map(
    (shard, i) => new Executor({ ...shared, keys: shard, reader: readers[i]! }),
  )
  await Promise.all(executors.map((executor) => executor.run()))
  await life.leave()
  log.debug('left', { records: stats.records })
}
