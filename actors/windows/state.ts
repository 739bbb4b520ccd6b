/**
 * A group's state as readers hold it: decoded from Redis's bytes, one part for each pane, merged and
 * turned into the values of a row. Pure.
 */
import type { Job } from '../job.ts'
import { cellOps, emptyCells, mergeCells, readValue } from './aggregates.ts'
import type { AggregateValue } from './kinds.ts'
import { decodeState, encodeState, sketchOf } from './sketches.ts'

/** As it was read; sketches are bytes still. */
export interface Stored {
  cells: Float64Array
  sketches: Buffer[]
}

/** The state that stands in the bytes at `at`; `end` is where it ends. */
export const storedAt = (job: Job, bytes: Buffer, at: number): Stored & { end: number } =>
  decodeState(bytes, at, job.slots.length, sketchesOf(job))

/** Sketches of a group: letters behind the slots' and a slash. */
const sketchesOf = ({ ops, slots }: Job): number => Math.max(ops.length - slots.length - 1, 0)

/** Parts of a group merged into one state, in Redis's bytes. */
export function mergedState(job: Job, parts: readonly Stored[]): Buffer {
  const cells = emptyCells(job.slots)
  for (const part of parts) mergeCells(job.slots, cells, part.cells)
  const kinds = job.aggregates.flatMap(({ aggregate }) => sketchOf(aggregate) ?? [])
  const sketches = kinds.map((kind, i) => {
    const sketch = kind.create()
    for (const part of parts) sketch.absorb(part.sketches[i]!)
    return sketch
  })
  return encodeState(cells, sketches)
}

/** The values of a row by their aggregates' names. */
export function valuesOf(job: Job, parts: readonly Stored[]): Record<string, AggregateValue> {
  const cells = emptyCells(job.slots)
  for (const part of parts) mergeCells(job.slots, cells, part.cells)
  let slot = 0
  let next = 0
  const values = job.aggregates.map(({ name, aggregate }) => {
    const kind = sketchOf(aggregate)
    if (kind) {
      const sketch = kind.create()
      for (const part of parts) sketch.absorb(part.sketches[next]!)
      next++
      return [name, sketch.value(aggregate)] as const
    }
    const value = readValue(aggregate, cells, slot)
    slot += cellOps(aggregate).length
    return [name, value] as const
  })
  // fromEntries defines own fields, so that an aggregate named __proto__ is one like any other.
  return Object.fromEntries(values)
}
