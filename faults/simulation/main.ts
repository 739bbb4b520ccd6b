/** `bun faults/simulation/main.ts`: many seeds in several processes, or one seed and its trace. */
import { runMain } from '../../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../../actors/flags.ts'
import { runSeeds } from './run.ts'
import { simulate } from './simulate.ts'

const command = {
  help: `
Usage: bun faults/simulation/main.ts [--seeds N] [--from S] [--processes N] | --seed S [--trace]

Runs the whole pipeline in virtual time, N times, each time from another seed.

  --seeds N       how many (10,000)
  --from S        the first (1)
  --processes N   worker processes (2)
  --seed S        this one only
  --trace         print everything that happens in it
  --until-failure end with the first seed that fails
  --counts        print how often each kind of thing happened
  --help          this text`,
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    processes: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean' },
    counts: { type: 'boolean' },
    'until-failure': { type: 'boolean' },
  },
} as const

await runMain('simulation', async () => {
  const { values } = parseFlags(command)
  const range = { from: 0, to: 2 ** 31 }
  const seed = wholeNumberFlag('seed', values.seed, range)
  if (seed !== undefined) return one(seed, values.trace ?? false)
  const ended = new AbortController()
  const report = await runSeeds({
    signal: ended.signal,
    from: wholeNumberFlag('from', values.from, range) ?? 1,
    seeds: wholeNumberFlag('seeds', values.seeds, range) ?? 10_000,
    processes: wholeNumberFlag('processes', values.processes, { from: 1, to: 64 }) ?? 2,
    onFailure: ({ seed: failed, findings }) => {
      process.stdout.write(`seed ${failed}: ${findings[0]}\n`)
      process.stdout.write(`  bun faults/simulation/main.ts --seed ${failed} --trace\n`)
      if (values['until-failure']) ended.abort()
    },
  })
  if (values.counts) {
    for (const [kind, count] of [...report.counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
      process.stdout.write(`${String(count).padStart(9)} ${kind}\n`)
    }
  }
  const { seeds, failed, seconds, virtualSeconds } = report
  process.stdout.write(
    `${seeds} seeds in ${seconds.toFixed(1)} s, ${Math.round(virtualSeconds)} s of virtual time: ${failed} failed\n`,
  )
  return failed === 0 ? 0 : 1
})

function one(seed: number, trace: boolean): number {
  const print = trace ? { print: (line: string) => void process.stdout.write(`${line}\n`) } : {}
  const { findings, hash, steps, virtualMs } = simulate(seed, print)
  for (const finding of findings) process.stdout.write(`${finding}\n`)
  process.stdout.write(
    `seed ${seed}: ${findings.length} findings, ${steps} steps, ${Math.round(virtualMs)} ms of virtual time, trace ${hash}\n`,
  )
  return findings.length === 0 ? 0 : 1
}
