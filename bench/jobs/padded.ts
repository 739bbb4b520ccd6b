/** A job whose records need no more than 100 bytes, as large as their padding makes them. */
import { avg, count, defineJob, sum } from 'millrace'
import * as v from 'valibot'

export default defineJob({
  name: 'growth',
  topic: process.env.BENCH_TOPIC ?? 'growth',
  schema: v.looseObject({
    timestamp: v.pipe(v.number(), v.finite()),
    room: v.string(),
    kind: v.string(),
    lines: v.pipe(v.number(), v.integer(), v.minValue(0)),
    cpu: v.pipe(v.number(), v.finite()),
  }),
  eventTime: ({ timestamp }) => timestamp * 1_000,
  watermarkDelay: '5 s',
  window: { size: '10 s', slide: '5 s' },
  groupBy: ['room', 'kind'],
  aggregates: { total_lines: sum('lines'), avg_cpu: avg('cpu'), events: count() },
})
