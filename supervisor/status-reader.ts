/**
 * The status read model: what is asked of a job's state is answered from snapshots of Redis.
 *
 *   Redis → snapshot, cached a quarter of a second → report (status.ts) → GET /api/status, executors, …
 *
 * Guarantees: many readers cost one snapshot; it only reads, so any process may have one. Rejects while
 * Redis is away.
 */
import { type Clock, untilTick } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import type { Span } from '../actors/newest.ts'
import type { Store } from '../actors/redis.ts'
import { readSinks, type SinkReport } from '../actors/sinks/accounts.ts'
import { type CostReport, readCost } from './cost.ts'
import { readDecisions } from './decisions.ts'
import { type LoopAccount, readLoop } from './loop.ts'
import {
  type ActorReport,
  actorReports,
  type DecisionReport,
  decisionReport,
  type PartitionReport,
  partitionReports,
  remember,
  statusOf,
  type StatusReport,
} from './status.ts'
import { readTallies, type Tallies } from './tallies.ts'

export interface StatusReader {
  status(): Promise<StatusReport>
  executors(): Promise<{ executors: ActorReport[] }>
  /** The bridge, supervisors and web processes too. */
  actors(): Promise<{ actors: ActorReport[] }>
  partitions(): Promise<PartitionReport[]>
  /** The job's sinks, in the order in which it declares them. */
  sinks(): Promise<SinkReport[]>
  /** Sums over all executors that there ever were. */
  tallies(): Promise<Tallies>
  /** Newest first; those of a span where one is given. */
  decisions(limit: number, span?: Span): Promise<{ decisions: DecisionReport[] }>
  cost(): Promise<CostReport>
  /** The supervisor's loop, as the leader last told it; null where none did. */
  loop(): Promise<LoopAccount | null>
  /** Id of the supervisor that leads; null for none. */
  leader(): Promise<string | null>
}

const cacheMs = 225

/**
 * Besides answering it takes a snapshot now and then by itself, so that somebody who asks once gets
 * rates too, until `ended`; `sampleEveryMs` 0 leaves that out.
 */
export function createStatusReader(
  store: Store,
  keys: Keys,
  job: Pick<Job, 'name' | 'topic' | 'sinks'>,
  clock: Clock,
  { sampleEveryMs = 2_000, ended }: { sampleEveryMs?: number; ended?: AbortSignal } = {},
): StatusReader {
  const history: Snapshot[] = []
  const taken = cached(clock, cacheMs, async () => {
    const snapshot = await measure(store, keys)
    remember(history, snapshot)
    return snapshot
  })
  if (sampleEveryMs > 0) {
    const later = () => setTimeout(sample, untilTick(clock, sampleEveryMs)).unref()
    const sample = () => {
      if (ended?.aborted) return
      // While Redis is away there is nothing to remember, and whoever asks is told.
      void taken().catch(() => {})
      later()
    }
    later()
  }
  const last = cached(clock, cacheMs, () => readDecisions(store, keys, 1))
  return {
    async status() {
      const [snapshot, [decision]] = await Promise.all([taken(), last()])
      return statusOf(job, snapshot, history, decision ?? null)
    },
    async executors() {
      const { actors } = await taken()
      return { executors: actorReports(actors.filter(({ kind }) => kind === 'executor')) }
    },
    async actors() {
      return { actors: actorReports((await taken()).actors) }
    },
    async partitions() {
      return partitionReports(await taken())
    },
    sinks: cached(clock, cacheMs, () => readSinks(store, keys, job, clock.now())),
    tallies: cached(clock, cacheMs, () => readTallies(store, keys)),
    async decisions(limit, span) {
      return { decisions: (await readDecisions(store, keys, limit, span)).map(decisionReport) }
    },
    cost: cached(clock, cacheMs, () => readCost(store, keys)),
    loop: cached(clock, cacheMs, () => readLoop(store, keys)),
    async leader() {
      return (await taken()).leader || null
    },
  }
}

/** One call for many askers; a failure is not kept. */
export function cached<T>(clock: Clock, forMs: number, ask: () => Promise<T>): () => Promise<T> {
  let askedAt = Number.NEGATIVE_INFINITY
  let answer: Promise<T> | null = null
  return () => {
    const now = clock.elapsed()
    if (answer && now - askedAt < forMs) return answer
    askedAt = now
    const asked = ask()
    answer = asked
    asked.catch(() => {
      if (answer === asked) answer = null
    })
    return asked
  }
}
