/**
 * The operator's limits, as they stand in Redis: whoever changes them there (the API, another
 * terminal) is obeyed at the next look. Flags and environment are only what they begin with: a supervisor
 * that takes over long after its start leaves alone what was changed meanwhile.
 */
import { resultDelayRange } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Policy, policies } from './reasons.ts'

export interface Limits {
  min: number
  max: number
  paused: boolean
  policy: Policy
  /** How old a result may be, which the fleet is scaled for; ms. */
  maxResultDelayMs: number
}

export interface InitialLimits {
  min: number
  max: number
  policy: Policy
  maxResultDelayMs: number
  /** Those that were given as flags: they replace what Redis holds. */
  given: ReadonlySet<Setting>
}

const settings = ['min', 'max', 'policy', 'maxResultDelayMs'] as const
export type Setting = (typeof settings)[number]

/** Fields of the control hash that somebody has changed since it was `before`. Pure. */
export function changedIn(
  before: Readonly<Record<string, string>>,
  control: Readonly<Record<string, string>>,
): ReadonlySet<string> {
  const fields = new Set([...Object.keys(before), ...Object.keys(control)])
  return new Set([...fields].filter((field) => before[field] !== control[field]))
}

/** Writes what was given, but for what was changed meanwhile, and the rest where nothing is there yet. */
export async function beginControl(
  store: Store,
  keys: Keys,
  initial: InitialLimits,
  changed: ReadonlySet<string>,
): Promise<void> {
  for (const field of settings) {
    const value = initial[field]
    if (initial.given.has(field) && !changed.has(field))
      await store.redis.hset(keys.control, field, value)
    else await store.redis.hsetnx(keys.control, field, value)
  }
}

/** What the control hash says; `otherwise` for a field that is absent or makes no sense. Pure. */
export function limitsOf(control: Record<string, string>, otherwise: Limits): Limits {
  const max = whole(control.max, otherwise.max)
  const delayMs = Number(control.maxResultDelayMs ?? Number.NaN)
  const { fromMs, toMs } = resultDelayRange
  return {
    max,
    min: Math.min(whole(control.min, otherwise.min), max),
    paused: control.paused === '1',
    policy: policies.find((policy) => policy === control.policy) ?? otherwise.policy,
    maxResultDelayMs: delayMs >= fromMs && delayMs <= toMs ? delayMs : otherwise.maxResultDelayMs,
  }
}

const whole = (text: string | undefined, otherwise: number) =>
  text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : otherwise
