/**
 * One snapshot of a job's state in Redis, as the supervisor decides by it and the status shows it.
 */
import * as v from 'valibot'
import type { Keys } from './keys.ts'
import { leastOf } from './least.ts'
import { type Lineage, lineageOf } from './lineage.ts'
import { type Actor, actorSchema } from './messages.ts'
import type { Store } from './redis.ts'
import { type KnownTopic, knownTopics, topicIndexOf } from './topics.ts'

export interface PartitionState {
  /** Its number (topics.ts). */
  partition: number
  /** The job does not read its topic any more. */
  left?: boolean
  /** Offsets: first ever read, the bridge's next, end of the finished prefix, Kafka's high watermark. */
  start: number
  next: number
  frontier: number
  high: number
  /** Highest event time of the finished prefix in epoch ms; null before the first record. */
  maxEventTime: number | null
  /** When the high watermark was last seen, and records last appended; epoch ms, Redis's clock. */
  seenAt: number
  dataAt: number
}

export interface Totals {
  appended: number
  committed: number
  counted: number
  filtered: number
  late: number
  rejected: number
  partly: number
  /** Kafka had deleted them before they were read, and the operator gave them up. */
  lost: number
  waiting: number
  waitingBytes: number
  entriesAppended: number
  entriesCommitted: number
  busyUs: number
}

/** One shard's part of a job. */
export interface ShardState {
  shard: number
  partitions: number
  /** Records and payload bytes that wait in its stream. */
  waiting: number
  waitingBytes: number
  entries: number
  pending: number
  closedTo: number | null
  /** Records a second that it may have of the job's quota; '' for none. */
  pace: string
}

export interface Snapshot {
  /** Redis's clock, epoch ms. */
  at: number
  totals: Totals
  /** Records that are late or rejected, by reason, since the job began. */
  rejects: Record<string, number>
  partitions: PartitionState[]
  /** In their order; one at the least. */
  shards: readonly ShardState[]
  /** By their indexes; none of a job that has read one topic only. */
  topics: KnownTopic[]
  /** There is a ledger, in each shard. */
  begun: boolean
  /** Stream entries: all, delivered to an executor, and of these held by one that is not alive. */
  entries: number
  pending: number
  orphaned: number
  /** Executor → entries that were delivered to it and are not done. */
  pendingOf: ReadonlyMap<string, number>
  watermark: number | null
  closedTo: number | null
  control: Record<string, string>
  /** Where it stands among the job's versions; null where it stands alone. */
  version: Lineage | null
  /** What the job has used of its quotas (quota.ts). */
  quota: Record<string, string>
  /** What each host is to have of the executors (supervisor/places.ts). */
  hosts: Record<string, string>
  /** Every actor that is known, with whether its lease runs. */
  actors: (Actor & { alive: boolean })[]
  /** Id of the leading supervisor, '' for none. */
  leader: string
}

/** A Redis hash in JSON; a check of our own, as the supervisor takes this many times a second. */
const hashSchema = v.custom<Record<string, string>>(isHash)

const replySchema = v.object({
  at: v.pipe(v.string(), v.transform(Number)),
  entries: v.number(),
  pending: v.number(),
  orphaned: v.number(),
  pendingOf: hashSchema,
  totals: hashSchema,
  ledger: hashSchema,
  clock: hashSchema,
  joined: hashSchema,
  control: hashSchema,
  version: hashSchema,
  quota: hashSchema,
  hosts: hashSchema,
  actors: hashSchema,
  leases: hashSchema,
  leader: v.string(),
})
const replyTextSchema = v.pipe(v.string(), v.parseJson(), replySchema)
const accountSchema = v.pipe(v.string(), v.parseJson(), actorSchema)

/**
 * Takes the snapshot in one call to each shard. Rejects on an outage; the caller treats that as *unknown*.
 */
export async function measure(store: Store, keys: Keys): Promise<Snapshot> {
  const shards = await Promise.all(keys.shards.map((shard) => measureShard(store, shard)))
  return shards.length === 1 ? shards[0]! : together(shards)
}

interface ShardSnapshot extends Snapshot {
  /** What is closed of the windows of all shards; in the first shard alone. */
  joinedTo: number | null
}

/** Actors, limits and what is joined are in the first; each has partitions and work of its own. */
function together(shards: readonly ShardSnapshot[]): Snapshot {
  const [first] = shards as [ShardSnapshot, ...ShardSnapshot[]]
  const sum = (of: (shard: Snapshot) => number) => shards.reduce((all, one) => all + of(one), 0)
  const names = Object.keys(first.totals) as (keyof Totals)[]
  return {
    ...first,
    totals: Object.fromEntries(
      names.map((name) => [name, sum(({ totals }) => totals[name])]),
    ) as unknown as Totals,
    rejects: added(shards.map(({ rejects }) => Object.entries(rejects))),
    partitions: shards
      .flatMap(({ partitions }) => partitions)
      .sort((a, b) => a.partition - b.partition),
    shards: shards.flatMap((each) => each.shards),
    begun: shards.every(({ begun }) => begun),
    entries: sum(({ entries }) => entries),
    pending: sum(({ pending }) => pending),
    orphaned: sum(({ orphaned }) => orphaned),
    pendingOf: new Map(Object.entries(added(shards.map(({ pendingOf }) => [...pendingOf])))),
    watermark: leastOf(shards.map(({ watermark }) => watermark)),
    closedTo: first.joinedTo,
    quota: togetherHeld(shards.map(({ quota }) => quota)),
  }
}

