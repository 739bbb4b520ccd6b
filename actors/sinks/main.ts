/** `bun run sinks`: the sinks of a job by themselves. A second process waits, and takes over. */
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { runMain, UsageError } from '../errors.ts'
import { parseFlags } from '../flags.ts'
import { keysOf } from '../keys.ts'
import { loadJob, SHIPPED_JOB } from '../load.ts'
import { createLog } from '../log.ts'
import { openStore } from '../redis.ts'
import { runSinks } from './run.ts'

const command = {
  help: `
Usage: bun run sinks [jobs/file.ts] [--id NAME]

Writes the job's closed windows to the sinks that it declares, until it is asked to end. The
supervisor does the same by itself; several at once share nothing and lose nothing: one writes.

  --id NAME  the process's name, unique to this start (made up by default)
  --help     this text

Environment: REDIS_URL, LOG_LEVEL, LOG_FORMAT, and what the sinks ask for by name`,
  options: { id: { type: 'string' } },
} as const

await runMain('sinks', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const file = positionals[0] ?? SHIPPED_JOB
  const job = await loadJob(file)
  if (job.sinks.length === 0) {
    const version = process.env.MILLRACE_AS
    const why = version ? ` for ${version}: a version writes to none` : ''
    throw new UsageError(`job file ${file} declares no sinks${why}`)
  }
  const log = createLog('sinks', config.LOG_LEVEL)
  const store = openStore(config, log)
  await runSinks({
    job,
    keys: keysOf(job.name),
    id: values.id,
    store,
    environment: process.env,
    clock: systemClock,
    log,
  })
  await store.close()
  return 0
})
