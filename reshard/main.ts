/** `bun run reshard`: how many shards a job has, and the change to another number. */
import { systemClock } from '../actors/clock.ts'
import { codeOf } from '../actors/code.ts'
import { bounds, type Config, readConfig, redisAddress } from '../actors/config.ts'
import { messageOf, RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import type { Job } from '../actors/job.ts'
import { declaredSinks, loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { print } from '../actors/output.ts'
import { isOutage, openStore, type Store, untilReady } from '../actors/redis.ts'
import { shardsRange } from '../actors/shards.ts'
import { createProgress } from '../cli/progress.ts'
import { readNumber, readShards } from './number.ts'
import { outcomeText, shardsText } from './print.ts'
import { reshard } from './reshard.ts'

const command = {
  help: `
bun run reshard [jobs/file.ts] [--to N] [--json]

Changes the number of shards of a job (${SHIPPED_JOB} by default): of the parts of it that may lie on
different masters of a Redis Cluster. Without --to it says how many there are, and what each holds.

End the job's supervisor first. Records that wait are processed, what may be closed is closed, and then
partitions, counters, open windows, rejects and verdicts get their places; nothing is lost or counted
twice. Killed or interrupted, it is run again and goes on; meanwhile nobody can work on the job. Until
the new shards begin to be taken, --to with the number that the job has gives it up.

  --to N    the number of shards, ${shardsRange.from} to ${shardsRange.to}
  --json    as JSON
  --help    this text

Exit code: 0 when the job has so many; 1 when it could not be done, such as while the job is at work; 2 for
a mistake in the command, the environment or the job file.

Environment: REDIS_URL, LOG_LEVEL
`,
  options: { to: { type: 'string' }, json: { type: 'boolean' } },
  positionals: ['jobs/file.ts'],
} as const

/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 5_000

interface Place {
  file: string
  job: Job
  store: Store
  config: Config
  json: boolean
}

await runMain('reshard', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const to = wholeNumberFlag('to', values.to, shardsRange)
  const file = positionals[0] ?? SHIPPED_JOB
  const config = readConfig()
  // Of a version as well: what its sinks have not taken stays.
  const job = { ...(await loadJob(file)), sinks: (await declaredSinks(file)).sinks }
  const store = openStore(config, silent())
  const place = { file, job, store, config, json: values.json ?? false }
  try {
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    return await (to === undefined ? show(place) : change(place, to))
  } catch (error) {
    if (!isOutage(error)) throw error
    const why = `Redis at ${redisAddress(config)} does not answer (${messageOf(error)})`
    throw new RefusalError(to === undefined ? why : `${why}; run this again to go on`, {
      cause: error,
    })
  } finally {
    await store.close()
  }
})

async function show({ job: { name }, store, json }: Place): Promise<number> {
  const number = await readNumber(store, name)
  const shards = await readShards(store, name, number.from)
  const report = { job: name, shards: number.from, changingTo: number.to, of: shards }
  print(json ? JSON.stringify(report, null, 2) : shardsText(name, number, shards))
  return 0
}

async function change({ file, job, store, config, json }: Place, to: number): Promise<number> {
  const progress = createProgress()
  const outcome = await reshard({
    store,
    job,
    to,
    code: (await codeOf(file))?.hash ?? null,
    openReader: () => openStore(config, silent(), { blockMs: bounds.readBlockMs }),
    clock: systemClock,
    tell: (text) => progress.step(text),
  }).finally(() => progress.end())
  print(json ? JSON.stringify({ job: job.name, ...outcome }) : outcomeText(job.name, outcome))
  if (outcome.outcome === 'changed') await warnOfEmpty(store, job, to)
  return 0
}

async function warnOfEmpty(store: Store, { name }: Job, count: number): Promise<void> {
  const shards = await readShards(store, name, count)
  const empty = shards.filter(({ partitions }) => partitions.length === 0).length
  if (empty === 0) return
  process.stderr.write(
    `reshard: ${empty} of ${count} shards have no partition, as the topic has fewer partitions than the job has shards\n`,
  )
}

function silent() {
  return createLog('reshard', 'error', () => {})
}
