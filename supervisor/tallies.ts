/**
 * What executors have counted, over all that there ever were: their histograms and deaths, as
 * Prometheus wants counters, which never go back.
 *
 *   register (the living, and the dead for a while) + `gone` (those it has forgotten) → sums
 *
 * Whoever forgets an executor adds what it had counted to `gone` in the same call, and a reader takes
 * both in one transaction, so that each executor is in exactly one of the two. A label for each executor
 * would lose what came before its first scrape, of those that live for seconds all of it.
 */
import * as v from 'valibot'
import type { Keys } from '../actors/keys.ts'
import { type Actor, actorSchema, delayBucketsMs } from '../actors/messages.ts'
import type { Store } from '../actors/redis.ts'

export interface Tallies {
  /** Records by result delay, in the buckets of actors/messages.ts. */
  delays: number[]
  /** The same by event-time delay, of a sample of the records. */
  eventDelays: number[]
  /** Executors that ended without taking their leave. */
  deaths: number
}

const accountSchema = v.pipe(v.string(), v.parseJson(), actorSchema)

/** The fields of `gone` that an actor adds to, and by how much. Pure. */
export function tallyFields(actor: Actor): [field: string, by: number][] {
  if (actor.kind !== 'executor') return []
  const counted = (['delays', 'eventDelays'] as const).flatMap((name) =>
    actor[name].map((records, k): [string, number] => [`${name}:${k}`, records]),
  )
  if (actor.state === 'dead') counted.push(['deaths', 1])
  return counted.filter(([, by]) => by > 0)
}

/** Takes an actor out of the register, once; what it had counted stays. */
export async function forget(store: Store, keys: Keys, actor: Actor): Promise<void> {
  await store.call('forget', keys.base, [actor.id, ...tallyFields(actor).flat()])
}

/** Rejects while Redis is away. */
export async function readTallies(store: Store, keys: Keys): Promise<Tallies> {
  const replies = await store.redis.multi().hgetall(keys.gone).hgetall(keys.actors).exec()
  const [gone = {}, actors = {}] = (replies ?? []).map(([error, reply]) => {
    if (error) throw error
    return reply as Record<string, string>
  })
  return talliesOf(gone, Object.values(actors))
}

/** The sums of both. Pure. */
function talliesOf(gone: Record<string, string>, accounts: readonly string[]): Tallies {
  const sums = new Map(Object.entries(gone).map(([field, text]) => [field, Number(text)]))
  for (const text of accounts) {
    const account = v.safeParse(accountSchema, text)
    // One of another version is not ours to judge.
    if (!account.success) continue
    for (const [field, by] of tallyFields(account.output)) {
      sums.set(field, (sums.get(field) ?? 0) + by)
    }
  }
  return {
    delays: delayBucketsMs.map((_, k) => sums.get(`delays:${k}`) ?? 0),
    eventDelays: delayBucketsMs.map((_, k) => sums.get(`eventDelays:${k}`) ?? 0),
    deaths: sums.get('deaths') ?? 0,
  }
}
