/**
 * The jobs that worlds run: windows of several shapes, with and without `work` that waits. The
 * aggregates are the same everywhere, so that the reference knows the cells by heart.
 */
import * as v from 'valibot'
import type { Clock } from '../../actors/clock.ts'
import {
  avg,
  count,
  defineJob,
  type Job,
  last,
  max,
  min,
  quantiles,
  sum,
} from '../../actors/job.ts'

/** Whose clock `work` waits by: the process in whose event it runs. */
export interface Waiting {
  clock: Clock | null
}

const schema = v.looseObject({ t: v.number(), g: v.string(), v: v.number(), f: v.boolean() })
type Row = v.InferOutput<typeof schema>

interface Shape {
  window: { size: number; slide: number } | { gap: number; max?: number }
  delay: number
  /** Milliseconds of a record's work; 0 for none. */
  workMs: number
  concurrency: number
  /** For how long closed windows may change, and how often open ones are told. */
  lateness?: number
  updatesMs?: number
}

export const shapes: readonly Shape[] = [
  { window: { size: 1_000, slide: 1_000 }, delay: 1_000, workMs: 0, concurrency: 1 },
  { window: { size: 2_000, slide: 500 }, delay: 1_500, workMs: 0, concurrency: 1 },
  { window: { size: 1_000, slide: 500 }, delay: 0, workMs: 0, concurrency: 1 },
  { window: { size: 3_000, slide: 1_000 }, delay: 2_000, workMs: 8, concurrency: 1 },
  { window: { size: 1_000, slide: 500 }, delay: 700, workMs: 30, concurrency: 3 },
]

/** The same with sessions. */
export const sessionShapes: readonly Shape[] = [
  { window: { gap: 150 }, delay: 700, workMs: 0, concurrency: 1 },
  { window: { gap: 400, max: 1_000 }, delay: 100, workMs: 0, concurrency: 1 },
  { window: { gap: 60, max: 300 }, delay: 400, workMs: 20, concurrency: 2 },
]

/** The same with windows that are told more than once. */
export const toldShapes: readonly Shape[] = [
  {
    window: { size: 1_000, slide: 500 },
    delay: 200,
    workMs: 0,
    concurrency: 1,
    lateness: 1_300,
  },
  {
    window: { size: 2_000, slide: 500 },
    delay: 100,
    workMs: 0,
    concurrency: 1,
    lateness: 3_000,
    updatesMs: 150,
  },
  { window: { size: 900, slide: 300 }, delay: 400, workMs: 0, concurrency: 1, updatesMs: 100 },
  {
    window: { size: 1_000, slide: 1_000 },
    delay: 300,
    workMs: 8,
    concurrency: 2,
    lateness: 1,
    updatesMs: 400,
  },
]

/** A job for each shape; `waiting` is set by the world that runs. */
export function createJobs(waiting: Waiting): Job[] {
  const all = [...shapes, ...sessionShapes, ...toldShapes]
  return all.map(({ window, delay, workMs, concurrency, lateness = 0, updatesMs = 0 }) => ({
    ...defineJob({
      name: 'simulated',
      topic: 'simulated',
      schema,
      eventTime: (row) => row.t,
      filter: (row) => row.f,
      watermarkDelay: delay,
      window,
      allowedLateness: lateness,
      groupBy: ['g'],
      aggregates: {
        n: count(),
        s: sum('v'),
        a: avg('v'),
        lo: min('v'),
        hi: max('v'),
        // Of sketches one that tells records twice, and one that tells the order.
        q: quantiles('v', [0.5]),
        z: last('v'),
      },
      concurrency,
      ...(workMs > 0 ? { work: (row: Row) => work(row, workMs, waiting) } : {}),
    }),
    // As with a sink that asks for them, which the world has not.
    updatesMs,
  }))
}

/** The same job with all topics whose names match. */
export const ofSeveralTopics = (job: Job): Job => ({
  ...job,
  topic: '/^simulated-/',
  topics: /^simulated-/,
})

export const topicNameOf = ({ topic, topics }: Job, index: number): string =>
  topics === null ? topic : `simulated-${index}`

async function work(row: Row, ms: number, { clock }: Waiting): Promise<Row> {
  if (row.g === THROWS) throw new Error('work does not like this record')
  // Not the same for each, but the same for a record each time.
  await clock!.sleep(ms * (0.5 + (Math.abs(row.v) % 100) / 100))
  return row
}

/** Records of this group make `work` throw, where there is one. */
export const THROWS = 'throws'
