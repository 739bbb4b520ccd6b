/** The shipped job over a topic of the benchmark's own, with a slide to choose (BENCH_SLIDE_MS). */
import { defineJob } from 'millrace'
import { students } from '../../jobs/students.ts'

export default defineJob({
  ...students,
  name: 'growth',
  topic: process.env.BENCH_TOPIC ?? 'growth',
  // Shorter than the shipped one: of a minute of event time most windows close during a run.
  watermarkDelay: '5 s',
  window: { size: '10 s', slide: Number(process.env.BENCH_SLIDE_MS ?? 5_000) },
})
