/**
 * What is wrong with a job's declaration, in one line, and what is asked of each duration in it. Pure.
 */
import { type Duration, parseDuration } from './duration.ts'

/** A job that can't be run; the message names the field and what is allowed. */
export class JobError extends Error {
  override name = 'JobError'
}

/**
 * Milliseconds of a duration.
 * @throws JobError where it is not one, not a whole number of milliseconds, or less than `atLeastMs`
 */
export function durationMs(field: string, duration: Duration, atLeastMs: number): number {
  const ms = parseDuration(duration)
  if (ms === null || ms < atLeastMs) {
    throw new JobError(
      `${field} must be a duration of at least ${atLeastMs} ms, such as '10 s' or '1 minute', not ${JSON.stringify(duration)}`,
    )
  }
  return ms
}
