/**
 * Percentiles of what was measured, none of it left out. Pure.
 */

/** By nearest rank: of 100 values the 99th percentile is the second greatest; NaN of none. */
export function percentile(sorted: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(share * sorted.length - 1e-9))
  return sorted[rank - 1] ?? Number.NaN
}

export interface Percentiles {
  p50: number
  p99: number
  p999: number
  max: number
}

export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b)
  return {
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    p999: percentile(sorted, 0.999),
    max: percentile(sorted, 1),
  }
}
