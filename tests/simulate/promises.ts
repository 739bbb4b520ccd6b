/**
 * What a policy keeps in any world, found out while it is played: each function says what was broken,
 * with when, and nothing where all held.
 */
import { COOLDOWN_MS, reversalsOf } from '../../simulate/contest.ts'
import type { Scenario } from '../../simulate/scenario.ts'
import { type Look, type Played, play, type Setting } from '../../simulate/world.ts'

export interface Watched extends Played {
  outside: string[]
  unserved: string[]
  moved: string[]
}

/** Plays, and keeps what the looks showed. */
export function watch(scenario: Scenario, setting: Setting): Watched {
  const outside: string[] = []
  const unserved: string[] = []
  const moved: string[] = []
  const played = play(scenario, setting, (look) => {
    const { decision, measured } = look
    if (decision.to < setting.min || decision.to > setting.max) outside.push(told(look))
    if (measured && measured.waiting > 0 && decision.to === 0) unserved.push(told(look))
    if (!measured && decision.to !== decision.from) moved.push(told(look))
  })
  if (played.undone > 0) unserved.push(`${played.undone} records were never done`)
  return { ...played, outside, unserved, moved }
}

/** Reversals (changes back within the cooldown) that follow one another within the cooldown. */
export function flapping({ decisions }: Played): string[] {
  const reversals = reversalsOf(decisions)
  return reversals.flatMap((turn, i) => {
    const before = reversals[i - 1]
    if (!before || turn.at - before.at >= COOLDOWN_MS) return []
    return [`${before.at / 1_000} s ${before.sentence} | ${turn.at / 1_000} s ${turn.sentence}`]
  })
}

const told = ({ atMs, decision }: Look) => `${atMs / 1_000} s: ${decision.sentence}`
