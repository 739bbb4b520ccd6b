/**
 * Aggregates laid out for folding: each with the slot of a group's cells where its own begin, and the
 * form in which a record's number goes there. Pure.
 */
import type { Job } from '../job.ts'
import { cellOps, toFixedPoint } from '../windows/aggregates.ts'

/** An aggregate as a fold adds to it: what it reads, and where its cells begin. */
export interface Adder {
  kind: Job['aggregates'][number]['aggregate']['kind']
  of: ((row: unknown) => number | null | undefined) | null
  name: string
  decimals: number
  slot: number
}

export function addersOf(job: Job): Adder[] {
  let slot = 0
  return job.aggregates.map(({ name, aggregate }) => {
    const adder = { ...aggregate, name, slot }
    slot += cellOps(aggregate).length
    return adder
  })
}

/** The number as cells keep it; null where it does not fit. */
export function fits(adder: Adder, value: number): number | null {
  if (typeof value !== 'number') return null
  if (adder.kind === 'sum' || adder.kind === 'avg') return toFixedPoint(value, adder.decimals)
  // Adding 0 makes -0 and 0 one value, as JSON readers would.
  return Number.isFinite(value) ? value + 0 : null
}
