/** `bun run jobs`: all jobs on one Redis, and forgetting those that are stopped. */
import { systemClock } from '../actors/clock.ts'
import { readConfig, redisAddress, redisHint } from '../actors/config.ts'
import { RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { isJobName, JOB_NAME_RULE } from '../actors/names.ts'
import { shared } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { print } from '../actors/output.ts'
import { isOutage, library, openStore, type Store, untilReady } from '../actors/redis.ts'
import { forgetJob, refusalOf } from '../supervisor/forget.ts'
import { createJobsReader } from '../supervisor/jobs.ts'
import { jobsText } from './jobs-text.ts'

const command = {
  help: `
Usage: bun run jobs [list] [--json]
       bun run jobs forget NAME
       bun run jobs load

All jobs whose supervisors have led on this Redis: state, rates, what waits, executors, result delay and
the address of each job's page. Looks twice, a second apart, since rates and delays are counted in
between.

  list          the same; may be left out
  forget NAME   takes a job that is stopped off the list. What it has in Redis stays, and it is on the
                list again when it is started again (bun run versions drop NAME removes it for good)
  load          loads Millrace's functions into Redis, which the users of single jobs may not
                (deploy/redis/job.acl): by a user that may, once for each version of Millrace
  --json        as JSON: what GET /api/jobs answers
  --help        this text

Exit code: 0; 1 where NAME is at work or not on the list, or Redis does not answer; 2 for a mistake in the
command.

Environment: REDIS_URL`,
  options: {
    json: { type: 'boolean' },
  },
  positionals: ['list|forget|load', 'NAME'],
} as const

/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 3_000
/** Between two looks: rates are counted over a second at the least. */
const RATES_MS = 1_050

await runMain('jobs', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const work = workOf(positionals, values.json ?? false)
  const config = readConfig()
  const store = openStore(
    config,
    createLog('jobs', 'error', () => {}),
  )
  try {
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    return await work(store)
  } catch (error) {
    if (!isOutage(error)) throw error
    const line = `Redis at ${redisAddress(config)} does not answer; ${redisHint(config)}`
    throw new RefusalError(line, { cause: error })
  } finally {
    await store.close()
  }
})

/** @throws UsageError that says how it is called */
function workOf([action = 'list', ...args]: string[], json: boolean) {
  if (action === 'list' && args.length === 0) return (store: Store) => list(store, json)
  if (action === 'forget' && args.length === 1 && !json) {
    const name = args[0]!
    if (isJobName(name)) return (store: Store) => forget(store, name)
    throw new UsageError(`NAME must be ${JOB_NAME_RULE}, not ${JSON.stringify(name)}`)
  }
  if (action === 'load' && args.length === 0 && !json) return load
  throw new UsageError('jobs takes nothing, list, forget NAME or load; see --help')
}

async function list(store: Store, json: boolean): Promise<number> {
  const look = createJobsReader(store, systemClock, 0)
  await look()
  await systemClock.sleep(RATES_MS)
  const report = await look()
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : jobsText(report))
  return 0
}

async function load(store: Store): Promise<number> {
  // Any function will do: those that are missing are loaded.
  await store.call('release', shared.base, [''])
  print(`the functions of this version are in Redis: ${library}`)
  return 0
}

async function forget(store: Store, name: string): Promise<number> {
  const outcome = await forgetJob(store, name)
  if (outcome !== 'forgotten') throw new RefusalError(refusalOf(outcome, name))
  print(`${name} is off the list; what it has in Redis stays`)
  return 0
}
