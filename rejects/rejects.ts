/**
 * The rejects as the command sees them: rows of the bounded stream, newest first, with what became
 * of each, and the choice among them.
 *
 *   stream `rejects` + hash `handled`, of each shard → rows → chosen rows
 */
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import { byAge, mergedId } from '../actors/newest.ts'
import type { Store } from '../actors/redis.ts'
import { type KnownTopic, knownTopics, partitionOf, topicIndexOf } from '../actors/topics.ts'
import { change, type Mark, markOf } from './marks.ts'

export interface Reject {
  /** Of the row in the stream. */
  id: string
  /** When it was rejected, epoch ms. */
  at: number
  topic: string
  partition: number
  /** Of the partition, inside (actors/topics.ts). */
  number: number
  offset: number
  /** For people: partition:offset, behind the topic's name where the job has several. */
  place: string
  reason: string
  message: string
  /** The record's first bytes. */
  value: Buffer
  /** What became of it; null for nothing yet. */
  mark: Mark | null
  /** The reject whose replay this record is; null where it is none that is known. */
  replayOf: string | null
}

/** Which rejects are meant; what is absent restricts nothing. */
export interface Choice {
  reason?: string | undefined
  topic?: string | undefined
  partition?: number | undefined
  /** Rejected at this time or later, epoch ms. */
  since?: number | undefined
  /** `partition:offset`, where the job has several topics `topic:partition:offset`. */
  places?: ReadonlySet<string> | undefined
  ids?: ReadonlySet<string> | undefined
  state?: State | undefined
}

export const states = ['open', 'replaying', 'replayed', 'dropped'] as const
export type State = (typeof states)[number]

/** As marks have it. */
export const placeOf = ({ number, offset }: Pick<Reject, 'number' | 'offset'>): string =>
  `${number}:${offset}`

export const stateOf = ({ mark }: Pick<Reject, 'mark'>): State => mark?.state ?? 'open'

/** Rows of one page: 1 KB of value each, so a page holds Redis for well under a millisecond. */
const PAGE = 500

/** The chosen rejects, newest first, at most `limit`. */
export async function readRejects(
  store: Store,
  keys: Keys,
  choice: Choice,
  limit = Infinity,
): Promise<Reject[]> {
  const { shards } = keys
  const idOf = (id: string, shard: number) => (shards.length === 1 ? id : mergedId(id, shard))
  const found: Reject[] = []
  for (const shard of shards) {
    const ids = (id: string) => idOf(id, shard.shard)
    found.push(...(await readShard(store, shard, { choice, limit, idOf: ids })))
  }
  return shards.length === 1 ? found : found.sort((a, b) => byAge(a.id, b.id)).slice(0, limit)
}

interface Wanted {
  choice: Choice
  limit: number
  /** As people see it, of one in the shard's stream. */
  idOf: (id: string) => string
}

async function readShard(
  store: Store,
  keys: Keys,
  { choice, limit, idOf }: Wanted,
): Promise<Reject[]> {
  const marks = await store.redis.hgetall(keys.handled)
  const topics = knownTopics(await store.redis.hgetall(keys.ledger))
  const replays = replaysOf(marks)
  const found: Reject[] = []
  for (let top = '+'; ; ) {
    const page = await store.redis.xrevrangeBuffer(keys.rejects, top, '-', 'COUNT', PAGE)
    for (const [id, fields] of page) {
      const reject = rejectOf(idOf(id.toString()), fields, { marks, replays, topics })
      if (isChosen(reject, choice)) found.push(reject)
      if (found.length >= limit) return found
    }
    const oldest = page.at(-1)
    if (!oldest || page.length < PAGE) return found
    top = `(${oldest[0].toString()}`
  }
}

/** Marks outlive their rejects, of which the stream keeps a bounded number; now and then they go. */
export async function forgetOld(store: Store, { shards }: Keys): Promise<void> {
  for (const shard of shards) await forgetOldOf(store, shard)
}

async function forgetOldOf(store: Store, keys: Keys): Promise<void> {
  if ((await store.redis.hlen(keys.handled)) <= 2 * bounds.rejectsKept) return
  const marks = await store.redis.hgetall(keys.handled)
  const kept = new Set((await readRejects(store, keys, {})).map(placeOf))
  const old = Object.entries(marks).flatMap(([place, text]) => {
    const from = markOf(text)
    if (from === null || from.state === 'replaying' || kept.has(place)) return []
    return [{ place, from, to: null }]
  })
  for (let i = 0; i < old.length; i += PAGE) await change(store, keys, old.slice(i, i + PAGE))
}

function isChosen(reject: Reject, choice: Choice): boolean {
  const { reason, topic, partition, since, places, ids, state } = choice
  const named = !places && !ids
  return (
    (reason === undefined || reject.reason === reason) &&
    (topic === undefined || reject.topic === topic) &&
    (partition === undefined || reject.partition === partition) &&
    (since === undefined || reject.at >= since) &&
    (state === undefined || stateOf(reject) === state) &&
    (named || isNamed(reject, places) || ids?.has(reject.id) === true)
  )
}

const isNamed = ({ place, topic, partition, offset }: Reject, places: Choice['places']): boolean =>
  places !== undefined && (places.has(place) || places.has(`${topic}:${partition}:${offset}`))

interface Known {
  marks: Record<string, string>
  replays: ReadonlyMap<string, string>
  topics: readonly KnownTopic[]
}

function rejectOf(id: string, fields: Buffer[], { marks, replays, topics }: Known): Reject {
  const of = new Map<string, Buffer>()
  for (let i = 0; i < fields.length; i += 2) of.set(fields[i]!.toString(), fields[i + 1]!)
  const text = (name: string) => of.get(name)?.toString() ?? ''
  const place = `${text('p')}:${text('o')}`
  const number = Number(text('p'))
  const replayOf = replays.get(place)
  return {
    id,
    at: Number(id.split('-')[0]),
    topic: text('topic'),
    partition: partitionOf(number),
    number,
    offset: Number(text('o')),
    place: shownPlace(place, topics),
    reason: text('reason'),
    message: text('message'),
    value: of.get('value') ?? Buffer.alloc(0),
    mark: markOf(marks[place]),
    replayOf: replayOf === undefined ? null : shownPlace(replayOf, topics),
  }
}

function shownPlace(place: string, topics: readonly KnownTopic[]): string {
  const [number, offset] = place.split(':').map(Number) as [number, number]
  const own = `${partitionOf(number)}:${offset}`
  return topics.length < 2 ? own : `${topics[topicIndexOf(number)]?.name}:${own}`
}

/** Place of a replayed record → place of the reject that it came from. */
function replaysOf(marks: Record<string, string>): Map<string, string> {
  const replays = new Map<string, string>()
  for (const [place, text] of Object.entries(marks)) {
    const mark = markOf(text)
    if (mark?.state === 'replayed') replays.set(`${place.split(':')[0]}:${mark.offset}`, place)
  }
  return replays
}
