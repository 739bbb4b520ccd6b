/**
 * What became of a reject, in Redis: a mark by the place of its record. Changed by compare-and-set
 * only (marks.lua).
 *
 *   none ──► replaying ──► replayed
 *     │          └──► none, when its transaction is known not to have happened
 *     └────► dropped
 */
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { shardOf } from '../actors/shards.ts'
import marksScript from './marks.lua' with { type: 'text' }

export type Mark =
  /** Begun; `token` names the Kafka transaction, in which it is record number `index`. */
  | { state: 'replaying'; token: string; index: number; at: number }
  /** The same record is in the topic again, in the same partition at this offset. */
  | { state: 'replayed'; offset: number; at: number }
  | { state: 'dropped'; at: number }

function markText(mark: Mark | null): string {
  switch (mark?.state) {
    case undefined:
      return ''
    case 'replaying':
      return `replaying|${mark.token}|${mark.index}|${mark.at}`
    case 'replayed':
      return `replayed|${mark.offset}|${mark.at}`
    case 'dropped':
      return `dropped|${mark.at}`
    default:
      return mark satisfies never
  }
}

/** Null for none, and for one that a newer version wrote. */
export function markOf(text: string | undefined): Mark | null {
  const [state, ...parts] = (text ?? '').split('|')
  if (state === 'replaying') {
    const [token, index, at] = parts
    return { state, token: token ?? '', index: Number(index), at: Number(at) }
  }
  if (state === 'replayed') return { state, offset: Number(parts[0]), at: Number(parts[1]) }
  if (state === 'dropped') return { state, at: Number(parts[0]) }
  return null
}

export interface Change {
  /** `partition:offset`. */
  place: string
  from: Mark | null
  to: Mark | null
  /** Keep it known as rejected, whatever the job says when it is recomputed. */
  ruled?: boolean
}

/** Makes the changes, each in its partition's shard; true for each that was made, false where the mark was another one. */
export async function change(
  store: Store,
  keys: Keys,
  changes: readonly Change[],
): Promise<boolean[]> {
  const shards = changes.map(({ place }) => shardOf(keys, Number(place.split(':')[0])))
  const made = new Map<Change, boolean>()
  for (const shard of new Set(shards)) {
    const theirs = changes.filter((_, i) => shards[i] === shard)
    const done = await changeIn(store, shard, theirs)
    theirs.forEach((one, i) => made.set(one, done[i]!))
  }
  return changes.map((one) => made.get(one)!)
}

async function changeIn(store: Store, keys: Keys, changes: readonly Change[]): Promise<boolean[]> {
  const args = changes.flatMap(({ place, from, to, ruled = false }) => [
    place,
    markText(from),
    markText(to),
    ruled ? '1' : '',
  ])
  const held = (await store.redis.eval(
    marksScript,
    2,
    keys.handled,
    keys.verdicts,
    bounds.verdictsKept,
    ...args,
  )) as string[]
  return changes.map(({ from }, i) => held[i] === markText(from))
}

/** Every reject whose replay has begun and is not known to have happened. */
export async function begun(
  store: Store,
  keys: Keys,
): Promise<{ place: string; mark: Extract<Mark, { state: 'replaying' }> }[]> {
  const marks = await Promise.all(keys.shards.map(({ handled }) => store.redis.hgetall(handled)))
  return marks.flatMap(Object.entries<string>).flatMap(([place, text]) => {
    const mark = markOf(text)
    return mark?.state === 'replaying' ? [{ place, mark }] : []
  })
}
