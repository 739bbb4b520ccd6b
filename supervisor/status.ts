/**
 * The status read model: what web, metrics and console show of a job, from snapshots of Redis.
 *
 *   Redis → snapshot, cached a quarter of a second → here → GET /api/status, executors, decisions, …
 *
 * Guarantees: a number that is not known is null; many readers cost one snapshot; it only reads, so
 * any process may have one. Rejects while Redis is away.
 */
import { type Clock, untilTick } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Stage } from '../actors/lineage.ts'
import { measure, type PartitionState, type Snapshot } from '../actors/measure.ts'
import { type KnownTopic, partitionOf, topicIndexOf } from '../actors/topics.ts'
import type { Actor, ActorState } from '../actors/messages.ts'
import type { Span } from '../actors/newest.ts'
import { heldText, type Holder, memoryUsed, quotaOf } from '../actors/quota.ts'
import type { Store } from '../actors/redis.ts'
import { readSinks, type SinkReport } from '../actors/sinks/accounts.ts'
import { kafkaLagOf, lagOf } from './backlog.ts'
import { type CostReport, readCost } from './cost.ts'
import { type KeptDecision, readDecisions } from './decisions.ts'
import { type ShardReport, shardReports } from './divided.ts'
import { type HostReport, hostReports } from './host-report.ts'
import { type DelayQuantiles, delayQuantiles } from './latency.ts'
import { type LoopAccount, readLoop } from './loop.ts'
import type { DecisionInputs, Reason } from './reasons.ts'
import { readTallies, type Tallies } from './tallies.ts'

export type JobState = 'running' | 'degraded' | 'paused' | 'stopped'

/** `shadow` and `live`: of a version beside, or in the place of, `of`; `ending` and `replaced`: `by` another. */
export interface VersionReport {
  stage: Stage
  of: string | null
  by: string | null
}

/** Answer of GET /api/status; times are ISO 8601 in UTC. */
export interface StatusReport {
  job: string
  topic: string
  /** Where it stands among the job's versions; null where it stands alone. */
  version: VersionReport | null
  state: JobState
  /** Why it is degraded or stopped, or held by a quota, for people; null where it is neither. */
  reason: string | null
  at: string
  watermark: string | null
  /** The partition that holds the watermark: not read yet, behind, or simply the slowest. */
  watermarkHeldBy: number | null
  /** And its topic, where the job has several. */
  watermarkHeldByTopic: string | null
  backlog: {
    /** Records in the stream that are not committed; Kafka's lag comes on top. */
    records: number
    entries: number
    pending: number
    undelivered: number
    kafkaLag: number | null
  }
  executors: {
    count: number
    min: number | null
    max: number | null
    policy: string | null
    /** How old a result may be, which the fleet is scaled for. */
    maxResultDelayMs: number | null
  }
  /** What each shard has in Redis; one where the job is not divided. */
  shards: ShardReport[]
  /** Machines that its executors run on by what its leader wants, that one's first. */
  hosts: HostReport[]
  /** What the job may have, null for no quota; what it has of Redis's memory; by what it is held. */
  quota: {
    recordsPerSecond: number | null
    memoryBytes: number | null
    usedBytes: number | null
    heldBy: Holder | null
  }
  rates: { inPerSecond: number | null; outPerSecond: number | null }
  /** Result delay: Kafka's timestamp to commit. */
  latencyMs: DelayQuantiles
  /** Event-time delay: event time to commit, of a sample of the records. */
  eventDelayMs: DelayQuantiles
  totals: {
    appended: number
    committed: number
    counted: number
    filtered: number
    late: number
    rejected: number
    /** Deleted by Kafka before they were read, and given up with --accept-loss; not in `appended`. */
    lost: number
    /** appended − committed − waiting: anything but 0 is a bug. */
    unaccounted: number
  }
  /** Late and rejected records by reason. */
  rejects: Record<string, number>
  lastDecision: DecisionReport | null
}

/** One of GET /api/executors; other actors have the same form. */
export interface ActorReport {
  kind: Actor['kind']
  id: string
  pid: number
  host: string
  state: ActorState
  /** Of its last account of itself, which is what follows. */
  at: string
  startedAt: string
  stoppedAt: string | null
  reason: string | null
  /** Share of time with records in hand, 0 to 1. */
  busy: number | null
  records: number
  entries: number
  recordsPerSecond: number | null
  rssBytes: number
  /** Records by result delay since its start: bucket k ends at 2^(k/4) ms. */
  delays: number[]
  /** The same by event-time delay, of a sample. */
  eventDelays: number[]
}

