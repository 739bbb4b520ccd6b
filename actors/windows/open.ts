/**
 * Open windows, newest first, from the panes that Redis holds: each with its groups' states in its panes.
 */
import { systemClock } from '../clock.ts'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { type Groups, isWanted, type WindowQuery } from './groups.ts'
import { storedAt } from './state.ts'
import { panesOfWindow, windowsOfPane } from './windows.ts'

/** HSCAN's COUNT: about 0.3 ms of Redis's time, far less than the 10 ms that a call may take. */
const SCAN_COUNT = 500

/**
 * Panes as they were read last, for whoever reads again and again: one whose version is the same is not
 * read once more.
 */
export class PaneCache {
  /** By the pane's key. */
  readonly #held = new Map<string, { version: string; groups: Groups }>()

  get(key: string, version: string): Groups | null {
    const held = this.#held.get(key)
    return held?.version === version ? held.groups : null
  }

  /** `version` is one from before the pane was read, so that what is held is never older than it. */
  set(key: string, version: string, groups: Groups): void {
    this.#held.set(key, { version, groups })
  }

  keep(shards: readonly Panes[]): void {
    const open = new Set(
      shards.flatMap(({ keys, versions }) => [...versions.keys()].map(keys.pane)),
    )
    for (const key of this.#held.keys()) if (!open.has(key)) this.#held.delete(key)
  }
}

/** The open panes of a shard, with their versions. */
interface Panes {
  keys: Keys
  versions: ReadonlyMap<number, string>
}

/** Open windows that the query asks for, with their groups. */
export async function* openWindows(
  store: Store,
  keys: Keys,
  job: Job,
  query: WindowQuery,
  cache: PaneCache,
) {
  const closedTo = await readClosedTo(store, keys)
  const shards = await Promise.all(keys.shards.map((shard) => panesOf(store, shard)))
  cache.keep(shards)
  const starts = openStarts(job, new Set(shards.flatMap(startsOf)), closedTo, query)
  for (const start of starts) {
    yield { start, groups: await combinePanes(store, job, start, shards, cache) }
  }
}

const startsOf = ({ versions }: Panes): number[] => [...versions.keys()]

async function panesOf(store: Store, keys: Keys): Promise<Panes> {
  const panes = await store.redis.hgetall(keys.panes)
  const versions = Object.entries(panes).map(
    ([start, version]) => [Number(start), version] as const,
  )
  return { keys, versions: new Map(versions) }
}

/** Open pane's start → a text that changes whenever the pane does; the cheap look before reading. */
export async function paneVersions(store: Store, keys: Keys): Promise<Map<number, string>> {
  const shards = await Promise.all(keys.shards.map((shard) => panesOf(store, shard)))
  const starts = [...new Set(shards.flatMap(startsOf))]
  return new Map(
    starts.map((start) => [start, shards.map(({ versions }) => versions.get(start) ?? '').join()]),
  )
}

/**
 * Every window that ends at or before this is closed or being closed, in one of the shards at least;
 * -Infinity before the first.
 */
export async function readClosedTo(store: Store, keys: Keys): Promise<number> {
  const clocks = keys.shards.map(({ clock }) => store.redis.hget(clock, 'closedTo'))
  return Math.max(...(await Promise.all(clocks)).map((text) => Number(text ?? -Infinity)))
}

/** A look whether windows are joined, and how often. */
const JOINED_MS = 10
const JOINED_TRIES = 30

/**
 * Waits until what the shards have closed is joined, but not for long: in between, mostly for some
 * milliseconds, a window is neither open nor closed.
 */
export async function untilJoined(store: Store, keys: Keys): Promise<void> {
  if (keys.shards.length === 1) return
  const wanted = await readClosedTo(store, keys)
  for (let tries = 0; tries < JOINED_TRIES; tries++) {
    const [closedTo, closing] = await store.redis.hmget(keys.clock, 'closedTo', 'closing')
    if (Number(closedTo ?? -Infinity) >= wanted && !closing) return
    await systemClock.sleep(JOINED_MS)
  }
}

/** No closed window that ends at or before this is written again; Infinity where none ever is. */
export async function readSettledTo(store: Store, keys: Keys, job: Job): Promise<number> {
  if (job.allowedLatenessMs === 0) return Infinity
  const [finalTo, closing] = await store.redis.hmget(keys.clock, 'finalTo', 'closing')
  if (finalTo === null || finalTo === undefined) return -Infinity
  // What is being written out may be the last of it.
  return closing ? Math.min(Number(finalTo), Number(closing) - job.windowSlideMs) : Number(finalTo)
}

/** Starts of the windows to read, newest first. */
function openStarts(
  job: Job,
  panes: ReadonlySet<number>,
  closedTo: number,
  query: WindowQuery,
): number[] {
  const starts = new Set<number>()
  for (const pane of panes) {
    for (const start of windowsOfPane(job, pane)) {
      if (start + job.windowSizeMs > closedTo && isWanted(start, query)) starts.add(start)
    }
  }
  return Array.from(starts).sort((a, b) => b - a)
}

/** Puts a window's panes together, of all shards; the next, older window shares all but one of them. */
async function combinePanes(
  store: Store,
  job: Job,
  start: number,
  shards: readonly Panes[],
  cache: PaneCache,
): Promise<Groups> {
  const merged: Groups = new Map()
  for (const pane of panesOfWindow(job, start)) {
    for (const { keys, versions } of shards) {
      const version = versions.get(pane)
      if (version === undefined) continue
      const key = keys.pane(pane)
      const groups = cache.get(key, version) ?? (await readPane(store, job, key))
      cache.set(key, version, groups)
      for (const [group, parts] of groups) {
        const before = merged.get(group)
        merged.set(group, before ? [...before, ...parts] : parts)
      }
    }
  }
  return merged
}

/** All groups of a pane. HSCAN may give a group twice; the Map keeps its later state. */
async function readPane(store: Store, job: Job, key: string): Promise<Groups> {
  const groups: Groups = new Map()
  let cursor = '0'
  do {
    const [next, page] = await store.redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT)
    for (let i = 0; i < page.length; i += 2) {
      groups.set(page[i]!.toString(), [storedAt(job, page[i + 1]!, 0)])
    }
    cursor = next.toString()
  } while (cursor !== '0')
  return groups
}