/** Held is who is held in one of them, each by its part of the pace. */
function togetherHeld(quotas: readonly Record<string, string>[]): Record<string, string> {
  const [first = {}] = quotas
  const heldAt = Math.max(0, ...quotas.map((quota) => Number(quota.heldAt ?? 0)))
  return heldAt === 0 ? first : { ...first, heldAt: String(heldAt) }
}

function added(lists: readonly [string, number][][]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const [name, amount] of lists.flat()) sums[name] = (sums[name] ?? 0) + amount
  return sums
}

async function measureShard(store: Store, keys: Keys): Promise<ShardSnapshot> {
  const reply = v.parse(replyTextSchema, await store.call('measure', keys.base, []))
  const total = (name: string) => Number(reply.totals[name] ?? 0)
  const topics = knownTopics(reply.ledger)
  const partitions = partitionsOf(reply.ledger, topics)
  return {
    at: reply.at,
    totals: {
      appended: total('appended'),
      committed: total('committed'),
      counted: total('counted'),
      filtered: total('filtered'),
      late: total('late'),
      rejected: total('rejected'),
      partly: total('partly'),
      lost: total('lost'),
      waiting: total('waiting'),
      waitingBytes: total('waitingBytes'),
      entriesAppended: total('entriesAppended'),
      entriesCommitted: total('entriesCommitted'),
      busyUs: total('busyUs'),
    },
    rejects: rejectsOf(reply.totals),
    partitions,
    topics,
    shards: [
      {
        shard: keys.shard,
        partitions: partitions.filter(({ left }) => !left).length,
        waiting: total('waiting'),
        waitingBytes: total('waitingBytes'),
        entries: reply.entries,
        pending: reply.pending,
        closedTo: numberOrNull(reply.clock.closedTo),
        pace: reply.quota.pace ?? '',
      },
    ],
    begun: reply.ledger.shape !== undefined,
    entries: reply.entries,
    pending: reply.pending,
    orphaned: reply.orphaned,
    pendingOf: new Map(Object.entries(reply.pendingOf).map(([id, text]) => [id, Number(text)])),
    watermark: numberOrNull(reply.clock.watermark),
    closedTo: numberOrNull(reply.clock.closedTo),
    joinedTo: numberOrNull(reply.joined.closedTo),
    control: reply.control,
    version: lineageOf(reply.version),
    quota: reply.quota,
    hosts: reply.hosts,
    actors: actorsOf(reply.actors, reply.leases, reply.at),
    leader: reply.leader,
  }
}

const REASON = 'reason:'

function rejectsOf(totals: Record<string, string>): Record<string, number> {
  const reasons = Object.entries(totals).filter(([name]) => name.startsWith(REASON))
  return Object.fromEntries(
    reasons.map(([name, text]) => [name.slice(REASON.length), Number(text)]),
  )
}

function partitionsOf(
  ledger: Record<string, string>,
  topics: readonly KnownTopic[],
): PartitionState[] {
  return Object.keys(ledger)
    .filter((field) => field.endsWith(':next'))
    .map((field) => {
      const p = field.slice(0, -':next'.length)
      const value = (name: string) => Number(ledger[`${p}:${name}`] ?? 0)
      return {
        partition: Number(p),
        ...(topics[topicIndexOf(Number(p))]?.left && { left: true }),
        start: value('start'),
        next: value('next'),
        frontier: value('frontier'),
        high: value('high'),
        maxEventTime: numberOrNull(ledger[`${p}:max`]),
        seenAt: value('seenAt'),
        dataAt: value('dataAt'),
      }
    })
    .sort((a, b) => a.partition - b.partition)
}

function actorsOf(
  actors: Record<string, string>,
  leases: Record<string, string>,
  at: number,
): Snapshot['actors'] {
  return Object.entries(actors).flatMap(([id, text]) => {
    const account = accountOf(id, text)
    // The '' entry of an empty table, or an account by a newer version: not ours to judge.
    if (!account) return []
    return [{ ...account, alive: Number(leases[id] ?? 0) > at }]
  })
}

/**
 * What each actor last said of itself: it says the same in several snapshots in a row, its last words in all
 * that follow, and to check an account is most of a snapshot's cost. No more than its newest: an account has
 * hundreds of numbers, and what lives for a minute is dear to collect.
 */
const known = new Map<string, { text: string; account: Actor | null }>()
const knownMax = 256

function accountOf(id: string, text: string): Actor | null {
  const last = known.get(id)
  if (last?.text === text) return last.account
  const parsed = v.safeParse(accountSchema, text)
  const account = parsed.success ? parsed.output : null
  if (!last && known.size >= knownMax) known.clear()
  known.set(id, { text, account })
  return account
}

function isHash(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every((text) => typeof text === 'string')
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined || text === '' ? null : Number(text)
}