/** One partition of a topic that is read. */
export interface PartitionReport {
  /** Null where the job has one topic. */
  topic: string | null
  partition: number
  /** Records in Kafka that are not fetched; null where the news of it is old. */
  lag: number | null
  /** Offsets that are fetched and not finished. */
  unfinished: number
  /** Highest event time of what is finished, in epoch ms; null before the first record. */
  maxEventTime: number | null
}

export interface DecisionReport {
  id: string
  at: string
  from: number
  to: number
  reason: Reason
  sentence: string
  inputs: DecisionInputs
  /** Until as many were running, or no more were left; null where that was not seen, or not yet. */
  effectMs: number | null
}

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
const rateSpanMs = { least: 1_000, most: 10_000 }

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
      const executors = actors.filter(({ kind }) => kind === 'executor').map(actorReport)
      return { executors: executors.sort(livingFirst) }
    },
    async actors() {
      return { actors: (await taken()).actors.map(actorReport).sort(livingFirst) }
    },
    async partitions() {
      const { partitions, topics, at } = await taken()
      return partitions.filter(({ left }) => !left).map((one) => partitionReport(one, at, topics))
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

/** The report of one snapshot; `history` holds earlier ones, oldest first, for the rates. Pure. */
export function statusOf(
  job: Pick<Job, 'name' | 'topic'>,
  snapshot: Snapshot,
  history: readonly Snapshot[],
  decision: KeptDecision | null,
): StatusReport {
  const { totals, control } = snapshot
  const executors = snapshot.actors.filter((actor) => actor.kind === 'executor' && actor.alive)
  const before = earlier(snapshot, history)
  const holder = watermarkHolder(snapshot.partitions, snapshot.at)
  return {
    job: job.name,
    topic: job.topic,
    version: versionReport(snapshot.version),
    ...stateOf(snapshot),
    at: iso(snapshot.at),
    watermark: snapshot.watermark === null ? null : iso(snapshot.watermark),
    watermarkHeldBy: holder === null ? null : partitionOf(holder),
    watermarkHeldByTopic: holder === null ? null : topicName(holder, snapshot.topics),
    backlog: {
      records: totals.appended - totals.committed,
      entries: snapshot.entries,
      pending: snapshot.pending,
      undelivered: Math.max(0, snapshot.entries - snapshot.pending),
      kafkaLag: kafkaLagOf(snapshot.partitions, snapshot.at),
    },
    executors: {
      count: executors.length,
      min: wholeOrNull(control.min),
      max: wholeOrNull(control.max),
      policy: control.policy || null,
      maxResultDelayMs: wholeOrNull(control.maxResultDelayMs),
    },
    shards: shardReports(snapshot.shards, holder),
    hosts: hostReports(snapshot),
    quota: quotaReport(snapshot),
    rates: ratesOf(snapshot, before),
    latencyMs: delayQuantiles(before?.actors ?? null, snapshot.actors, 'delays'),
    eventDelayMs: delayQuantiles(before?.actors ?? null, snapshot.actors, 'eventDelays'),
    totals: {
      appended: totals.appended,
      committed: totals.committed,
      counted: totals.counted,
      filtered: totals.filtered,
      late: totals.late,
      rejected: totals.rejected,
      lost: totals.lost,
      unaccounted: totals.appended - totals.committed - totals.waiting,
    },
    rejects: snapshot.rejects,
    lastDecision: decision && decisionReport(decision),
  }
}

export const versionReport = (version: Snapshot['version']): VersionReport | null =>
  version && { stage: version.stage, of: version.of ?? null, by: version.by ?? null }

export function decisionReport(decision: KeptDecision): DecisionReport {
  return { ...decision, at: iso(decision.at) }
}

/**
 * Stopped without a leader; degraded with what is wrong; paused by the operator; else running, and then
 * the reason says by which quota it is held.
 */
export function stateOf(snapshot: Snapshot): { state: JobState; reason: string | null } {
  if (!snapshot.leader) return { state: 'stopped', reason: 'no supervisor leads' }
  const wrong = snapshot.actors.flatMap((actor) => complaintOf(actor) ?? [])
  if (wrong.length > 0) return { state: 'degraded', reason: wrong.join('; ') }
  if (snapshot.control.paused === '1') return { state: 'paused', reason: null }
  return {
    state: 'running',
    reason: heldText(quotaOf(snapshot.control, snapshot.quota, snapshot.at)),
  }
}

/** A kind that was given up, or a bridge, sinks or a supervisor at work that says what is wrong. */
function complaintOf({ kind, state, reason, alive }: Snapshot['actors'][number]): string | null {
  if (state === 'failed') return `the ${kind} failed: ${reason ?? 'it gives no reason'}`
  const complains = kind === 'bridge' || kind === 'sinks' || kind === 'supervisor'
  if (complains && alive && state === 'running') return reason
  return null
}

function quotaReport({ control, quota, at }: Snapshot): StatusReport['quota'] {
  const { recordsPerSecond, memoryBytes, used, heldBy } = quotaOf(control, quota, at)
  return { recordsPerSecond, memoryBytes, usedBytes: used && memoryUsed(used), heldBy }
}

/** The name of a partition's topic; null where the job has one. */
const topicName = (number: number, topics: readonly KnownTopic[]): string | null =>
  topics.length < 2 ? null : (topics[topicIndexOf(number)]?.name ?? null)

/** Number of the partition that the watermark waits for; the same rule as actors/windows/advance.lua. */
export function watermarkHolder(partitions: readonly PartitionState[], at: number): number | null {
  const holding = partitions.filter(
    ({ frontier, next, high, seenAt, dataAt, left }) =>
      !(frontier === next && left) &&
      !(
        frontier === next &&
        next >= high &&
        at - seenAt < 5_000 &&
        at - dataAt >= bounds.idleAfterMs
      ),
  )
  const unread = holding.find(({ maxEventTime }) => maxEventTime === null)
  if (unread) return unread.partition
  const slowest = holding.reduce<PartitionState | null>(
    (least, each) => (!least || each.maxEventTime! < least.maxEventTime! ? each : least),
    null,
  )
  return slowest?.partition ?? null
}

/** The oldest snapshot that rates and latencies may be counted from. */
function earlier(now: Snapshot, history: readonly Snapshot[]): Snapshot | undefined {
  return history.find(({ at }) => {
    const age = now.at - at
    return age >= rateSpanMs.least && age <= rateSpanMs.most
  })
}

function ratesOf(now: Snapshot, before: Snapshot | undefined): StatusReport['rates'] {
  if (!before) return { inPerSecond: null, outPerSecond: null }
  const seconds = (now.at - before.at) / 1_000
  const rate = (name: 'appended' | 'committed') =>
    Math.max(0, Math.round(((now.totals[name] - before.totals[name]) / seconds) * 10) / 10)
  return { inPerSecond: rate('appended'), outPerSecond: rate('committed') }
}

function actorReport(actor: Snapshot['actors'][number]): ActorReport {
  const silent = !actor.alive && ['starting', 'running', 'draining'].includes(actor.state)
  return {
    kind: actor.kind,
    id: actor.id,
    pid: actor.pid,
    host: actor.host,
    state: silent ? 'dead' : actor.state,
    at: iso(actor.at),
    startedAt: iso(actor.startedAt),
    stoppedAt: actor.stoppedAt === null ? null : iso(actor.stoppedAt),
    reason: silent ? 'its heartbeats stopped' : actor.reason,
    busy: actor.alive ? actor.busy : null,
    records: actor.records,
    entries: actor.entries,
    recordsPerSecond: actor.alive ? actor.recordsPerSecond : null,
    rssBytes: actor.rssBytes,
    delays: actor.delays,
    eventDelays: actor.eventDelays,
  }
}

function partitionReport(
  one: PartitionState,
  at: number,
  topics: readonly KnownTopic[],
): PartitionReport {
  const { next, frontier, maxEventTime } = one
  return {
    topic: topicName(one.partition, topics),
    partition: partitionOf(one.partition),
    lag: lagOf(one, at),
    unfinished: Math.max(0, next - frontier),
    maxEventTime,
  }
}

const isLiving = ({ state }: ActorReport) => !['stopped', 'dead', 'failed'].includes(state)

const livingFirst = (a: ActorReport, b: ActorReport) =>
  Number(isLiving(b)) - Number(isLiving(a)) || b.startedAt.localeCompare(a.startedAt)

/** Keeps snapshots for the rates: about one a half second, none older than the span. */
export function remember(history: Snapshot[], snapshot: Snapshot): void {
  const newest = history.at(-1)
  if (!newest || snapshot.at - newest.at >= 450) history.push(snapshot)
  while (history[0] && snapshot.at - history[0].at > rateSpanMs.most / 2 && history.length > 1) {
    // The last one that is old enough stays, so that there is always something to compare with.
    if (snapshot.at - history[1]!.at < rateSpanMs.least) break
    history.shift()
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

function wholeOrNull(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null
}

const iso = (ms: number) => new Date(ms).toISOString()
