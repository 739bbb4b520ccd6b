/** What a policy looks at, with what a test does not care about filled in. */
import type { Measurement } from '../../supervisor/backlog.ts'
import type { Sample } from '../../supervisor/measurements.ts'
import type { Fleet } from '../../supervisor/reasons.ts'

export const fleet = (given: Partial<Fleet> = {}): Fleet => ({
  target: 0,
  running: 0,

  joined: 0,
  executors: [],
  min: 0,
  max: 4,
  paused: false,
  maxResultDelayMs: 2_000,
  useful: null,
  computing: null,
  ...given,
})

export const measured = (given: Partial<Measurement> = {}): Measurement => ({
  known: true,
  at: 1_000,
  waiting: 0,
  kafkaLag: 0,
  arrived: 0,
  committed: 0,
  busyUs: 0,
  entries: 0,
  undelivered: 0,
  ...given,
})

/** What the leader kept of a moment, epoch ms: one executor, nothing that waits. */
export const sampleAt = (at: number, given: Partial<Sample> = {}): Sample => ({
  at,
  arrived: 0,
  committed: 0,
  busyUs: 0,
  waiting: 0,
  kafkaLag: 0,
  running: 1,
  target: 1,
  min: 0,
  max: 4,
  policy: 'backlog',
  watermark: null,
  resultP50: null,
  resultP99: null,
  eventP50: null,
  eventP99: null,
  ...given,
})
