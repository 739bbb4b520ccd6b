/**
 * Who has work and does not move on with it, from one snapshot to the next: an executor whose heart
 * beats while it waits for something that never comes. Pure.
 *
 *   snapshot, what was known → here → how long each has stood still → ward.ts
 *
 * What is not known says nothing: a failed snapshot begins every account anew.
 */
import type { Snapshot } from '../actors/measure.ts'

interface Stall {
  /** What its heartbeats say: any other number is a step. */
  progress: number
  /** How long it was seen to stand still, and when last; ms of the monotonic clock. */
  ms: number
  at: number
}

export type Stalls = ReadonlyMap<string, Stall>

/** Looks are a second apart at the most; what is longer, nobody has seen, as while we were stopped. */
const GAP_MS_MAX = 2_000

/** The accounts after a look at `at`; `snapshot` is null where it failed. */
export function stallsAfter(before: Stalls, snapshot: Snapshot | null, at: number): Stalls {
  if (!snapshot) return new Map()
  const standing = snapshot.actors.filter((actor) => hasWork(actor, snapshot))
  return new Map(
    standing.map(({ id, progress }) => {
      const held = before.get(id)
      const ms = held?.progress === progress ? held.ms + Math.min(at - held.at, GAP_MS_MAX) : 0
      return [id, { progress, ms, at }]
    }),
  )
}

/**
 * Entries are in its name, or wait for anybody: who is at work reads those at once, as long as it has
 * nothing else in hand. One without a lease is not heard, and found by its silence.
 */
function hasWork(actor: Snapshot['actors'][number], snapshot: Snapshot): boolean {
  const { id, kind, alive, state } = actor
  if (kind !== 'executor' || !alive || (state !== 'running' && state !== 'starting')) return false
  return snapshot.entries > snapshot.pending || (snapshot.pendingOf.get(id) ?? 0) > 0
}
