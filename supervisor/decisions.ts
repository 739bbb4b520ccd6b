/**
 * The decisions that were taken, kept in a bounded stream for the status, the dashboard and the
 * console: whoever wants to know why there are three executors reads it here.
 */
import * as v from 'valibot'
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Decision, reasons } from './reasons.ts'

const decisionSchema = v.object({
  at: v.number(),
  from: v.number(),
  to: v.number(),
  reason: v.picklist(Object.values(reasons)),
  sentence: v.string(),
  inputs: v.record(v.string(), v.nullable(v.union([v.number(), v.string()]))),
})

/** Appends a decision; rejects on an outage, in which the caller may ask again or let it be. */
export async function recordDecision(store: Store, keys: Keys, decision: Decision): Promise<void> {
  await store.redis.xadd(
    keys.decisions,
    'MAXLEN',
    '~',
    bounds.decisionsKept,
    '*',
    'd',
    JSON.stringify(decision),
  )
}

/** The newest decisions first; what another version wrote and we can't read is left out. */
export async function readDecisions(store: Store, keys: Keys, limit: number): Promise<Decision[]> {
  const entries = await store.redis.xrevrange(keys.decisions, '+', '-', 'COUNT', limit)
  return entries.flatMap(([, fields]) => {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), decisionSchema), fields[1])
    return parsed.success ? [parsed.output] : []
  })
}
