/** `bun run versions`: the jobs that Redis holds, two versions of one compared, one that is done with dropped. */
import { readConfig, redisAddress } from '../actors/config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { isJobName, JOB_NAME_RULE } from '../actors/job.ts'
import { keysOf } from '../actors/keys.ts'
import { loadJob } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { isOutage, openStore, type Store, untilReady } from '../actors/redis.ts'
import { differencesOf } from '../actors/shape.ts'
import { compareVersions, type Version } from './compare.ts'
import { dropJob, heldJobs } from './list.ts'
import { comparisonText, heldText } from './print.ts'

const command = {
  help: `
bun run versions list
bun run versions compare jobs/file.ts NAME [--other-file FILE] [--windows N] [--json]
bun run versions drop NAME --yes

A job whose windows, groups or aggregates change can't share what Redis holds under its name. It runs as a
version beside it: bun run supervisor jobs/file.ts --as NAME --from TIME.

  list               the jobs and versions that Redis holds
  compare            the closed windows of the job under its own name with those of the version NAME, row by
                     row; the first window of each is left out, as it may be a part of one
  drop               removes NAME from Redis: windows, counters, all of it. Refused while it is at work

  --other-file FILE  the job file of NAME, where its aggregates are others than the job's
  --windows N        the newest so many of each (200)
  --json             compare: as JSON
  --yes              drop: it can't be undone
  --help             this text

Exit code 0; of compare 1 where rows differ or there is nothing to compare, 2 for a mistake in the flags.

Environment: REDIS_URL
`,
  options: {
    'other-file': { type: 'string' },
    windows: { type: 'string' },
    json: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  positionals: ['list|compare|drop', 'jobs/file.ts', 'NAME'],
} as const

/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 5_000

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
  if (action === 'list' && args.length === 0) return list
  if (action === 'compare' && args.length === 2) {
    const [file, name] = args as [string, string]
    const other = values['other-file'] ?? file
    return (store: Store) =>
      compare(store, { file, name: named(name), other, windows, json: values.json })
  }
  if (action === 'drop' && args.length === 1) {
    const name = named(args[0])
    if (!values.yes)
      throw new UsageError(`drop removes all of ${name} and can't be undone: add --yes`)
    return (store: Store) => drop(store, name)
  }
  throw new UsageError('versions takes list, compare jobs/file.ts NAME or drop NAME; see --help')
}

function named(name: string): string {
  if (isJobName(name)) return name
  throw new UsageError(`NAME must be ${JOB_NAME_RULE}, not ${JSON.stringify(name)}`)
}

async function list(store: Store): Promise<number> {
  console.log(heldText(await heldJobs(store)))
  return 0
}

interface Asked {
  file: string
  name: string
  other: string
  windows: number
  json: boolean | undefined
}

async function compare(store: Store, { file, name, other, windows, json }: Asked): Promise<number> {
  const job = await loadJob(file)
  if (job.name === name) throw new UsageError(`${name} is the job's own name; name a version of it`)
  const otherJob = { ...(await loadJob(other)), name }
  const versions: [Version, Version] = [
    { job, keys: keysOf(job.name) },
    { job: otherJob, keys: keysOf(name) },
  ]
  for (const version of versions) await readable(store, version)
  const result = await compareVersions(store, versions, windows)
  console.log(json ? JSON.stringify(result) : comparisonText(result, [job.name, name]))
  return result.windows > 0 && result.different + result.onlyOne === 0 ? 0 : 1
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

async function drop(store: Store, name: string): Promise<number> {
  const held = (await heldJobs(store)).find((one) => one.name === name)
  if (!held) throw new RefusalError(`Redis holds no job ${name}; bun run versions list`)
  const atWork = held.snapshot.actors.filter(({ alive }) => alive)
  if (atWork.length > 0) {
    throw new RefusalError(
      `${name} is at work (${atWork.map(({ id }) => id).join(', ')}); end it first`,
    )
  }
  console.log(`${await dropJob(store, keysOf(name))} keys of ${name} removed`)
  return 0
}
