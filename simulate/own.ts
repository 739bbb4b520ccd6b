/** A load of one’s own, from the command line. */
import { UsageError } from '../actors/errors.ts'
import { parseDuration } from '../actors/duration.ts'
import { phases } from './load.ts'
import type { Scenario } from './scenario.ts'

/** A scenario of one's own: `10:30s,40:30s,0:45s`, records a second and for how long. */
export function ownScenario(text: string, costMs: number): Scenario {
  const steps = text.split(',').map((step) => {
    const [perSecond = '', duration = ''] = step.split(':')
    const seconds = (parseDuration(duration.trim()) ?? 0) / 1_000
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
