/**
 * The operator's limits, as they stand in Redis: whoever changes them there (the API, another
 * terminal) is obeyed at the next look. Flags and environment are only what they begin with.
 */
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Policy, policies } from './reasons.ts'

export interface Limits {
  min: number
  max: number
  paused: boolean
  policy: Policy
}

export interface InitialLimits {
  min: number
  max: number
  policy: Policy
  /** Those that were given as flags: they replace what Redis holds. */
  given: ReadonlySet<'min' | 'max' | 'policy'>
}

/** Writes what was given, and the rest where nothing is there yet. */
export async function beginControl(
  store: Store,
  keys: Keys,
  initial: InitialLimits,
): Promise<void> {
  for (const field of ['min', 'max', 'policy'] as const) {
    const value = initial[field]
    if (initial.given.has(field)) await store.redis.hset(keys.control, field, value)
    else await store.redis.hsetnx(keys.control, field, value)
  }
}

/** What the control hash says; `otherwise` for a field that is absent or makes no sense. Pure. */
export function limitsOf(control: Record<string, string>, otherwise: Limits): Limits {
  const max = whole(control.max, otherwise.max)
  return {
    max,
    min: Math.min(whole(control.min, otherwise.min), max),
    paused: control.paused === '1',
    policy: policies.find((policy) => policy === control.policy) ?? otherwise.policy,
  }
}

const whole = (text: string | undefined, otherwise: number) =>
  text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : otherwise
