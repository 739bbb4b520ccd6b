/** `bun run versions`: the jobs that Redis holds, two versions compared, one made the one, one dropped. */
import { systemClock } from '../actors/clock.ts'
import { readConfig, redisAddress } from '../actors/config.ts'
import { exitCodes, messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { durationFlag, parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { isJobName, JOB_NAME_RULE } from '../actors/names.ts'
import { keysOf } from '../actors/keys.ts'
import { loadJob } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { print, unread } from '../actors/output.ts'
import { isOutage, openStore, type Store, untilReady } from '../actors/redis.ts'
import { differencesOf } from '../actors/shape.ts'
import { heldKeys, refuseDivided } from '../actors/shards.ts'
import { createProgress } from '../cli/progress.ts'
import { removeEntry } from '../supervisor/entries.ts'
import { plural } from '../supervisor/figures.ts'
import { type Comparison, compareVersions, type Version } from './compare.ts'
import { cutOver, type Told } from './cutover.ts'
import { dropJob, heldJobs } from './list.ts'
import { type Pair, pairOf } from './pair.ts'
import { comparisonLine, comparisonText, heldReport, heldText } from './print.ts'

const command = {
  help: `
bun run versions list [--json]
bun run versions compare jobs/file.ts [NAME] [--other-file FILE] [--windows N] [--live] [--json]
bun run versions cutover [OLD NEW] [--within T] [--without-sink NAME]... [--json]
bun run versions drop NAME --yes [--json]

A job whose windows, groups or aggregates change can't share what Redis holds under its name. It runs as a
version beside it: bun run supervisor jobs/file.ts --shadow.

  list                 the jobs and versions that Redis holds
  compare              the closed windows of the job that runs with those of its shadow, or of the version
                       NAME, row by row; the first window of each is left out, as it may be a part of one
  cutover              makes a shadow the one: waits until it has closed what the old one has, ends the old
                       one, and lets the sinks go on exactly behind the last window that they have. Killed
                       or interrupted, it is run again and goes on. Without names where there is one shadow
  drop                 removes NAME from Redis: windows, counters, all of it. Refused while it is at work

  --other-file FILE    compare: the job file of NAME, where its aggregates are others than the job's
  --windows N          compare: the newest so many of each (200)
  --live               compare: again every 2 s, a line each, until Ctrl-C
  --within T           cutover: gives up waiting after this, such as 10m; it can be run again (no end)
  --without-sink NAME  cutover: this sink of OLD is left where it is; may be given again
  --json               as JSON; of compare --live and cutover a line each
  --yes                drop: it can't be undone
  --help               this text

Exit code: 0; 1 where it could not be done, and of compare where rows differ or there is nothing to compare
(with --live: at the last look); 2 for a mistake in the flags; 130 and 143 where cutover was ended by Ctrl-C
or SIGTERM.

Environment: REDIS_URL
`,
  options: {
    'other-file': { type: 'string' },
    windows: { type: 'string' },
    live: { type: 'boolean' },
    within: { type: 'string' },
    'without-sink': { type: 'string', multiple: true },
    json: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  positionals: ['list|compare|cutover|drop', 'jobs/file.ts', 'NAME'],
} as const

/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 5_000

const withinRange = { fromMs: 1_000, toMs: 7 * 86_400_000 }
/** Between two looks of --live. */
const LIVE_EVERY_MS = 2_000

type Values = ReturnType<typeof parseFlags<typeof command.options>>['values']

await runMain('versions', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const [action, ...args] = positionals
  const config = readConfig()
  const store = openStore(
    config,
    createLog('versions', 'error', () => {}),
  )
  try {
    const work = workOf(action, args, values)
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    return await work(store)
  } catch (error) {
    if (!isOutage(error)) throw error
    const why = `Redis at ${redisAddress(config)} does not answer (${messageOf(error)})`
    throw new RefusalError(why, { cause: error })
  } finally {
    await store.close()
  }
})

/** @throws UsageError that says how it is called */
function workOf(action: string | undefined, args: string[], values: Values) {
  const windows = wholeNumberFlag('windows', values.windows, { from: 1, to: 10_000 }) ?? 200
  const withinMs = durationFlag('within', values.within, withinRange)
  const json = values.json ?? false
  if (action === 'list' && args.length === 0) return (store: Store) => list(store, json)
  if (action === 'compare' && (args.length === 1 || args.length === 2)) {
    const [file, name] = args as [string, string | undefined]
    const asked: Asked = {
      file,
      name: name === undefined ? null : named(name),
      other: values['other-file'] ?? file,
      windows,
      json,
      live: values.live ?? false,
    }
    return (store: Store) => compare(store, asked)
  }
  if (action === 'cutover' && (args.length === 0 || args.length === 2)) {
    const pair = args.length === 2 ? { old: named(args[0]), next: named(args[1]) } : null
    const withoutSinks = values['without-sink'] ?? []
    return (store: Store) => makeTheOne(store, pair, { withoutSinks, withinMs, json })
  }
  if (action === 'drop' && args.length === 1) {
    const name = named(args[0])
    if (!values.yes)
      throw new UsageError(`drop removes all of ${name} and can't be undone: add --yes`)
    return (store: Store) => drop(store, name, json)
  }
  throw new UsageError(
    'versions takes list, compare jobs/file.ts [NAME], cutover [OLD NEW] or drop NAME; see --help',
  )
}

function named(name: string): string {
  if (isJobName(name)) return name
  throw new UsageError(`NAME must be ${JOB_NAME_RULE}, not ${JSON.stringify(name)}`)
}

async function list(store: Store, json: boolean): Promise<number> {
  const held = await heldJobs(store)
  print(json ? JSON.stringify(held.map(heldReport), null, 2) : heldText(held))
  return 0
}

interface Asked {
  file: string
  /** Null: the job's shadow. */
  name: string | null
  other: string
  windows: number
  json: boolean
  live: boolean
}

async function compare(store: Store, asked: Asked): Promise<number> {
  const { file, other, windows, json, live } = asked
  const job = await loadJob(file)
  const pair = await comparedPair(store, job.name, asked.name)
  const names = [pair.old, pair.next] as const
  const versions: [Version, Version] = [
    { job: { ...job, name: pair.old }, keys: await heldKeys(store, pair.old) },
    { job: { ...(await loadJob(other)), name: pair.next }, keys: await heldKeys(store, pair.next) },
  ]
  for (const version of versions) await readable(store, version)
  const look = () => compareVersions(store, versions, windows)
  if (live) return watch(look, names, json)
  const result = await look()
  print(json ? JSON.stringify(result) : comparisonText(result, names))
  return exitCodeOf(result)
}

/** A version is compared with the one beside which it was begun; the job's own name is that of the file. */
async function comparedPair(store: Store, own: string, name: string | null): Promise<Pair> {
  if (name === own) throw new UsageError(`${name} is the job's own name; name a version of it`)
  const held = await heldJobs(store)
  if (name === null) {
    const ofFile = held.filter(
      ({ name, snapshot: { version } }) => name === own || version?.before.includes(own),
    )
    return pairOf(ofFile, null)
  }
  const version = held.find((one) => one.name === name)?.snapshot.version
  return { old: version?.of ?? own, next: name }
}

function exitCodeOf({ windows, different, onlyOne }: Comparison): number {
  return windows > 0 && different + onlyOne === 0 ? 0 : 1
}

/** Again and again until it is asked to end, or nobody reads any more; the last look is its result. */
async function watch(
  look: () => Promise<Comparison>,
  names: readonly [string, string],
  json: boolean,
): Promise<number> {
  const signal = AbortSignal.any([endOf(undefined).signal, unread(process.stdout)])
  let code = 1
  while (!signal.aborted) {
    const result = await look()
    code = exitCodeOf(result)
    const at = new Date(systemClock.now()).toISOString()
    print(json ? JSON.stringify({ at, ...result }) : comparisonLine(at, result, names))
    await systemClock.sleep(LIVE_EVERY_MS, signal)
  }
  return code
}

/** Aborted by Ctrl-C, by SIGTERM, and when the time is up; says by which signal. */
function endOf(withinMs: number | undefined): { signal: AbortSignal; code: () => number } {
  const end = new AbortController()
  let code: number = exitCodes.failed.code
  const stop = (ends: number) => () => {
    code = ends
    end.abort()
  }
  process.once('SIGINT', stop(exitCodes.interrupted.code))
  process.once('SIGTERM', stop(exitCodes.terminated.code))
  if (withinMs !== undefined) setTimeout(() => end.abort(), withinMs)
  return { signal: end.signal, code: () => code }
}

interface Cutover {
  withoutSinks: readonly string[]
  withinMs: number | undefined
  json: boolean
}

async function makeTheOne(
  store: Store,
  named: Pair | null,
  { withoutSinks, withinMs, json }: Cutover,
): Promise<number> {
  const pair = pairOf(await heldJobs(store), named)
  for (const name of [pair.old, pair.next])
    refuseDivided(await heldKeys(store, name), name, 'cutover')
  const end = endOf(withinMs)
  const progress = createProgress()
  const tell = (told: Told) => {
    if (json) print(JSON.stringify({ at: new Date(systemClock.now()).toISOString(), ...told }))
    else if (told.kind === 'waiting') progress.step(`waiting: ${told.text}`)
    else progress.line(`${told.step}: ${told.text}`)
  }
  try {
    const { signal } = end
    await cutOver({ store, pair, clock: systemClock, withoutSinks, tell, signal })
    return 0
  } catch (error) {
    progress.end()
    if (!(error instanceof RefusalError) || !end.signal.aborted) throw error
    process.stderr.write(`versions: ${error.message}\n`)
    return end.code()
  }
}

/** Rows are read by the aggregates of the job file, so these must be the version's. */
async function readable(store: Store, { job, keys }: Version): Promise<void> {
  const kept = await store.redis.hget(keys.ledger, 'shape')
  if (kept === null) throw new RefusalError(`Redis holds no job ${job.name}; bun run versions list`)
  const differences = differencesOf(kept, job).filter(({ text }) => text.startsWith('aggregates'))
  if (differences.length === 0) return
  const what = differences.map(({ text }) => text).join('; ')
  throw new RefusalError(
    `${job.name} was made with another job file (${what}): name it with --other-file`,
  )
}

async function drop(store: Store, name: string, json: boolean): Promise<number> {
  const all = await heldJobs(store)
  const held = all.find((one) => one.name === name)
  if (!held) throw new RefusalError(`Redis holds no job ${name}; bun run versions list`)
  const atWork = held.snapshot.actors.filter(({ alive }) => alive)
  if (atWork.length > 0) {
    throw new RefusalError(
      `${name} is at work (${atWork.map(({ id }) => id).join(', ')}); end it first`,
    )
  }
  const { version } = held.snapshot
  if (version?.stage === 'ending') {
    throw new RefusalError(
      `${version.by} has not taken the place of ${name} yet: finish that with bun run versions cutover`,
    )
  }
  const keys = await dropJob(store, keysOf(name))
  await removeEntry(store, name)
  print(json ? JSON.stringify({ name, keys }) : `${plural(keys, 'key')} of ${name} removed`)
  return 0
}
