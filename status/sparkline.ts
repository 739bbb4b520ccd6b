/**
 * Samples over time as one row of blocks: a cell a second, or as many as fit. Pure.
 *
 *   Sample[] (supervisor/measurements.ts) → seriesOf → sparkline
 */
import type { Sample } from '../supervisor/measurements.ts'

const blocks = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const

/** What a cell shows; null where nothing was measured. */
export type Series = readonly (number | null)[]

export interface Span {
  /** Epoch ms; the last cell ends here. */
  to: number
  cells: number
  stepMs: number
}

/**
 * A value for each step: the newest sample's in it, or the one before while that is not older than
 * `heldMs`, since a silent job is measured rarely.
 */
export function seriesOf(
  samples: readonly Sample[],
  { to, cells, stepMs }: Span,
  heldMs: number,
  valueOf: (sample: Sample, before: Sample | null) => number | null,
): Series {
  let next = 0
  return Array.from({ length: cells }, (_, cell) => {
    const end = to - (cells - 1 - cell) * stepMs
    while (next < samples.length && samples[next]!.at <= end) next++
    const sample = samples[next - 1]
    if (!sample || end - sample.at > heldMs) return null
    return valueOf(sample, samples[next - 2] ?? null)
  })
}

/** Blocks from 0 to the highest value; a space where nothing is known. */
export function sparkline(series: Series): string {
  const most = Math.max(0, ...series.map((value) => value ?? 0))
  return series.map((value) => (value === null ? ' ' : blockOf(value, most))).join('')
}

/** Whatever is more than nothing stands above the lowest block, however little it is. */
function blockOf(value: number, most: number): string {
  if (value <= 0) return blocks[0]
  return blocks[Math.max(1, Math.round((value / most) * (blocks.length - 1)))]!
}
