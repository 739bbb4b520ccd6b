/**
 * What was found at one rate with one number of executors.
 */
import type { Percentiles } from '../percentiles.ts'

export interface Played {
  rate: number
  executors: number
  /** Records committed a second while it was measured. */
  committedPerSecond: number
  probes: number
  /** Of these, probes that never became visible; each counts with what it had waited. */
  unseen: number
  /** Production to visibility, by the probes; ms. */
  delayMs: Percentiles
  /** Until what is visible has been read back besides. */
  readBackMs: Percentiles
  /** As the API's `latencyMs` tells it, of all records; upper bounds of buckets that are 19 % wide. */
  apiMs: Record<keyof Percentiles, number | null>
  /** % of one core while it was measured; `stolen`: what the machine's host gave to others meanwhile. */
  cpuPercent: Record<string, number>
  /** Runnable programs over the last minute, when the measurement ended. */
  load: number
  stages: Record<StageSpan, Percentiles> | null
}

export const stageSpans = [
  'produced → acknowledged',
  'produced → appended',
  'appended → read',
  'read → commit called',
  'commit called → committed',
  'committed → visible',
  'produced → visible',
] as const
export type StageSpan = (typeof stageSpans)[number]
