/**
 * Histograms in Prometheus's text format, of what was counted elsewhere: prom-client's can't be given
 * counts. Pure.
 */
import { delayBucketsMs } from '../actors/messages.ts'
import { boundsSeconds, type Histogram } from '../supervisor/histogram.ts'

/** `buckets[k]` is what lies between bound k − 1 and bound k, in seconds; `count` is all there is. */
export interface Buckets {
  bounds: readonly number[]
  buckets: readonly number[]
  count: number
  sum: number
}

/** One family; the keys of `series` are their labels as they stand in the text, '' for none. */
export function histogramText(name: string, help: string, series: Record<string, Buckets>): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`]
  for (const [label, { bounds, buckets, count, sum }] of Object.entries(series)) {
    const comma = label === '' ? '' : ','
    const braces = label === '' ? '' : `{${label}}`
    let below = 0
    bounds.forEach((bound, k) => {
      below += buckets[k] ?? 0
      lines.push(`${name}_bucket{${label}${comma}le="${bound}"} ${below}`)
    })
    lines.push(`${name}_bucket{${label}${comma}le="+Inf"} ${count}`)
    lines.push(`${name}_sum${braces} ${sum}`, `${name}_count${braces} ${count}`)
  }
  return `${lines.join('\n')}\n`
}

export const ofLoop = (histogram: Histogram): Buckets => ({ bounds: boundsSeconds, ...histogram })

/** Every second bucket of the executors' is told, up to about an hour: 43 bounds, 41 % apart. */
const told = delayBucketsMs.flatMap((ms, k) => (k % 2 === 0 && ms <= 2 ** 22 ? [k] : []))
const toldSeconds = told.map((k) => significant(delayBucketsMs[k]! / 1_000))

/**
 * Executors' records by delay (actors/messages.ts). What they took together is not counted: the sum is
 * taken from the middles of the buckets, and at most 9 % off.
 */
export function ofDelays(delays: readonly number[]): Buckets {
  const buckets = told.map((k) => (delays[k] ?? 0) + (k === 0 ? 0 : (delays[k - 1] ?? 0)))
  const count = delays.reduce((sum, records) => sum + records, 0)
  const sumMs = delays.reduce((sum, records, k) => sum + records * middleMs(k), 0)
  return { bounds: toldSeconds, buckets, count, sum: sumMs / 1_000 }
}

/** By the scale of the bounds, which is geometric; the first bucket begins at 0. */
const middleMs = (k: number) => (k === 0 ? 0.5 : delayBucketsMs[k]! / 2 ** (1 / 8))

/** A bound as people can read it, off by less than a thousandth. */
function significant(seconds: number): number {
  return Number(seconds.toPrecision(4))
}
