/**
 * What a job declares of its windows, checked: their size and slide or the gap of sessions, and how long and
 * how often they are told. Pure.
 */
import type { GenericSchema } from 'valibot'
import type { Duration } from '../duration.ts'
import type { Job, JobDeclaration } from '../job.ts'
import { durationMs, JobError } from '../job-error.ts'
import type { Sink } from '../sinks/sink.ts'

export type Windows = Pick<Job, 'windowSizeMs' | 'windowSlideMs' | 'gapMs'>

export function windowOf(window: JobDeclaration<GenericSchema>['window'] | undefined): Windows {
  if (!window || typeof window !== 'object') {
    throw new JobError(
      "window must be { size, slide }, such as { size: '10 s', slide: '5 s' }, or { gap, max } for sessions",
    )
  }
  if ('gap' in window) return sessionsOf(window)
  const windowSizeMs = durationMs('window.size', window.size, 1)
  const windowSlideMs = durationMs('window.slide', window.slide ?? windowSizeMs, 1)
  if (windowSizeMs % windowSlideMs !== 0) {
    throw new JobError(
      `window.slide (${windowSlideMs} ms) must divide window.size (${windowSizeMs} ms)`,
    )
  }
  if (windowSizeMs / windowSlideMs > 128) {
    throw new JobError('window.size must be at most 128 times window.slide')
  }
  return { windowSizeMs, windowSlideMs, gapMs: null }
}

function sessionsOf(window: { gap: Duration; max?: Duration }): Windows {
  const unknown = Object.keys(window).find((field) => field !== 'gap' && field !== 'max')
  if (unknown !== undefined) {
    throw new JobError(`window has gap and max for sessions, not ${JSON.stringify(unknown)}`)
  }
  const gapMs = durationMs('window.gap', window.gap, 1)
  if (window.max === undefined) return { windowSizeMs: ENDLESS, windowSlideMs: ENDLESS, gapMs }
  const maxMs = durationMs('window.max', window.max, 1)
  if (maxMs < gapMs) {
    throw new JobError(`window.max (${maxMs} ms) must be at least window.gap (${gapMs} ms)`)
  }
  return { windowSizeMs: maxMs, windowSlideMs: maxMs, gapMs }
}

/** Panes are kept for so long, and their list is read as a whole now and then. */
const LATENESS_SLIDES_MAX = 10_000

export function latenessOf(duration: Duration, { windowSlideMs, gapMs }: Windows): number {
  const ms = durationMs('allowedLateness', duration, 0)
  if (ms > 0 && gapMs !== null) {
    throw new JobError('allowedLateness is for windows only: sessions do not change once closed')
  }
  if (ms <= LATENESS_SLIDES_MAX * windowSlideMs) return ms
  throw new JobError(
    `allowedLateness (${ms} ms) must be at most 10,000 times window.slide (${windowSlideMs} ms)`,
  )
}

/** Windows of many groups take Redis a while to write out. */
const UPDATES_MS_MIN = 1_000

export function updatesOf(
  duration: Duration | undefined,
  { gapMs }: Windows,
  sinks: readonly Sink[],
): number {
  const asking = sinks.find(({ updates }) => updates)
  if (duration === undefined) {
    if (!asking) return 0
    throw new JobError(
      `sink ${asking.name} has updates: true, so the job must say how often, such as updates: '5 s'`,
    )
  }
  const ms = durationMs('updates', duration, UPDATES_MS_MIN)
  if (gapMs !== null) throw new JobError('updates are of windows only, not of sessions')
  return asking ? ms : 0
}

/** Longer than all of time that Date can name, so that no session is cut but at the epoch. */
const ENDLESS = 2 ** 53
