/** Flags of `bun run simulate` that other commands do not have. */
import { UsageError } from '../actors/errors.ts'
import { durationMs, type Duration } from '../actors/job.ts'
import { phases } from './load.ts'
import type { Scenario } from './scenario.ts'

/** Milliseconds of a duration such as `2s` or `500ms`; undefined where the flag is absent. */
export function durationFlag(
  name: string,
  text: string | undefined,
  range: { fromMs: number; toMs: number },
): number | undefined {
  if (text === undefined) return undefined
  const ms = msOf(text)
  if (ms >= range.fromMs && ms <= range.toMs) return ms
  throw new UsageError(
    `--${name} must be a duration from ${range.fromMs} ms to ${range.toMs / 3_600_000} h, ` +
      `such as 2s or 500ms, not ${JSON.stringify(text)}`,
  )
}

/** A scenario of one's own: `10:30s,40:30s,0:45s`, records a second and for how long. */
export function ownScenario(text: string, costMs: number): Scenario {
  const steps = text.split(',').map((step) => {
    const [perSecond = '', duration = ''] = step.split(':')
    const seconds = msOf(duration.trim()) / 1_000
    const rate = /^\d+(\.\d+)?$/.test(perSecond.trim()) ? Number(perSecond) : Number.NaN
    if (!(rate <= 1e6) || !(seconds > 0 && seconds <= 604_800)) {
      throw new UsageError(
        '--rate must be records a second and a duration for each step, such as ' +
          `10:30s,40:30s,0:45s, not ${JSON.stringify(text)}`,
      )
    }
    return [rate, seconds] as const
  })
  return {
    name: 'own',
    title: 'a load of your own',
    about: text,
    seconds: steps.reduce((sum, [, seconds]) => sum + seconds, 0),
    load: phases(...steps),
    cost: { kind: 'constant', ms: costMs },
    startMs: [100, 500],
  }
}

function msOf(text: string): number {
  try {
    return durationMs('', text as Duration, 0)
  } catch {
    return Number.NaN
  }
}
