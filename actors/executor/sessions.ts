/**
 * The sessions of a fold: a group's records that are less than the gap apart are one, which Redis then
 * merges with those it has. Each is a group of the pane with the same key as its siblings. Pure.
 */
import { mergeCells } from '../windows/aggregates.ts'
import { type SessionShape, spanOf, touches } from '../windows/span.ts'
import type { Group } from './panes.ts'

/** Groups of a pane that are sessions of one group, newest last. */
export type Siblings = Group[]

/** Sessions that would be closed as soon as they are made: group key → their spans. */
export type LateSessions = ReadonlyMap<string, readonly { first: number; last: number }[]>

/** What a refused commit tells of besides: group, first, last, repeated. */
export function moreLate(known: LateSessions, details: readonly string[]): LateSessions {
  const late = new Map(Array.from(known, ([group, spans]) => [group, [...spans]]))
  for (let i = 0; i + 2 < details.length; i += 3) {
    const spans = late.get(details[i]!) ?? []
    late.set(details[i]!, spans)
    spans.push({ first: Number(details[i + 1]), last: Number(details[i + 2]) })
  }
  return late
}

/**
 * The session among siblings that a record belongs to, with all that the record joins put together;
 * what was joined is taken out of `groups`. Undefined where it begins one of its own.
 */
export function joined(
  shape: SessionShape,
  slots: string,
  siblings: Siblings,
  time: number,
  groups: Group[],
): Group | undefined {
  const record = { first: time, last: time }
  let found: Group | undefined
  for (let i = siblings.length - 1; i >= 0; i--) {
    const sibling = siblings[i]!
    if (!touches(shape, spanOf(sibling.cells), record)) continue
    if (found) {
      absorb(slots, sibling, found)
      siblings.splice(siblings.indexOf(found), 1)
      groups.splice(groups.indexOf(found), 1)
    }
    found = sibling
  }
  return found
}

/** Widens a session to a record. */
export function widen(cells: Float64Array, time: number): void {
  const first = cells.length - 2
  if (time < cells[first]!) cells[first] = time
  if (time > cells[first + 1]!) cells[first + 1] = time
}

function absorb(slots: string, into: Group, from: Group): void {
  mergeCells(slots, into.cells, from.cells)
  into.sketches.forEach((sketch, i) => sketch.absorb(from.sketches[i]!.encode()))
}
