/** How often something took how long: the four numbers that people ask for, and buckets. Pure. */
import * as v from 'valibot'

/** Upper bounds in seconds, as Prometheus has them; what took longer is in `count` alone. */
export const boundsSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const

/** All in seconds. `buckets[k]` are those in bucket k alone, not below it too. */
export const histogramSchema = v.object({
  count: v.number(),
  sum: v.number(),
  last: v.nullable(v.number()),
  max: v.nullable(v.number()),
  buckets: v.pipe(v.array(v.number()), v.length(boundsSeconds.length)),
})
export type Histogram = v.InferOutput<typeof histogramSchema>

export const emptyHistogram: Histogram = {
  count: 0,
  sum: 0,
  last: null,
  max: null,
  buckets: boundsSeconds.map(() => 0),
}

/** The histogram with one more, of so many milliseconds. */
export function observed(histogram: Histogram, ms: number): Histogram {
  const seconds = Math.round(ms * 1_000) / 1_000_000
  const bucket = boundsSeconds.findIndex((bound) => seconds <= bound)
  return {
    count: histogram.count + 1,
    sum: Math.round((histogram.sum + seconds) * 1e6) / 1e6,
    last: seconds,
    max: Math.max(seconds, histogram.max ?? 0),
    buckets: histogram.buckets.map((count, k) => (k === bucket ? count + 1 : count)),
  }
}
