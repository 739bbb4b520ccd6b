/** GET /api/job: what the page needs to know of the job before it has seen a row. Pure. */
import type { Job } from '../actors/job.ts'
import { quantileName } from '../actors/windows/buckets.ts'
import { version } from '../package.json'
import type { JobReport } from './schemas.ts'

/** `jobs`: how many there are on this Redis, null where that is not known. */
export function jobReport(job: Job, needsToken: boolean, jobs: number | null): JobReport {
  return {
    name: job.name,
    topic: job.topic,
    groups: job.groups.map(({ name }) => name),
    aggregates: job.aggregates.map(({ name, aggregate }) => ({
      name,
      kind: aggregate.kind,
      ...(aggregate.wanted && { quantiles: aggregate.wanted.map(quantileName) }),
    })),
    window: windowReport(job),
    sinks: job.sinks.map(({ name }) => name),
    watermarkDelayMs: job.watermarkDelayMs,
    ...(job.allowedLatenessMs > 0 && { allowedLatenessMs: job.allowedLatenessMs }),
    ...(job.updatesMs > 0 && { updatesMs: job.updatesMs }),
    control: { needsToken },
    jobs,
    version,
  }
}

/** Of sessions, size and slide are those of the spans that totals are told by. */
function windowReport({ gapMs, windowSizeMs, windowSlideMs }: Job): JobReport['window'] {
  if (gapMs === null) return { sizeMs: windowSizeMs, slideMs: windowSlideMs }
  const max = Number.isSafeInteger(windowSizeMs) ? { maxMs: windowSizeMs } : {}
  return { sizeMs: gapMs, slideMs: gapMs, gapMs, ...max }
}
