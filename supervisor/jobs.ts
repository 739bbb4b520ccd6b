/**
 * All jobs of one Redis as people compare them: the register's entries, each with what is measured now.
 *
 *   register → one measurement a job, sent together, every two seconds at the most → rows
 *
 * Guarantees: however many look, Redis is asked once in two seconds; no more than `JOBS_MOST` jobs are
 * measured; one that can't be (another user's keys) is told as unknown and hides no other.
 */
import type { Clock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import { isOutage, type Store } from '../actors/redis.ts'
import { heldKeys } from '../actors/shards.ts'
import { type NamedEntry, readEntries } from './entries.ts'
import { type JobState, remember, type StatusReport, statusOf } from './status.ts'
import { cached } from './status-reader.ts'

/** Those that were heard of last are shown; a Redis with more jobs wants more than a list. */
export const JOBS_MOST = 200

const lookEveryMs = 2_000

/** One job; times are ISO 8601 in UTC. */
export interface JobReport {
  job: string
  topics: string[]
  /** `unknown` where it could not be measured. */
  state: JobState | 'unknown'
  reason: string | null
  /** When its supervisor began to lead, and when it last said so. */
  since: string
  at: string
  host: string
  page: string | null
  executors: { count: number | null; min: number; max: number }
  maxResultDelayMs: number
  backlog: { records: number | null; kafkaLag: number | null }
  rates: StatusReport['rates']
  latencyMs: StatusReport['latencyMs']
  watermark: string | null
}

export interface JobsReport {
  jobs: JobReport[]
  /** Jobs of the register that are not shown. */
  more: number
}

/** Gives the jobs as they are, from at most one look in two seconds. Rejects while Redis is away. */
export function createJobsReader(
  store: Store,
  clock: Clock,
  everyMs: number = lookEveryMs,
): () => Promise<JobsReport> {
  /** Of each job the last measurements, oldest first, for the rates. */
  let histories = new Map<string, Snapshot[]>()
  return cached(clock, everyMs, async () => {
    const entries = await readEntries(store)
    const shown = newestOf(entries)
    const looks = await Promise.all(shown.map((entry) => lookAt(store, entry)))
    // Of jobs that are not there any more nothing is kept.
    histories = new Map(shown.map(({ job }) => [job, histories.get(job) ?? []]))
    const jobs = looks.map(({ entry, snapshot, problem }) => {
      if (!snapshot) return unmeasured(entry, problem)
      const history = histories.get(entry.job)!
      const report = reportOf(entry, snapshot, history)
      remember(history, snapshot)
      return report
    })
    return { jobs, more: entries.length - shown.length }
  })
}

/** By name; of too many those that said something last. */
function newestOf(entries: readonly NamedEntry[]): NamedEntry[] {
  if (entries.length <= JOBS_MOST) return [...entries]
  const newest = entries.toSorted((a, b) => b.at - a.at).slice(0, JOBS_MOST)
  return newest.sort((a, b) => (a.job < b.job ? -1 : 1))
}

interface LookAt {
  entry: NamedEntry
  snapshot: Snapshot | null
  problem: string
}

/** All are sent at once, and Redis answers them one by one: none holds it for long. */
async function lookAt(store: Store, entry: NamedEntry): Promise<LookAt> {
  try {
    const keys = await heldKeys(store, entry.job)
    return { entry, snapshot: await measure(store, keys), problem: '' }
  } catch (error) {
    if (isOutage(error)) throw error
    return { entry, snapshot: null, problem: messageOf(error) }
  }
}

function reportOf(entry: NamedEntry, snapshot: Snapshot, history: Snapshot[]): JobReport {
  const { job, limits } = entry
  const status = statusOf({ name: job, topic: entry.topics[0] ?? '' }, snapshot, history, null)
  const { state, reason, executors, backlog, rates, latencyMs, watermark } = status
  const { min, max, maxResultDelayMs } = executors
  return {
    ...aboutOf(entry),
    state,
    reason,
    executors: { count: executors.count, min: min ?? limits.min, max: max ?? limits.max },
    maxResultDelayMs: maxResultDelayMs ?? limits.maxResultDelayMs,
    backlog: { records: backlog.records, kafkaLag: backlog.kafkaLag },
    rates,
    latencyMs,
    watermark,
  }
}

/** What is known of one that may not be looked at, or whose keys are none of ours. */
function unmeasured(entry: NamedEntry, problem: string): JobReport {
  const { min, max, maxResultDelayMs } = entry.limits
  return {
    ...aboutOf(entry),
    state: 'unknown',
    reason: `it can't be measured: ${problem}`,
    executors: { count: null, min, max },
    maxResultDelayMs,
    backlog: { records: null, kafkaLag: null },
    rates: { inPerSecond: null, outPerSecond: null },
    latencyMs: { p50: null, p99: null },
    watermark: null,
  }
}

function aboutOf({ job, topics, since, at, host, page }: NamedEntry) {
  const iso = (ms: number) => new Date(Math.min(ms, 8.64e15)).toISOString()
  return { job, topics, since: iso(since), at: iso(at), host, page }
}
