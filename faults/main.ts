/** `bun run faults`: plays faults against a pipeline of real processes, and says what held. */
import { systemClock } from '../actors/clock.ts'
import { runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { createProgress, type Progress } from '../services/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import type { Fault, Outcome } from './fault.ts'
import { faults } from './list.ts'
import { ownJob } from './own.ts'
import { header, listText, outcomeText, summaryText } from './report.ts'
import { type Ground, needsShippedJob, play, slow } from './world.ts'

const SAMPLE = 20_000
const INTERRUPTED = 130

const command = {
  help: `
Usage: bun run faults [F01...] [options]

Plays faults, all of them or those that are named, one after the other: each does something bad to
a pipeline at work (real processes, on a Kafka and a Redis of its own), waits until it is over it, and
then recomputes every window from the topic. Every record must have counted exactly once.
Nothing of yours is touched: your servers are only read, and only with --job.

  --job FILE       your own job in place of the shipped one; its work hook runs for real
  --sample N       with --job: the newest N records of its topic are copied and fed (${SAMPLE})
  --records FILE   with --job: a file with one record a line, in place of the topic's
  --smoke          only the selection that bun run check plays
  --strict         a recovery beyond its target fails the fault
  --list           what there is, what must hold, and what can't be played on one machine
  --json           one line of JSON for each fault
  --help           this text

Environment, with --job and without --records: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*
Exit code: 0 all held, 1 something did not, 2 usage. Ctrl-C ends in order and leaves nothing running.`,
  options: {
    job: { type: 'string' },
    sample: { type: 'string' },
    records: { type: 'string' },
    smoke: { type: 'boolean' },
    strict: { type: 'boolean' },
    list: { type: 'boolean' },
    json: { type: 'boolean' },
  },
} as const

type Values = {
  [Name in 'job' | 'sample' | 'records']?: string | undefined
} & { [Name in 'smoke' | 'strict' | 'list' | 'json']?: boolean | undefined }

async function main(): Promise<number> {
  const given = parseFlags({ ...command, positionals: faults.map(({ id }) => id) })
  const values: Values = given.values
  const chosen = choose(given.positionals, values)
  if (values.list) {
    process.stdout.write(`${listText(chosen)}\n`)
    return 0
  }
  const interrupted = onInterrupt()
  const log = createProgress()
  const own = await ownOf(values)
  if (own) {
    const { records, partitions } = own.sample
    log.line(`job ${own.names.job}: ${records.length} records in ${partitions} partitions to feed`)
  }
  const { playable, skipped } = split(chosen, own !== null)
  for (const { fault, reason } of skipped) log.line(`${fault.id} is skipped: ${reason}`)
  const services = shared(log)
  try {
    const ground: Ground = {
      shared: services.start,
      signal: interrupted,
      discreet: true,
      ...(own ? { own } : {}),
    }
    const outcomes = await playAll(playable, ground, values, log)
    const summary = summaryText(
      outcomes,
      skipped.map(({ fault }) => fault),
    )
    const out = values.json ? process.stderr : process.stdout
    out.write(`${interrupted.aborted ? 'interrupted; ' : ''}${summary}\n`)
    if (interrupted.aborted) return INTERRUPTED
    return outcomes.every(({ ok }) => ok) ? 0 : 1
  } finally {
    await services.stop()
  }
}

async function playAll(
  chosen: readonly Fault[],
  ground: Ground,
  { strict, json }: Values,
  log: Progress,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  if (!json) process.stdout.write(`${header}\n`)
  for (const fault of chosen) {
    if (ground.signal?.aborted) break
    log.step(`${fault.id}  ${fault.title} …`)
    const outcome = judged(await play(fault, ground), strict ?? false)
    log.end()
    if (ground.signal?.aborted) break
    outcomes.push(outcome)
    process.stdout.write(`${json ? JSON.stringify(outcome) : outcomeText(outcome)}\n`)
  }
  return outcomes
}

function judged(outcome: Outcome, strict: boolean): Outcome {
  const late = slow(outcome)
  if (!strict || late.length === 0) return outcome
  const findings = late.map(({ what, ms, withinMs }) => `${what} took ${ms} ms, not ${withinMs}`)
  return { ...outcome, ok: false, findings: [...outcome.findings, ...findings] }
}

function choose(names: readonly string[], { smoke }: Values): Fault[] {
  const unknown = names.find((name) => !faults.some(({ id }) => isNamed(id, name)))
  if (unknown !== undefined) throw new UsageError(`no fault ${JSON.stringify(unknown)}; see --list`)
  return faults
    .filter(({ id }) => names.length === 0 || names.some((name) => isNamed(id, name)))
    .filter((fault) => !smoke || fault.smoke)
}

/** F01 is F01 and all of its faces: F01b and so on. */
const isNamed = (id: string, name: string): boolean =>
  id.toLowerCase() === name.toLowerCase() || id.replace(/[a-z]$/, '') === name.toUpperCase()

function split(chosen: readonly Fault[], own: boolean) {
  const skipped: { fault: Fault; reason: string }[] = []
  const playable = chosen.filter((fault) => {
    const linux = fault.linuxOnly === true && process.platform !== 'linux'
    const reason = linux
      ? 'it looks at processes as Linux shows them'
      : 'it needs records of the shipped job’s form'
    const skip = linux || (own && needsShippedJob(fault))
    if (skip) skipped.push({ fault, reason })
    return !skip
  })
  return { playable, skipped }
}

async function ownOf({ job, sample, records }: Values) {
  if (job === undefined) {
    if (sample !== undefined || records !== undefined) {
      throw new UsageError('--sample and --records belong to --job')
    }
    return null
  }
  if (sample !== undefined && records !== undefined) {
    throw new UsageError('--sample and --records exclude each other')
  }
  const count = wholeNumberFlag('sample', sample, { from: 100, to: 1_000_000 }) ?? SAMPLE
  return ownJob({ file: job, records, count })
}

/** Servers for faults that leave servers alone, started with the first of those. */
function shared(log: Progress) {
  let starting: Promise<Services> | undefined
  return {
    start: () => (starting ??= startServices({ log })),
    async stop() {
      const services = await starting?.catch(() => undefined)
      await services?.stop()
    },
  }
}

/** The first signal ends what is being played, in order; a later one ends at once. */
function onInterrupt(): AbortSignal {
  const interrupted = new AbortController()
  let firstAt = Infinity
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const now = systemClock.elapsed()
      firstAt = Math.min(firstAt, now)
      // One Ctrl-C can come twice: from the terminal and, passed on, from `bun run`.
      if (now - firstAt > 500) process.exit(INTERRUPTED)
      interrupted.abort()
    })
  }
  return interrupted.signal
}

await runMain('faults', main)
