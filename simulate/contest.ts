/**
 * A contest: one scenario, each way to scale it, and what came of it. Ways are the policies of
 * supervisor/reasons.ts, the scenario's own plan (who knew the load beforehand), and the optimum.
 */
import { type CostReport, costReport } from '../supervisor/cost.ts'
import { type Policy, policies } from '../supervisor/reasons.ts'
import { optimumOf } from './optimum.ts'
import type { Scenario } from './scenario.ts'
import { type Look, type Played, play, type Setting } from './world.ts'

export type Way = Policy | 'plan' | 'optimum'
export const ways: readonly Way[] = [...policies, 'plan', 'optimum']

export interface Terms {
  min: number
  max: number
  maxResultDelayMs: number
  seed: number
  pricePerHour: number
  /** Executors that are at work from the beginning, 0 by default. */
  warm?: number
}

export interface Result {
  scenario: string
  way: string
  cost: CostReport
  records: number
  undone: number
  /** Result delays; ms, null where there is none. */
  delayMs: { p50: number | null; p99: number | null; max: number | null }
  /** Changes of the count, and of these the ones against the direction of the last within 10 s. */
  scalings: number | null
  reversals: number | null
  /** Optimum only: the work itself, which nobody can do with less; whether all can be in time. */
  workSeconds?: number
  feasible?: boolean
}

/** A change back within this time is a reversal. */
export const COOLDOWN_MS = 10_000

/** Ways that a scenario can be played in. */
export function waysOf(scenario: Scenario, wanted: readonly Way[]): Way[] {
  return wanted.filter((way) => way !== 'plan' || scenario.plan !== undefined)
}

export function contest(
  scenario: Scenario,
  way: Way,
  terms: Terms,
  onLook?: (look: Look) => void,
): Result {
  if (way === 'optimum') return optimum(scenario, terms)
  const played = play(scenario, settingOf(scenario, way, terms), onLook)
  return resultOf(scenario.name, way, played, terms)
}

/** How the world is set for a way. */
export function settingOf(scenario: Scenario, way: Exclude<Way, 'optimum'>, terms: Terms): Setting {
  const { min, max, maxResultDelayMs, seed, warm = 0 } = terms
  const common = { min, max, maxResultDelayMs, seed, warm }
  // A static fleet is there before the first record.
  if (way === 'fixed') return { ...common, policy: way, warm: max }
  if (way !== 'plan') return { ...common, policy: way }
  const plan = scenario.plan ?? []
  return { ...common, policy: 'fixed', plan, warm: plan[0]?.[1] ?? 0 }
}

export function resultOf(scenario: string, way: string, played: Played, terms: Terms): Result {
  const { delays, decisions, account, undone } = played
  return {
    scenario,
    way,
    cost: costReport(account, terms.pricePerHour),
    records: delays.length,
    undone,
    delayMs: {
      p50: quantile(delays, 0.5),
      p99: quantile(delays, 0.99),
      max: quantile(delays, 1),
    },
    scalings: decisions.length,
    reversals: reversalsOf(decisions).length,
  }
}

function optimum(scenario: Scenario, terms: Terms): Result {
  const { executorMs, workMs, feasible } = optimumOf(scenario, terms)
  const elapsedMs = scenario.seconds * 1_000
  const account = { since: 0, elapsedMs, usedMs: executorMs, staticMs: elapsedMs * terms.max }
  return {
    scenario: scenario.name,
    way: 'optimum',
    cost: costReport(account, terms.pricePerHour),
    records: 0,
    undone: 0,
    delayMs: { p50: null, p99: null, max: feasible ? terms.maxResultDelayMs : null },
    scalings: null,
    reversals: null,
    workSeconds: workMs / 1_000,
    feasible,
  }
}

/** The smallest value that a share of all does not exceed; null for none. */
export function quantile(ascending: Float64Array, share: number): number | null {
  const place = Math.ceil(share * ascending.length - 1e-9) - 1
  return ascending[Math.max(place, 0)] ?? null
}

interface Change {
  at: number
  from: number
  to: number
}

/** Changes against the direction of the one before, within the cooldown after it. */
export function reversalsOf<Of extends Change>(
  changes: readonly Of[],
  withinMs = COOLDOWN_MS,
): Of[] {
  return changes.filter((change, i) => {
    const before = changes[i - 1]
    if (!before || change.at - before.at >= withinMs) return false
    return Math.sign(change.to - change.from) !== Math.sign(before.to - before.from)
  })
}
