/**
 * Where a sink is that has windows of a version of the job before us: behind the last of them, by its end.
 * What lies in our stream by then is not written again. The sink's position stays theirs until we have
 * written, and is compared as such: whoever still writes for them is refused then.
 */
import type { Keys } from '../keys.ts'
import type { Succession } from '../lineage.ts'
import type { Store } from '../redis.ts'
import { SinkError } from './bounded.ts'
import { beginning, type Position } from './position.ts'
import { newestPosition } from './stream.ts'

export interface Place {
  /** Where to read on in our own stream. */
  place: Position
  /** The sink has what ended by then; -Infinity where that is told by the place. */
  hasTo: number
}

/** @throws SinkError where the version is none of those before us */
export async function placeIn(
  store: Store,
  keys: Keys,
  { version, predecessors, owner }: Succession,
  stored: Position | null,
): Promise<Place> {
  if (stored === null || stored.version === version) {
    return { place: stored ?? { ...beginning, version }, hasTo: -Infinity }
  }
  if (!predecessors.includes(stored.version)) {
    const [theirs, ours] = [stored.version || owner, version || owner]
    throw new SinkError(`it has windows of ${theirs}, behind which ${ours} can't go on`)
  }
  const hasTo = stored.end ?? -Infinity
  return { place: await newestPosition(store, keys, version, hasTo), hasTo }
}
