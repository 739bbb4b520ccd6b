/**
 * The decisions that were taken, kept in a bounded stream for the status, the dashboard and the
 * console: whoever wants to know why there are three executors reads it here. Beside it, in a stream
 * of its own, how long each took to take effect, which is known only later.
 */
import * as v from 'valibot'
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import { newestEntries, type Span } from '../actors/newest.ts'
import type { Store } from '../actors/redis.ts'
import type { Effect } from './effects.ts'
import { type Decision, reasons } from './reasons.ts'

export const decisionSchema = v.object({
  at: v.number(),
  from: v.number(),
  to: v.number(),
  reason: v.picklist(Object.values(reasons)),
  sentence: v.string(),
  inputs: v.record(v.string(), v.nullable(v.union([v.number(), v.string()]))),
})

/** A decision as it is read again. */
export interface KeptDecision extends Decision {
  /** Unique among the job's decisions, and in their order. */
  id: string
  /** Until as many were running, or no more were left; null where that was not seen, or not yet. */
  effectMs: number | null
}

/** Appends a decision; its id. Rejects on an outage, in which the caller may let it be. */
export async function recordDecision(
  store: Store,
  keys: Keys,
  decision: Decision,
): Promise<string> {
  const text = JSON.stringify(decision)
  return append(store, keys.decisions, ['d', text])
}

export async function recordEffect(store: Store, keys: Keys, { id, ms }: Effect): Promise<void> {
  await append(store, keys.effects, ['decision', id, 'ms', String(ms)])
}

/** The newest decisions of a span first; what another version wrote and we can't read is left out. */
export async function readDecisions(
  store: Store,
  keys: Keys,
  limit: number,
  span: Span = {},
): Promise<KeptDecision[]> {
  const [kept, effects] = await Promise.all([
    keptDecisions(store, keys, limit, span),
    effectsOf(store, keys, span.before === undefined ? limit : bounds.decisionsKept),
  ])
  return kept.map((decision) => ({ ...decision, effectMs: effects.get(decision.id) ?? null }))
}

async function keptDecisions(store: Store, keys: Keys, limit: number, span: Span) {
  const kept: Omit<KeptDecision, 'effectMs'>[] = []
  for await (const [id, fields] of newestEntries(store, keys.decisions, span, limit)) {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), decisionSchema), fields[1])
    if (parsed.success) kept.push({ ...parsed.output, id })
    if (kept.length === limit) break
  }
  return kept
}

/** Decision → ms. Each has one effect at the most, told in their order: the newest go together. */
async function effectsOf(store: Store, keys: Keys, count: number): Promise<Map<string, number>> {
  const effects = await store.redis.xrevrange(keys.effects, '+', '-', 'COUNT', count)
  return new Map(effects.map(([, [, id, , ms]]) => [id!, Number(ms)]))
}

async function append(store: Store, key: string, fields: string[]): Promise<string> {
  const id = await store.redis.xadd(key, 'MAXLEN', '~', bounds.decisionsKept, '*', ...fields)
  // Null is for NOMKSTREAM alone, which was not asked for.
  return id ?? ''
}
