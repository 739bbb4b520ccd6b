/**
 * A trace of the way that records take: off unless OpenTelemetry's environment asks for it, and then
 * nothing is even loaded. Bridge and executors hold null where it is off, and ask once an entry.
 *
 *   bridge: append (fetched → in the stream) ── executor: fold ── executor: commit
 */
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { traceSettings } from './settings.ts'

/** A run of one partition's offsets, [from, to). */
export interface Run {
  from: number
  to: number
  records: number
}

/** A topic, and the number of a partition of it (topics.ts). */
export interface TracedPlace {
  topic: string
  partition: number
}

/** A slice of an entry in an executor's hands; `stamps` as in executor/batch.ts. */
export interface TracedSlice extends Run {
  entry: TracedPlace & { from: number; to: number; crashes: number }
  stamps: readonly [timestamp: number, records: number][]
}

/** Each tells of steps that are over, `since` by `now()`; none ever waits or throws. */
export interface Trace {
  /** Epoch ms with a fraction. */
  now(): number
  appended(place: TracedPlace, entries: readonly Run[], since: number): void
  folded(slice: TracedSlice, since: number): void
  committed(slices: readonly TracedSlice[], since: number): void
  /** Sends what is left, for a second at the most. */
  close(): Promise<void>
}

export interface TraceOptions {
  kind: 'bridge' | 'executor'
  /** The actor, where it has a name by then. */
  id: string | undefined
  job: { name: string; topic: string }
  clock: Clock
  log: Log
}

export async function openTrace(
  options: TraceOptions,
  environment: Record<string, string | undefined> = process.env,
): Promise<Trace | null> {
  const { share, warnings } = traceSettings(environment)
  for (const warning of warnings) options.log.warn(warning)
  if (share === null || share === 0) return null
  try {
    const { openOtlp } = await import('./otlp.ts')
    return openOtlp(options, share)
  } catch (error) {
    options.log.warn('nothing is traced', { error: messageOf(error) })
    return null
  }
}
