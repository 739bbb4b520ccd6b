/**
 * Entries of a stream that people read (decisions, rejects), newest first, in pages that each hold
 * Redis for well under a millisecond. Of several shards each has a stream of its own: they are merged,
 * and an entry's id tells its shard too, so that ids are unique and in one order again.
 */
import type { Keys } from './keys.ts'
import type { Store } from './redis.ts'
import { shardsRange } from './shards.ts'

/** Bounds of what is read, as ids of entries; neither is part of it. */
export interface Span {
  /** Only what is older than this: where a page ended. */
  before?: string | undefined
  /** Only what is newer than this: the newest that is known already. */
  since?: string | undefined
}

const PAGE = 500

export async function* newestEntries(
  store: Store,
  key: string,
  { before, since }: Span = {},
  atOnce = PAGE,
): AsyncGenerator<[id: string, fields: string[]]> {
  const bounds = {
    top: before === undefined ? '+' : `(${before}`,
    bottom: since === undefined ? '-' : `(${since}`,
  }
  yield* entriesWithin(store, key, bounds, atOnce)
}

async function* entriesWithin(
  store: Store,
  key: string,
  { top: first, bottom }: { top: string; bottom: string },
  atOnce: number,
): AsyncGenerator<[id: string, fields: string[]]> {
  const count = Math.min(atOnce, PAGE)
  for (let top = first; ; ) {
    const page = await store.redis.xrevrange(key, top, bottom, 'COUNT', count)
    yield* page
    const oldest = page.at(-1)
    if (!oldest || page.length < count) return
    top = `(${oldest[0]}`
  }
}

/** The same of a stream that each shard has; ids are the merged ones. */
export async function* newestOfShards(
  store: Store,
  { shards }: Keys,
  streamOf: (shard: Keys) => string,
  span: Span = {},
): AsyncGenerator<[id: string, fields: string[]]> {
  if (shards.length === 1) return yield* newestEntries(store, streamOf(shards[0]!), span)
  const heads = await Promise.all(
    shards.map(async (shard) => {
      const bounds = boundsIn(shard.shard, span)
      const entries = entriesWithin(store, streamOf(shard), bounds, PAGE)
      return { shard: shard.shard, entries, next: await entries.next() }
    }),
  )
  for (;;) {
    const newest = heads
      .flatMap((head) => {
        const { next, shard } = head
        return next.done ? [] : [{ head, id: mergedId(next.value[0], shard), entry: next.value }]
      })
      .reduce<Candidate | null>((a, b) => (a && byAge(a.id, b.id) < 0 ? a : b), null)
    if (!newest) return
    yield [newest.id, newest.entry[1]]
    newest.head.next = await newest.head.entries.next()
  }
}

interface Candidate {
  head: {
    entries: AsyncGenerator<[id: string, fields: string[]]>
    next: IteratorResult<[id: string, fields: string[]]>
  }
  id: string
  entry: [id: string, fields: string[]]
}

/** `ms-sequence` of a shard's entry: the sequence carries the shard in its last place. */
export function mergedId(id: string, shard: number): string {
  const [ms, sequence] = id.split('-') as [string, string]
  return `${ms}-${BigInt(sequence) * MOST + BigInt(shard)}`
}

/** Newest first, of merged ids or those of one stream. */
export function byAge(one: string, other: string): number {
  const [a, b] = [one, other].map((id) => id.split('-').map(BigInt) as [bigint, bigint])
  return Number(b![0] - a![0]) || Number(b![1] - a![1])
}

const MOST = BigInt(shardsRange.to)

/** What of a shard's own stream lies within a span of merged ids, whose ends are no part of it. */
function boundsIn(shard: number, { before, since }: Span): { top: string; bottom: string } {
  const end = (merged: string, isInside: (other: number) => boolean) => {
    const [ms, place] = merged.split('-') as [string, string]
    const other = Number(BigInt(place) % MOST)
    return `${isInside(other) ? '' : '('}${ms}-${BigInt(place) / MOST}`
  }
  return {
    top: before === undefined ? '+' : end(before, (other) => shard < other),
    bottom: since === undefined ? '-' : end(since, (other) => shard > other),
  }
}
