/**
 * When an actor that died may start again, and when it is given up: OTP's supervision. Pure.
 *
 *   ready ──crash──► waiting (jittered exponential backoff) ──► ready
 *     ▲                 └── too many in too short a time, or the same refusal again ──► failed
 *     └── lived quietly for a while ◄── probing (one more try) ◄── after a long pause ──┘
 */
import { type Backoff, backoffDelayMs } from '../actors/backoff.ts'

export interface RestartPolicy {
  backoff: Backoff
  /** The budget: more crashes than this within the time end in `failed`. */
  crashesMax: number
  withinMs: number
  /** One that lived this long before it died starts the backoff anew. */
  steadyMs: number
  /** The same refusal this many times in a row, each soon after the start, needs no more tries. */
  refusalsMax: number
  /** Pause of a failed kind before one more try. */
  pauseMs: number
}

/** The first restart within 100 ms, so that a crash costs far less than 2 s. */
const backoff: Backoff = { baseMs: 100, capMs: 1_000 }

/** Executors may die of poisonous records several times in a row before those are found. */
export const executorRestarts: RestartPolicy = {
  backoff,
  crashesMax: 30,
  withinMs: 60_000,
  steadyMs: 1_000,
  refusalsMax: 12,
  pauseMs: 60_000,
}

/** A bridge needs seconds to join Kafka before it can say what it refuses. */
export const bridgeRestarts: RestartPolicy = {
  backoff,
  crashesMax: 20,
  withinMs: 60_000,
  steadyMs: 5_000,
  refusalsMax: 3,
  pauseMs: 60_000,
}

export const sinksRestarts: RestartPolicy = { ...bridgeRestarts, steadyMs: 2_000 }

export const webRestarts: RestartPolicy = { ...bridgeRestarts, steadyMs: 2_000, refusalsMax: 5 }

export interface Restarts {
  /** Times of the crashes that the budget counts; epoch ms, oldest first. */
  crashes: readonly number[]
  /** Crashes in a row, each soon after the start. */
  attempt: number
  refusals: number
  lastReason: string | null
  readyAt: number
  /** Why it is given up; null where it is not. Stays while it is tried once more. */
  failed: string | null
  /** Machines that some were lost with of late, and when the first of them was. */
  lost: readonly { machine: string; at: number }[]
}

export interface Crash {
  at: number
  /** How long it had lived. */
  uptimeMs: number
  reason: string
  /** It ended by itself and said why (exit code 1 or 2), rather than being killed. */
  refused: boolean
  /** Where it ran, if that was another machine than ours. */
  machine?: string | null
  /** How long it had been ours; by one clock, where `uptimeMs` may be by its own machine's. */
  oursMs?: number
}

/** Who is lost with a machine is missed within this: by a heartbeat, or by what the cluster tells. */
const LOST_TOGETHER_MS = 30_000

export const noCrashes: Restarts = {
  crashes: [],
  attempt: 0,
  refusals: 0,
  lastReason: null,
  readyAt: 0,
  failed: null,
  lost: [],
}

/** The state after a crash; `random` is in [0, 1). */
export function crashed(
  policy: RestartPolicy,
  before: Restarts,
  crash: Crash,
  random: number,
): Restarts {
  if (isLostToo(before, crash)) return before
  const lost = lostAfter(before, crash)
  const steady = crash.uptimeMs >= policy.steadyMs
  const repeated = crash.refused && !steady && crash.reason === before.lastReason
  const crashes = [...before.crashes, crash.at].filter((at) => crash.at - at < policy.withinMs)
  const attempt = steady ? 1 : before.attempt + 1
  const refusals = repeated ? before.refusals + 1 : 1
  const state = { crashes, attempt, refusals, lastReason: crash.reason, lost }
  const given = givenUp(policy, before, state, steady)
  if (given !== null) {
    const seconds = Math.round(policy.pauseMs / 1_000)
    const failed = `${given}; it is tried again every ${seconds} s`
    return { ...state, readyAt: crash.at + policy.pauseMs, failed }
  }
  const delay = backoffDelayMs(policy.backoff, attempt, random)
  return { ...state, readyAt: crash.at + delay, failed: null }
}

/** The state when one of the kind lives: what failed and has come to stay starts afresh. */
export function lived(policy: RestartPolicy, state: Restarts, uptimeMs: number): Restarts {
  const settled = state.attempt === 0 && state.failed === null
  if (settled || uptimeMs < policy.steadyMs) return state
  // The budget's crashes stay until they are old: dying every few seconds is not quiet.
  return { ...state, attempt: 0, refusals: 0, lastReason: null, failed: null }
}

export const mayStart = (state: Restarts, now: number) => now >= state.readyAt

/**
 * One machine's end is one crash, however many it takes with it: of those that ran when the first of them was
 * missed. Whoever was started since and dies is another.
 */
function isLostToo({ lost }: Restarts, { machine, refused, at, oursMs = 0 }: Crash): boolean {
  const first = lost.findLast((one) => one.machine === machine)
  if (!first || refused) return false
  return at - first.at < LOST_TOGETHER_MS && at - oursMs < first.at
}

function lostAfter({ lost }: Restarts, { machine = null, refused, at }: Crash): Restarts['lost'] {
  const kept = lost.filter((one) => at - one.at < LOST_TOGETHER_MS)
  return machine === null || refused ? kept : [...kept, { machine, at }]
}

function givenUp(
  policy: RestartPolicy,
  before: Restarts,
  now: Pick<Restarts, 'crashes' | 'refusals' | 'lastReason'>,
  steady: boolean,
): string | null {
  if (before.failed !== null && !steady) return `it died again: ${now.lastReason}`
  if (now.refusals >= policy.refusalsMax) return now.lastReason
  if (now.crashes.length <= policy.crashesMax) return null
  const seconds = Math.round(policy.withinMs / 1_000)
  return `${now.crashes.length} crashes within ${seconds} s, the last: ${now.lastReason}`
}
