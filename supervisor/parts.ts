/**
 * Reads the parts of windows that shards have closed (`partial`, windows/shards.lua): entries with a
 * window's end and rows, of which the last says so; windows in order.
 */
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Groups, splitRows } from '../actors/windows/groups.ts'

/** A shard, and the entry behind which its parts are still to be joined; '' for the first. */
export interface Place {
  shard: Keys
  after: string
}

interface Part {
  id: string
  end: number
  rows: Buffer
  last: boolean
}

/** The end of the earliest window behind `doneTo` that one of the shards has a part of; null for none. */
export async function nextEnd(
  store: Store,
  places: readonly Place[],
  doneTo: number,
): Promise<number | null> {
  const ends = await Promise.all(
    places.map(async (place) => {
      for await (const { end } of partsBehind(store, place, 1)) if (end > doneTo) return end
      return Infinity
    }),
  )
  const least = Math.min(...ends)
  return least === Infinity ? null : least
}

export interface Gathered {
  /** Group → its states in the shards. */
  groups: Groups
  /** There are more groups, behind those. */
  more: boolean
  /** Shard → the last entry of its part; those without any are missing. */
  ends: Map<number, string>
}

/** Groups of a window over all shards: from `after` on (null for all) as many as may be held at once. */
export async function gather(
  store: Store,
  job: Job,
  places: readonly Place[],
  { ending, after }: { ending: number; after: string | null },
): Promise<Gathered> {
  const held = new HeldGroups(after)
  const ends = new Map<number, string>()
  for (const place of places) {
    for await (const part of partsBehind(store, place, bounds.joinPageEntries)) {
      if (part.end > ending) break
      if (part.end < ending) continue
      held.add(job, part.rows)
      ends.set(place.shard.shard, part.id)
      if (part.last) break
    }
  }
  return { groups: held.groups, more: held.more, ends }
}

/** Groups with their states; where these get too many, only those that come first in order. */
class HeldGroups {
  groups: Groups = new Map()
  more = false
  readonly #after: string | null
  #bound: string | null = null
  readonly #sizes = new Map<string, number>()
  #bytes = 0

  constructor(after: string | null) {
    this.#after = after
  }

  add(job: Job, rows: Buffer): void {
    const added: Groups = new Map()
    splitRows(job, rows, added)
    for (const [group, states] of added) {
      if (this.#after !== null && group <= this.#after) continue
      if (this.#bound !== null && group > this.#bound) continue
      this.groups.set(group, [...(this.groups.get(group) ?? []), ...states])
      const size = group.length + states.reduce((sum, state) => sum + bytesOf(state), 0)
      this.#sizes.set(group, (this.#sizes.get(group) ?? 0) + size)
      this.#bytes += size
    }
    if (this.#bytes > bounds.joinHeldBytes && this.groups.size > 1) this.#cut()
  }

  /** Half of the bytes go, the last groups. */
  #cut(): void {
    const names = [...this.groups.keys()].sort()
    while (this.#bytes > bounds.joinHeldBytes / 2 && names.length > 1) {
      const name = names.pop()!
      this.groups.delete(name)
      this.#bytes -= this.#sizes.get(name)!
      this.#sizes.delete(name)
    }
    this.#bound = names.at(-1)!
    this.more = true
  }
}

const bytesOf = ({ cells, sketches }: { cells: Float64Array; sketches: Buffer[] }): number =>
  cells.byteLength + sketches.reduce((sum, { length }) => sum + length, 0)

async function* partsBehind(
  store: Store,
  { shard, after }: Place,
  count: number,
): AsyncGenerator<Part, void> {
  let from = after === '' ? '-' : `(${after}`
  for (;;) {
    const page = await store.redis.xrangeBuffer(shard.closed, from, '+', 'COUNT', count)
    for (const [id, fields] of page) yield partOf(id.toString(), fields)
    const last = page.at(-1)
    if (!last || page.length < count) return
    from = `(${last[0].toString()}`
  }
}

function partOf(id: string, fields: Buffer[]): Part {
  const of = new Map<string, Buffer>()
  for (let i = 0; i < fields.length; i += 2) of.set(fields[i]!.toString(), fields[i + 1]!)
  return {
    id,
    end: Number(of.get('end')),
    rows: of.get('rows') ?? Buffer.alloc(0),
    last: of.get('last')?.toString() === '1',
  }
}
