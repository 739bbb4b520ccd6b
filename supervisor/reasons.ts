/**
 * The words of a scale decision: the policies, what they look at, the closed set of reasons, and the
 * form in which a decision is kept.
 */
export const policies = ['backlog', 'spark'] as const
export type Policy = (typeof policies)[number]

export const reasons = {
  /** Nothing changes, and why: enough as it is; nothing known to decide by. */
  hold: 'hold',
  unknown: 'unknown',
  /** Out: from 0; the backlog is too slow; below the minimum. */
  wake: 'wake',
  backlog: 'backlog',
  minimum: 'minimum',
  /** In: the work needs fewer; no record for a while; above the maximum; idle (Spark). */
  utilisation: 'utilisation',
  quiet: 'quiet',
  maximum: 'maximum',
  idle: 'idle',
  /** The operator's pause; an actor that failed for good, so that the count can't be reached. */
  paused: 'paused',
  degraded: 'degraded',
} as const
export type Reason = (typeof reasons)[keyof typeof reasons]

export interface Fleet {
  /** Executors wanted so far: those that are starting or about to be started again count. */
  target: number
  /** Of these, the ones that are at work. */
  running: number
  executors: readonly { id: string; busyMs: number }[]
  min: number
  max: number
  paused: boolean
  /** Executors beyond which no more work gets done on this machine; null where nothing says so. */
  useful: number | null
}

export type DecisionInputs = Record<string, number | string | null>

export interface Decision {
  /** Epoch ms. */
  at: number
  from: number
  to: number
  reason: Reason
  /** For people. */
  sentence: string
  inputs: DecisionInputs
}

/** What a policy wants; the frame around it adds the rest. */
export interface Step {
  to: number
  reason: Reason
  because: string
}

export const hold = (to: number, reason: Reason, because: string): Step => ({
  to,
  reason,
  because,
})

/** "57 records wait" */
export const count = (backlog: number) =>
  backlog === 1 ? '1 record waits' : `${backlog} records wait`
