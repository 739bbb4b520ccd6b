/**
 * The words of a scale decision: the policies, what they look at, the closed set of reasons, and the
 * form in which a decision is kept.
 */

/** By need; as Spark's dynamic allocation does; always as many as allowed. */
export const policies = ['backlog', 'spark', 'fixed'] as const
export type Policy = (typeof policies)[number]

export const reasons = {
  /** Nothing changes, and why: enough as it is; nothing known to decide by. */
  hold: 'hold',
  unknown: 'unknown',
  /** More would bring nothing: given back, or not even tried. */
  limit: 'limit',
  /** Out: from 0; the backlog is too slow; started elsewhere; below the minimum; a fixed number. */
  wake: 'wake',
  backlog: 'backlog',
  joined: 'joined',
  minimum: 'minimum',
  fixed: 'fixed',
  /** In: the work needs fewer; no record for a while; above the maximum; idle (Spark). */
  utilisation: 'utilisation',
  quiet: 'quiet',
  maximum: 'maximum',
  /** Fewer than wanted: other jobs share the executors (pool.ts). */
  share: 'share',
  /** Fewer than the hosts take; or another host runs them (hosts.ts). */
  hosts: 'hosts',
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
  /** Executors that somebody started elsewhere since the last look; not in `target` yet. */
  joined: number
  executors: readonly { id: string; busyMs: number }[]
  min: number
  max: number
  paused: boolean
  /** What an operator understands: how old a result may be; ms. */
  maxResultDelayMs: number
  /** Executors beyond which no more work gets done on this machine; null where nothing says so. */
  useful: number | null
  /** Of the time in which executors had records in hand, the share that went into computing. */
  computing: number | null
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
export const wait = (backlog: number) =>
  backlog === 1 ? '1 record waits' : `${backlog} records wait`

/** "2 → 4 executors", "1 executor stays" */
export const change = (from: number, to: number) =>
  from === to ? `${from} executor${from === 1 ? ' stays' : 's stay'}` : `${from} → ${to} executors`
