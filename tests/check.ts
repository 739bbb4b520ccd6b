/**
 * `bun run check`: everything that must hold, from a fresh clone. Its own Kafka and Redis come up on
 * free ports while types, lint and format are checked; then the suites run, one process each, so
 * that a crash costs one suite's result. The very last line is `N passed, N failed`.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import { messageOf, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { ensureChromium } from '../services/chromium.ts'
import { ensurePostgres } from '../services/postgres.ts'
import { createProgress, type Progress } from '../cli/progress.ts'
import { ensurePromtool } from '../services/promtool.ts'
import { type Services, startServices } from '../services/services.ts'
import { type Counts, countsOf, failuresOf } from './support/counts.ts'

const root = resolve(import.meta.dir, '..')

const TEST_TIMEOUT_MS = 60_000
/** A suite, or a check, that takes longer hangs. */
const RUN_TIMEOUT_MS = 30 * 60_000
/** Of one failure that is told again at the end. */
const FAILURE_CHARACTERS_MAX = 2_000

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
  const starting = startServices({ log }).catch(messageOf)
  const results = positionals.length === 0 ? await runStaticChecks() : []
  results.push(...(await runWith(await starting, new Map(chosen), log)))
  return summarize(results)
}

interface Result extends Counts {
  name: string
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

/** Without services the suites would all fail for the one reason, which counts once. */
async function runWith(
  services: Services | string,
  chosen: Map<string, string[]>,
  log: Progress,
): Promise<Result[]> {
  if (typeof services === 'string') {
    log.line(`check: the tests can't run: ${services}`)
    return [{ name: 'services', passed: 0, failed: 1 }]
  }
  log.line(`services: Kafka ${services.kafkaBrokers}, ${services.redisUrl}`)
  try {
    if (chosen.has('browser')) await ensureChromium(log)
    if (chosen.has('actors')) await ensurePostgres(log)
    if (chosen.has('deploy') || chosen.has('web')) await ensurePromtool(log)
    const results: Result[] = []
    for (const [name, files] of chosen) results.push(await runSuite(name, files, services))
    return results
  } finally {
    await services.stop()
  }
}

async function runSuite(name: string, files: string[], services: Services): Promise<Result> {
  title(name)
  const reports = mkdtempSync(join(tmpdir(), 'millrace-check-'))
  const report = join(reports, 'junit.xml')
  const reporting = ['--reporter=junit', `--reporter-outfile=${report}`]
  const args = ['test', `--timeout=${TEST_TIMEOUT_MS}`, ...reporting, ...files]
  const code = await run(args, {
    MILLRACE_TEST_KAFKA: services.kafkaBrokers,
    MILLRACE_TEST_REDIS: services.redisUrl,
  })
  const text = existsSync(report) ? readFileSync(report, 'utf8') : undefined
  rmSync(reports, { recursive: true, force: true })
  return { name, ...countsOf(text, code), failures: failuresOf(text) }
}

let current: Subprocess | undefined
process.on('exit', () => current?.kill('SIGKILL'))

/** Runs Bun with these arguments in the repository, its output ours; returns its exit code. */
async function run(args: string[], environment: Record<string, string>): Promise<number> {
  const ours = Object.entries(process.env).filter(([name]) => !SETTINGS.test(name))
  current = Bun.spawn([process.execPath, ...args], {
    cwd: root,
    env: { ...Object.fromEntries(ours), ...environment },
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
    timeout: RUN_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const code = await current.exited
  current = undefined
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
  process.stdout.write('\n')
  for (const failure of results.flatMap(({ failures }) => failures ?? [])) {
    process.stdout.write(`(fail) ${failure.slice(0, FAILURE_CHARACTERS_MAX)}\n\n`)
  }
  for (const result of results) {
    process.stdout.write(`${result.name}: ${result.passed} passed, ${result.failed} failed\n`)
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}

await runMain('check', main)
