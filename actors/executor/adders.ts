/**
 * Aggregates laid out for folding: each number with the slot of a group's cells where it goes and the
 * form in which it goes there, each sketch with what it takes. Pure.
 */
import type { Job, Meta } from '../job.ts'
import { cellOps, toFixedPoint } from '../windows/aggregates.ts'
import type { Aggregate, Parts } from '../windows/kinds.ts'
import { type Sketch, sketchOf } from '../windows/sketches.ts'

/** A number as a fold adds it: where it is read, and where its cells begin. */
export interface Adder {
  kind: 'count' | 'sum' | 'avg' | 'min' | 'max'
  of: ((row: unknown, meta: Meta) => number | null | undefined) | null
  name: string
  decimals: number
  slot: number
}

/** A sketch as a fold adds to it. */
export interface Sketcher {
  name: string
  of: (row: unknown, meta: Meta) => unknown
  takes: (value: unknown) => boolean
  create: () => Sketch
  weight: number
}

export function addersOf(job: Job): Adder[] {
  let slot = 0
  return job.aggregates.flatMap(({ name, aggregate }) => {
    const adders = adder(name, aggregate, slot)
    slot += cellOps(aggregate).length
    return adders
  })
}

function adder(name: string, aggregate: Aggregate<unknown>, slot: number): Adder[] {
  switch (aggregate.kind) {
    case 'count':
    case 'sum':
    case 'avg':
    case 'min':
    case 'max': {
      const { kind, decimals } = aggregate
      return [{ kind, of: aggregate.of as Adder['of'], name, decimals, slot }]
    }
    case 'own':
      return partAdders(name, aggregate, slot)
    case 'first':
    case 'last':
    case 'distinct':
    case 'quantiles':
    case 'topK':
      return []
    default:
      return aggregate.kind satisfies never
  }
}

/** A number for each part. The first reads the record for all of them: they are read in their order. */
function partAdders(name: string, aggregate: Aggregate<unknown>, first: number): Adder[] {
  const { decimals, own } = aggregate
  const read = aggregate.of as (row: unknown, meta: Meta) => Parts | null | undefined
  let parts: Parts | null | undefined
  let slot = first
  return Object.entries(own!.parts).map(([part, kind], i) => {
    const of =
      i === 0
        ? (row: unknown, meta: Meta) => (parts = read(row, meta))?.[part] ?? null
        : () => parts?.[part] ?? null
    const made: Adder = { kind, of, name: `${name}.${part}`, decimals, slot }
    slot += cellOps({ ...aggregate, kind }).length
    return made
  })
}

export const sketchersOf = (job: Job): Sketcher[] =>
  job.aggregates.flatMap(({ name, aggregate }) => {
    const sketch = sketchOf(aggregate)
    return sketch ? [{ ...sketch, name, of: aggregate.of! }] : []
  })

/** The number as cells keep it; null where it does not fit. */
export function fits(adder: Adder, value: number): number | null {
  if (typeof value !== 'number') return null
  if (adder.kind === 'sum' || adder.kind === 'avg') return toFixedPoint(value, adder.decimals)
  // Adding 0 makes -0 and 0 one value, as JSON readers would.
  return Number.isFinite(value) ? value + 0 : null
}
