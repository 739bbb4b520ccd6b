/**
 * The ladder against a pipeline that is broken on purpose: the simulation of the copy must fail.
 */
import { systemClock } from '../../actors/clock.ts'
import type { Bug } from './bugs.ts'
import { sabotagedCopy } from './copy.ts'

export interface Verdict {
  bug: Bug
  /** The first seed that failed and what it found; null where none did. */
  caught: { seed: number; finding: string } | null
  seconds: number
}

/** Seeds that a bug may need to show. Measured: the least visible of the seven needs a few hundred. */
export const SEEDS_MAX = 3_000

/** @throws where the bug does not fit the source any more, or the simulation itself breaks */
export async function sabotage(bug: Bug, seedsMax = SEEDS_MAX): Promise<Verdict> {
  const startedAt = systemClock.elapsed()
  const args = ['--seeds', String(seedsMax), '--until-failure']
  const child = Bun.spawn([process.execPath, 'faults/main.ts', ...args], {
    cwd: sabotagedCopy(bug),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, told] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  const code = await child.exited
  const failed = /^seed (\d+): (.*)$/m.exec(out)
  if (code !== 0 && !failed) throw new Error(`bug ${bug.name}: ${told.trim() || out.trim()}`)
  const caught = failed ? { seed: Number(failed[1]), finding: failed[2]! } : null
  return { bug, caught, seconds: (systemClock.elapsed() - startedAt) / 1_000 }
}
