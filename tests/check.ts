/**
 * `bun run check`: everything that must hold, from a fresh clone. Its own Kafka and Redis come up on
 * free ports while types, lint and format are checked; then the suites run, one process each, so
 * that a crash costs one suite's result. Most of a suite's time is waiting, so as many run side by side
 * as there are cores, each in a lane with servers of its own: no suite sees another one's jobs.
 * The very last line is `N passed, N failed`.
 */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import { systemClock } from '../actors/clock.ts'
import { exitCodes, messageOf, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { print } from '../actors/output.ts'
import { killQuietly } from '../faults/pipeline.ts'
import { ensureChromium } from '../services/chromium.ts'
import { ensurePostgres } from '../services/postgres.ts'
import { createProgress, type Progress } from '../cli/progress.ts'
import { ensurePromtool } from '../services/promtool.ts'
import { type Services, startServices } from '../services/services.ts'
import { type Counts, countsOf, failuresOf } from './support/counts.ts'
import { inLanes, longestFirst } from './support/lanes.ts'
import { descendants } from './support/leaks.ts'

const root = resolve(import.meta.dir, '..')

const TEST_TIMEOUT_MS = 60_000
/** A suite, or a check, that takes longer hangs. */
const RUN_TIMEOUT_MS = 30 * 60_000
/** Of one failure that is told again at the end. */
const FAILURE_CHARACTERS_MAX = 2_000
/** Characters of a suite that did not end. */
const LAST_WORDS = 10_000
/** Each has a Kafka of up to half a GiB, so more cores do not mean more of them without end. */
const LANES_MAX = 4
/** Begun first, in this order: the check ends as late as its last suite. */
const LONGEST = ['faults', 'actors', 'integration', 'supervisor', 'browser', 'verify', 'docs']

/** Packages' programs, run by this very Bun: there may be no other on the PATH, nor Node. */
const staticChecks = [
  { name: 'types', program: 'tsc', args: ['--noEmit'] },
  { name: 'lint', program: 'oxlint', args: ['--type-aware', '--quiet'] },
  { name: 'format', program: 'biome', args: ['format', '.'] },
]

/** What a developer has set must reach neither the tests nor, through them, their servers. */
const SETTINGS = /^(KAFKA_|REDIS_|EXECUTORS_|MILLRACE_|LOG_|OTEL_|HOST$|PORT$|START_FROM$)/

const HELP = `
usage: bun run check [SUITE...]

Types, lint, format and all tests, with a Kafka and a Redis of its own on free ports.
With names of suites (the folders of tests/) only these run, without the static checks.
The last line is "N passed, N failed".
Exit code: 0 when nothing failed, 1 when something did, 2 for a mistake in the command.
`

async function main(): Promise<number> {
  const all = suites()
  const command = { help: HELP, options: {}, positionals: [...all.keys()] }
  const { positionals } = parseFlags(command)
  const unknown = positionals.find((name) => !all.has(name))
  if (unknown !== undefined) {
    throw new UsageError(
      `no suite ${JSON.stringify(unknown)}; there are ${[...all.keys()].join(', ')}`,
    )
  }
  const chosen = [...all].filter(([name]) => positionals.length === 0 || positionals.includes(name))
  const log = createProgress()
  const lanes = Math.min(availableParallelism(), LANES_MAX, chosen.length)
  const preparing = prepare(new Set(chosen.map(([name]) => name)), lanes, log)
  const results = positionals.length === 0 ? await runStaticChecks() : []
  results.push(...(await runWith(await preparing, chosen, log)))
  return summarize(results)
}

interface Result extends Counts {
  name: string
  seconds?: number
  /** What failed, in its own words: a long log above the summary may be cut. */
  failures?: string[]
}

async function runStaticChecks(): Promise<Result[]> {
  const results: Result[] = []
  for (const { name, program, args } of staticChecks) {
    title(name)
    const code = await run([join(root, 'node_modules', '.bin', program), ...args], {})
    results.push({ name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 })
  }
  return results
}

/** The lanes' servers, and what suites need beside them; or why there are none. */
async function prepare(
  chosen: ReadonlySet<string>,
  lanes: number,
  log: Progress,
): Promise<Services[] | string> {
  const started: Services[] = []
  try {
    // The first one fetches what is not there yet; two at once would only wait for each other.
    started.push(await startServices({ log }))
    const others = Array.from({ length: lanes - 1 }, () => startServices({ log }))
    const settled = await Promise.allSettled(others)
    started.push(...settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
    if (chosen.has('browser')) await ensureChromium(log)
    if (chosen.has('actors')) await ensurePostgres(log)
    if (chosen.has('deploy') || chosen.has('web')) await ensurePromtool(log)
    return started
  } catch (error) {
    await Promise.all(started.map((services) => services.stop()))
    return messageOf(error)
  }
}

/** Without services the suites would all fail for the one reason, which counts once. */
async function runWith(
  lanes: Services[] | string,
  chosen: [name: string, files: string[]][],
  log: Progress,
): Promise<Result[]> {
  if (typeof lanes === 'string') {
    log.line(`check: the tests can't run: ${lanes}`)
    return [{ name: 'services', passed: 0, failed: 1 }]
  }
  for (const { kafkaBrokers, redisUrl } of lanes) {
    log.line(`services: Kafka ${kafkaBrokers}, ${redisUrl}`)
  }
  try {
    const inOrder = longestFirst(chosen, LONGEST, ([name]) => name)
    const results = await inLanes(lanes, inOrder, ([name, files], services) =>
      runSuite(name, files, services, lanes.length > 1),
    )
    return results.sort((a, b) => (a.name < b.name ? -1 : 1))
  } finally {
    await Promise.all(lanes.map((services) => services.stop()))
  }
}

async function runSuite(
  name: string,
  files: string[],
  services: Services,
  beside: boolean,
): Promise<Result> {
  title(beside ? `${name} begins` : name)
  const reports = mkdtempSync(join(tmpdir(), 'millrace-check-'))
  const report = join(reports, 'junit.xml')
  const output = beside ? join(reports, 'output.txt') : undefined
  const reporting = ['--reporter=junit', `--reporter-outfile=${report}`]
  const args = ['test', `--timeout=${TEST_TIMEOUT_MS}`, ...reporting, ...files]
  const beganAt = systemClock.elapsed()
  const environment = {
    MILLRACE_TEST_KAFKA: services.kafkaBrokers,
    MILLRACE_TEST_REDIS: services.redisUrl,
  }
  if (output !== undefined) talking.set(name, output)
  const code = await run(args, environment, output)
  talking.delete(name)
  const seconds = Math.round((systemClock.elapsed() - beganAt) / 1_000)
  if (output !== undefined) process.stdout.write(`\n── ${name}\n${readFileSync(output, 'utf8')}`)
  const text = existsSync(report) ? readFileSync(report, 'utf8') : undefined
  rmSync(reports, { recursive: true, force: true })
  return { name, seconds, ...countsOf(text, code), failures: failuresOf(text) }
}

const children = new Set<Subprocess>()
/** Suites that run, and the files of what they have said so far. */
const talking = new Map<string, string>()
process.on('exit', () => {
  // What a suite has started would go on without it.
  const ours = [...children].flatMap(({ pid }) => [pid, ...descendants(pid).map((one) => one.pid)])
  for (const pid of ours) killQuietly(pid, 'SIGKILL')
  for (const [name, output] of talking) {
    writeSync(1, `\n── ${name}, not finished\n${readFileSync(output, 'utf8').slice(-LAST_WORDS)}`)
  }
})
// Of several servers none ends the process: each takes another's handler for ours.
process.on('SIGINT', () => process.exit(exitCodes.interrupted.code))
process.on('SIGTERM', () => process.exit(exitCodes.terminated.code))

/**
 * Runs Bun with these arguments in the repository and returns its exit code. What it says goes to a
 * file where others talk at the same time, otherwise it is ours.
 */
async function run(
  args: string[],
  environment: Record<string, string>,
  output?: string,
): Promise<number> {
  const ours = Object.entries(process.env).filter(([name]) => !SETTINGS.test(name))
  const out = output === undefined ? 'inherit' : openSync(output, 'a')
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: root,
    env: { ...Object.fromEntries(ours), ...environment },
    stdin: 'ignore',
    stdout: out,
    stderr: out,
    timeout: RUN_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  if (typeof out === 'number') closeSync(out)
  children.add(child)
  const code = await child.exited
  children.delete(child)
  return code
}

/** The folders of tests/ and their files; a file beside the folders is a suite of its own. */
function suites(): Map<string, string[]> {
  const files = [...new Bun.Glob('**/*.test.ts').scanSync(import.meta.dir)].sort()
  const grouped = Map.groupBy(files, (file) => file.split(/[\\/]/)[0] ?? file)
  return new Map([...grouped].map(([name, own]) => [name, own.map((file) => `./tests/${file}`)]))
}

function title(name: string): void {
  process.stdout.write(`\n── ${name}\n`)
}

function summarize(results: Result[]): number {
  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  const failures = results
    .flatMap((result) => result.failures ?? [])
    .map((failure) => `(fail) ${failure.slice(0, FAILURE_CHARACTERS_MAX)}\n`)
  const counts = results.map(
    (one) => `${one.name}: ${one.passed} passed, ${one.failed} failed${took(one)}`,
  )
  print(['', ...failures, ...counts, `${passed} passed, ${failed} failed`].join('\n'))
  return failed === 0 ? 0 : 1
}

const took = ({ seconds }: Result): string => (seconds === undefined ? '' : `, ${seconds} s`)

await runMain('check', main)
