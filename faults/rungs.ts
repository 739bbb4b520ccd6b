/**
 * The rungs that need no servers: seeds of the simulation, and the simulation against a pipeline that
 * is broken on purpose.
 */
import { availableParallelism } from 'node:os'
import { type Bug, bugs } from './sabotage/bugs.ts'
import { SEEDS_MAX, sabotage } from './sabotage/run.ts'
import { runSeeds } from './simulation/run.ts'
import { simulate } from './simulation/simulate.ts'

type Print = (line: string) => void

export interface Seeds {
  seeds: number
  from: number
  /** The first seed that fails ends the run. */
  untilFailure: boolean
}

/** Many seeds, as many processes as cores; answers with the exit code. */
export async function playSeeds(given: Seeds, print: Print): Promise<number> {
  const { seeds, from, untilFailure } = given
  const ended = new AbortController()
  const report = await runSeeds({
    from,
    seeds,
    processes: availableParallelism(),
    signal: ended.signal,
    onFailure({ seed, findings }) {
      print(`seed ${seed}: ${findings[0]}`)
      print(`  play it again: bun run faults --seed ${seed} --trace`)
      if (untilFailure) ended.abort()
    },
  })
  const things = [...report.counts].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [kind, count] of things) print(`${String(count).padStart(9)} ${kind}`)
  const virtual = Math.round(report.virtualSeconds / 60)
  print(
    `${report.seeds} seeds in ${report.seconds.toFixed(1)} s, ${virtual} minutes of virtual time: ${report.failed} failed`,
  )
  return report.failed === 0 ? 0 : 1
}

/** One seed, with everything that happens in it where a trace is asked for. */
export function playSeed(seed: number, trace: boolean, print: Print): number {
  const { findings, hash, steps, virtualMs } = simulate(seed, trace ? { print } : {})
  for (const finding of findings) print(finding)
  const seconds = (virtualMs / 1_000).toFixed(1)
  print(
    `seed ${seed}: ${findings.length} findings in ${steps} steps and ${seconds} s of virtual time, trace ${hash}`,
  )
  return findings.length === 0 ? 0 : 1
}

/** Each bug must be caught; answers with the exit code. */
export async function playSabotage(print: Print, chosen: readonly Bug[] = bugs): Promise<number> {
  let missed = 0
  for (const bug of chosen) {
    const { caught, seconds } = await sabotage(bug)
    if (!caught) missed++
    print(`${caught ? 'caught' : 'MISSED'}  ${bug.name}: ${bug.title}`)
    print(
      caught
        ? `        by seed ${caught.seed} after ${seconds.toFixed(1)} s: ${caught.finding}`
        : `        by none of ${SEEDS_MAX} seeds`,
    )
  }
  print(`${chosen.length - missed} of ${chosen.length} bugs caught`)
  return missed === 0 ? 0 : 1
}
