/**
 * The job of the tests of verify: one group, a count, a sum and a mean, windows that tumble
 * unless they are told to slide.
 */
import * as v from 'valibot'
import { avg, count, defineJob, type Job, sum } from '../../actors/job.ts'
import { uniqueName } from '../../faults/names.ts'

/** Under a name of its own; its records are `{ t, g, x }`. */
export const jobOn = (label: string, topic: string, slide: '10 s' | '5 s' = '10 s'): Job =>
  defineJob({
    name: uniqueName(label),
    topic,
    schema: v.object({ t: v.number(), g: v.string(), x: v.number() }),
    eventTime: ({ t }) => t,
    watermarkDelay: 0,
    window: { size: '10 s', slide },
    groupBy: ['g'],
    aggregates: { events: count(), total: sum('x'), mean: avg('x') },
  })
