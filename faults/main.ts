/** `bun run faults`: plays faults against a pipeline of real processes, and says what held. */
import { systemClock } from '../actors/clock.ts'
import { runMain, UsageError } from '../actors/errors.ts'
import { numberFlag, parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { print } from '../actors/output.ts'
import { createProgress, type Progress } from '../cli/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import type { Fault, Outcome } from './fault.ts'
import { faults } from './list.ts'
import { nemesis } from './nemesis.ts'
import { ownJob } from './own.ts'
import { header, listText, markdownTable, outcomeText, summaryText } from './report.ts'
import { playSabotage, playSeed, playSeeds } from './rungs.ts'
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
  --random         random faults, several at once, in place of those of the list
  --seed N         with --random: what is chosen, and when (a random one, which is printed)
  --minutes M      with --random: how long (5)
  --every S        with --random: seconds between two faults, on average (3)
  --rate N         with --random: records a second (600)
  --seeds N        N seeds of the simulation: the whole pipeline in virtual time, in this process's cores
  --from N         with --seeds: the first seed (1)
  --until-failure  with --seeds: end with the first that fails
  --seed N         without --random: one seed of the simulation
  --trace          with one seed: prints all that happens
  --sabotage       breaks a copy of the project in seven ways: the simulation must catch each
  --strict         a recovery beyond its target fails the fault
  --list           what there is, what must hold, and what can't be played on one machine
  --markdown       with --list: as the table of docs/faults.md
  --json           one line of JSON for each fault
  --help           this text

Environment, with --job and without --records: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*
Exit code: 0 all held, 1 something did not, 2 usage. Ctrl-C ends in order and leaves nothing running.`,
  options: {
    job: { type: 'string' },
    sample: { type: 'string' },
    records: { type: 'string' },
    smoke: { type: 'boolean' },
    random: { type: 'boolean' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    every: { type: 'string' },
    rate: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    'until-failure': { type: 'boolean' },
    trace: { type: 'boolean' },
    sabotage: { type: 'boolean' },
    strict: { type: 'boolean' },
    list: { type: 'boolean' },
    markdown: { type: 'boolean' },
    json: { type: 'boolean' },
  },
} as const

type Values = {
  [Name in
    | 'job'
    | 'sample'
    | 'records'
    | 'seed'
    | 'minutes'
    | 'every'
    | 'rate'
    | 'seeds'
    | 'from']?: string | undefined
} & {
  [Name in
    | 'smoke'
    | 'random'
    | 'trace'
    | 'until-failure'
    | 'sabotage'
    | 'strict'
    | 'list'
    | 'markdown'
    | 'json']?: boolean | undefined
}

async function main(): Promise<number> {
  const given = parseFlags({ ...command, positionals: faults.map(({ id }) => id) })
  const values: Values = given.values
  const withoutServers = rung(values)
  if (withoutServers) return withoutServers()
  const chosen = values.random ? [randomRun(values)] : choose(given.positionals, values)
  if (values.list) {
    print(values.markdown ? markdownTable(chosen) : listText(chosen))
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

const seedRange = { from: 0, to: 2 ** 32 - 1 }

/** What needs no servers; null where faults over real processes are asked for. */
function rung({ seeds, from, seed, trace, random, ...values }: Values) {
  const count = wholeNumberFlag('seeds', seeds, { from: 1, to: 1e9 })
  const one = wholeNumberFlag('seed', seed, seedRange)
  if (values.sabotage) return () => playSabotage(print)
  if (count !== undefined) {
    const first = wholeNumberFlag('from', from, seedRange) ?? 1
    const untilFailure = values['until-failure'] ?? false
    return () => playSeeds({ seeds: count, from: first, untilFailure }, print)
  }
  if (one !== undefined && !random) return () => playSeed(one, trace ?? false, print)
  return null
}

function randomRun({ seed, minutes, every, rate, json }: Values): Fault {
  const options = {
    seed: wholeNumberFlag('seed', seed, seedRange) ?? Math.floor(systemClock.random() * 2 ** 32),
    minutes: numberFlag('minutes', minutes, { from: 0.1, to: 10_000 }) ?? 5,
    everySeconds: numberFlag('every', every, { from: 0.1, to: 3_600 }) ?? 3,
    rate: numberFlag('rate', rate, { from: 1, to: 100_000 }) ?? 600,
  }
  const startedAt = systemClock.elapsed()
  const tell = (line: string) =>
    print(`${((systemClock.elapsed() - startedAt) / 1_000).toFixed(1).padStart(8)} s  ${line}`)
  return nemesis({ ...options, ...(json ? {} : { onAct: tell }) })
}

async function playAll(
  chosen: readonly Fault[],
  ground: Ground,
  { strict, json }: Values,
  log: Progress,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  if (!json) print(header)
  for (const fault of chosen) {
    if (ground.signal?.aborted) break
    log.step(`${fault.id}  ${fault.title} …`)
    const outcome = judged(await play(fault, ground), strict ?? false)
    log.end()
    if (ground.signal?.aborted) break
    outcomes.push(outcome)
    print(json ? JSON.stringify(outcome) : outcomeText(outcome))
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
