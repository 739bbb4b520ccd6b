/**
 * What actors say to each other through mailboxes, and what each says of itself in its heartbeat.
 */
import * as v from 'valibot'

/**
 * `drain`: finish and leave. `claim`: entries of a dead executor wait for you. `wake`: look now.
 * `arrived`: a record, the only one that waits. `begin`: you have been warm long enough.
 */
export const messageSchema = v.variant('kind', [
  v.object({ kind: v.literal('drain'), reason: v.string() }),
  v.object({ kind: v.literal('claim') }),
  v.object({ kind: v.literal('wake') }),
  v.object({ kind: v.literal('arrived') }),
  v.object({ kind: v.literal('begin') }),
])
export type Message = v.InferOutput<typeof messageSchema>

export const actorKinds = ['supervisor', 'bridge', 'executor', 'web', 'sinks'] as const
export const actorStates = ['starting', 'running', 'draining', 'stopped', 'dead', 'failed'] as const
export type ActorState = (typeof actorStates)[number]

const time = v.pipe(v.number(), v.integer())

/** What the machine of a supervisor has for executors. */
export const offerSchema = v.object({
  cores: v.number(),
  /** Cores that idle now; null where that is not known. */
  idle: v.nullable(v.number()),
  memoryFreeBytes: v.number(),
  /** Executors that it takes at the most. */
  limit: v.number(),
  /** Executors that it has: those that are about to end do not count. */
  executors: v.number(),
  /** The code that they judge records by (code.ts); null where unknown. */
  code: v.nullable(v.string()),
})
export type Offer = v.InferOutput<typeof offerSchema>

/** One actor's account of itself; times in epoch ms. */
export const actorSchema = v.object({
  id: v.string(),
  kind: v.picklist(actorKinds),
  pid: v.number(),
  host: v.string(),
  state: v.picklist(actorStates),
  startedAt: time,
  at: time,
  stoppedAt: v.nullable(time),
  /** Why it is in that state, for people. */
  reason: v.nullable(v.string()),
  /** A message asked it to end: a supervisor, or somebody through the API; no signal, no failure. */
  asked: v.optional(v.boolean()),
  rssBytes: v.number(),
  /** The supervisor whose child it is; absent where it was started by hand, or as a pod. */
  of: v.optional(v.string()),
  /** Supervisors: absent of one that runs no executors while another leads. */
  offer: v.optional(offerSchema),
  /** Executors: the code that they judge records by (code.ts), where a supervisor told them. */
  judges: v.optional(v.string()),
  /** Executors: totals since start. `busyMs` is the time in which records were in hand. */
  records: v.optional(v.number(), 0),
  entries: v.optional(v.number(), 0),
  busyMs: v.optional(v.number(), 0),
  /** Executors: processor time since it began to work; more than half of `busyMs` is CPU-bound. */
  cpuMs: v.optional(v.number(), 0),
  /** Executors: steps since start, of whatever kind: who has work and takes none is hung. */
  progress: v.optional(v.number(), 0),
  /** Executors: over the last seconds. `busy` is a share, 0 to 1. */
  busy: v.optional(v.nullable(v.number()), null),
  recordsPerSecond: v.optional(v.nullable(v.number()), null),
  /** Executors: records by result delay (Kafka timestamp → committed) since start. */
  delays: v.optional(v.array(v.number()), []),
  /**
   * Executors: the same by event-time delay (event time → committed), of a sample: the first record of
   * each slice and every 16th behind it.
   */
  eventDelays: v.optional(v.array(v.number()), []),
})
export type Actor = v.InferOutput<typeof actorSchema>

/** What an actor that has done nothing, or does not count, says of its work. */
export const noWork = {
  records: 0,
  entries: 0,
  busyMs: 0,
  cpuMs: 0,
  progress: 0,
  busy: null,
  recordsPerSecond: null,
  delays: [],
  eventDelays: [],
} satisfies Partial<Actor>

/** Upper bounds in ms of the buckets of both: 1 ms × 2^(k/4), up to about 18 hours. */
export const delayBucketsMs: readonly number[] = Array.from({ length: 105 }, (_, k) => 2 ** (k / 4))

/** The bucket of a delay. */
export function delayBucket(ms: number): number {
  const exact = Math.ceil(Math.log2(Math.max(ms, 1)) * 4)
  return Math.min(exact, delayBucketsMs.length - 1)
}
