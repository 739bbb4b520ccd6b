/**
 * Reads the parts of windows that shards have closed (`partial`, windows/shards.lua): entries with a
 * window's end and rows, of which the last says so; windows in order.
 */
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Groups, splitRows } from '../actors/windows/groups.ts'

interface Part {
  id: string
  end: number
  rows: Buffer
  last: boolean
}

/** Windows' ends: behind one of them (-Infinity for the first), up to another (Infinity for all). */
interface Range {
  behind: number
  to: number
}

/** The end of the earliest window behind one that one of the shards has a part of; null for none. */
export async function nextEnd(
  store: Store,
  job: Job,
  shards: readonly Keys[],
  behind: number,
): Promise<number | null> {
  const range = { behind, to: Infinity }
  const ends = await Promise.all(
    shards.map(async (shard) => {
      const { parts } = await readParts(store, shard, job, range, { after: '', count: 1 })
      return parts[0]?.end ?? Infinity
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
}

/**
 * Groups of a window over all shards: from `after` on (null for all) as many as may be held at once. Null
 * where one of the shards has not closed it any more, as it came back older.
 */
export async function gather(
  store: Store,
  job: Job,
  shards: readonly Keys[],
  { ending, after }: { ending: number; after: string | null },
): Promise<Gathered | null> {
  const held = new HeldGroups(after)
  const range = { behind: ending - job.windowSlideMs, to: ending }
  for (const shard of shards) {
    let place = { after: '', count: bounds.joinPageEntries }
    for (let more = true; more; ) {
      const { wholeTo, parts } = await readParts(store, shard, job, range, place)
      if (wholeTo < ending) return null
      for (const { rows } of parts) held.add(job, rows)
      const last = parts.at(-1)
      more = last !== undefined && !last.last
      if (last) place = { ...place, after: last.id }
    }
  }
  return { groups: held.groups, more: held.more }
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

/** A page of parts, behind an entry of the range ('' for its first), and up to where all are closed whole. */
async function readParts(
  store: Store,
  { base }: Keys,
  job: Job,
  { behind, to }: Range,
  { after, count }: { after: string; count: number },
): Promise<{ wholeTo: number; parts: Part[] }> {
  const bound = (time: number) => (Number.isFinite(time) ? time : '')
  const args = [job.windowSlideMs, bound(behind), bound(to), after, count]
  const [wholeTo, entries] = (await store.callBuffer('parts', base, args)) as [
    Buffer,
    [Buffer, Buffer[]][],
  ]
  return {
    wholeTo: wholeTo.length === 0 ? -Infinity : Number(wholeTo),
    parts: entries.map(([id, fields]) => partOf(id.toString(), fields)),
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
