/**
 * What sinks say of themselves, in the job's hash `sinks`: written by who writes to the sink (took.lua),
 * read by the status, the metrics and the next process that takes over.
 */
import * as v from 'valibot'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { parsePosition } from './position.ts'
import { closedCount } from './stream.ts'

/**
 * `down`: it does not answer, and is tried again. `refused`: it answers, and will not take a window.
 * `absent`: no process runs it.
 */
export const sinkStates = ['starting', 'running', 'down', 'refused', 'absent'] as const
export type SinkState = (typeof sinkStates)[number]

const count = v.pipe(v.number(), v.integer(), v.minValue(0))

const accountSchema = v.object({
  kind: v.string(),
  address: v.string(),
  state: v.picklist(sinkStates),
  /** Why, for people. */
  reason: v.nullable(v.string()),
  /** When it said so; epoch ms. */
  at: v.number(),
  /** Since the sink was declared, over all processes that have run it. */
  windows: count,
  rows: count,
  /** Cut away before the sink took them; passed over because it refused them. */
  lost: count,
  skipped: count,
  /** When it last took a window, epoch ms. */
  writtenAt: v.nullable(v.number()),
})
export type SinkAccount = v.InferOutput<typeof accountSchema>

const textSchema = v.pipe(v.string(), v.parseJson(), accountSchema)

/** A sink as the status shows it; times ISO 8601 in UTC. */
export interface SinkReport extends Omit<SinkAccount, 'at' | 'writtenAt'> {
  name: string
  at: string | null
  writtenAt: string | null
  /** Closed windows that it has not taken. */
  lagWindows: number
  /** End of the newest window that it has. */
  upTo: string | null
}

/** An account older than this is nobody's any more. */
const STALE_MS = 15_000

const nothing = { windows: 0, rows: 0, lost: 0, skipped: 0, writtenAt: null } as const

const nobody = {
  state: 'absent',
  reason: 'no process runs it (bun run supervisor, or bun run sinks)',
} as const

const held = {
  state: 'absent',
  reason: 'held back while this version is a shadow (bun run versions cutover)',
} as const

/** What the last process said; zeros where there was none. */
export async function readAccount(store: Store, keys: Keys, sink: string) {
  const parsed = v.safeParse(textSchema, await store.redis.hget(keys.sinks, sink))
  return parsed.success ? parsed.output : nothing
}

/** The job's sinks in the order in which it declares them. */
export async function readSinks(
  store: Store,
  keys: Keys,
  job: Pick<Job, 'sinks'>,
  now: number,
): Promise<SinkReport[]> {
  const names = job.sinks.map(({ name }) => name)
  if (names.length === 0) return []
  const [accounts, positions, closed, stage] = await Promise.all([
    store.redis.hmget(keys.sinks, ...names),
    store.redis.hmget(keys.taken, ...names),
    closedCount(store, keys),
    store.redis.hget(keys.version, 'stage'),
  ])
  return job.sinks.map(({ name, kind }, place) => {
    const parsed = v.safeParse(textSchema, accounts[place])
    const account = parsed.success ? parsed.output : null
    const { number, end } = parsePosition(positions[place] ?? null)
    const absent = !account || now - account.at > STALE_MS
    return {
      name,
      kind,
      address: account?.address ?? '',
      ...(account ?? nothing),
      ...(absent
        ? stage === 'shadow'
          ? held
          : nobody
        : { state: account.state, reason: account.reason }),
      at: iso(account?.at ?? null),
      writtenAt: iso(account?.writtenAt ?? null),
      // What a shadow has closed is not its own to write.
      lagWindows: stage === 'shadow' ? 0 : Math.max(0, closed - number),
      upTo: iso(end),
    }
  })
}

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
