/** `bun run sinks`: the sinks of a job by themselves. A second process waits, and takes over. */
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { RefusalError, runMain, UsageError } from '../errors.ts'
import { parseFlags } from '../flags.ts'
import type { Job } from '../job.ts'
import { type Lineage, readLineage, replacedBy, withSinks } from '../lineage.ts'
import { declaredSinks, loadJob, SHIPPED_JOB } from '../load.ts'
import { createLog } from '../log.ts'
import { openStore, whenReady } from '../redis.ts'
import { heldKeys } from '../shards.ts'
import { runSinks } from './run.ts'
import { checkSinks } from './sink.ts'

const command = {
  help: `
Usage: bun run sinks [jobs/file.ts] [--id NAME]

Writes the job's closed windows to the sinks that it declares, until it is asked to end. The
supervisor does the same by itself; several at once share nothing and lose nothing: one writes.

  --id NAME  the process's name, unique to this start (made up by default)
  --help     this text

Exit code: 0 when it was asked to end and has, 1 when it could not go on, 2 for a mistake in the command,
the environment or the job file.

Environment: REDIS_URL, LOG_LEVEL, LOG_FORMAT, and what the sinks ask for by name`,
  options: { id: { type: 'string' } },
} as const

/** @throws UsageError or RefusalError where there are none to run */
function refuse({ sinks, name }: Job, file: string, lineage: Lineage | null): void {
  const replaced = replacedBy(name, lineage)
  if (replaced !== null) throw new RefusalError(replaced)
  if (lineage?.stage === 'shadow') {
    throw new RefusalError(
      `${name} is a shadow of ${lineage.of}: its sinks are held back until bun run versions cutover`,
    )
  }
  if (sinks.length > 0) return
  const version = process.env.MILLRACE_AS
  const why = version
    ? ` for ${version}: a version writes to none before it takes the place of the job`
    : ''
  throw new UsageError(`job file ${file} declares no sinks${why}`)
}

await runMain('sinks', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const file = positionals[0] ?? SHIPPED_JOB
  const declared = await loadJob(file)
  // Before Redis is asked, where that need not say whether there are any.
  checkSinks(declared, process.env)
  const log = createLog('sinks', config.LOG_LEVEL)
  const store = openStore(config, log)
  const keys = await whenReady(store, () => heldKeys(store, declared.name))
  const lineage = await readLineage(store, keys)
  const job = withSinks(declared, await declaredSinks(file), lineage)
  refuse(job, file, lineage)
  checkSinks(job, process.env)
  await runSinks({
    job,
    keys,
    lineage,
    id: values.id,
    store,
    environment: process.env,
    clock: systemClock,
    log,
  })
  await store.close()
  return 0
})
