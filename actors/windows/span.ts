/**
 * Session windows: a group's records that are less than a gap apart. A session's bounds depend on its data,
 * so its state carries them: two slots behind all others, the first and the last event time, which merge as
 * any least and greatest do. It is [first, last + gap), cut at the end of the span of `max` that holds it,
 * and so what two sessions become does not depend on which records came first. Pure.
 */
import { isRevised, type Revising } from './revisions.ts'
import type { WindowShape } from './windows.ts'

/** The slots of the first and the last event time; what they mean stands in aggregates.ts. */
export const SPAN_OPS = 'mM'

/** What sessions are made by: pieces of time within which each must lie, and the gap. */
export interface SessionShape extends WindowShape {
  gapMs: number
}

export interface Span {
  /** Event times of the first and the last record, epoch ms. */
  first: number
  last: number
}

export const isSession = <Shape extends { gapMs: number | null }>(
  shape: Shape,
): shape is Shape & { gapMs: number } => shape.gapMs !== null

/** The span that a session's cells carry; `slots` are the job's. */
export const spanOf = (cells: Float64Array): Span => ({
  first: cells[cells.length - 2]!,
  last: cells[cells.length - 1]!,
})

/** Epoch ms; half-open, so that it is closed from there on. */
export function sessionEnd({ windowSizeMs, gapMs }: SessionShape, last: number): number {
  return Math.min(last + gapMs, (Math.floor(last / windowSizeMs) + 1) * windowSizeMs)
}

/** Whether the two are one session. */
export const touches = (shape: SessionShape, a: Span, b: Span): boolean =>
  a.first < sessionEnd(shape, b.last) &&
  b.first < sessionEnd(shape, a.last) &&
  Math.floor(a.first / shape.windowSizeMs) === Math.floor(b.first / shape.windowSizeMs)

/** What the Lua functions are told: the size, and the slide as cells.lua reads it. */
export function shapeArguments(
  shape: WindowShape & Revising & { gapMs: number | null },
): [size: number, slide: number | string] {
  const { windowSizeMs: size, windowSlideMs: slide, allowedLatenessMs, updatesMs } = shape
  if (isSession(shape)) return [size, `s${shape.gapMs}`]
  return [size, isRevised(shape) ? `${slide}+${allowedLatenessMs}/${updatesMs}` : slide]
}
