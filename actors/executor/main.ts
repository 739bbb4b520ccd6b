/** `bun run executor`: one executor by itself, on any machine that reaches Redis. */
import { systemClock } from '../clock.ts'
import { bounds, readConfig } from '../config.ts'
import { runMain } from '../errors.ts'
import { parseFlags } from '../flags.ts'
import { systemHost } from '../host.ts'
import { newActorId } from '../lifecycle.ts'
import { loadJob, SHIPPED_JOB } from '../load.ts'
import { createLog } from '../log.ts'
import { openStore, whenReady } from '../redis.ts'
import { agreedKeys } from '../shards.ts'
import { Hand } from './hand.ts'
import { openTrace } from '../trace/trace.ts'
import { runExecutor } from './run.ts'
import { untilBegun } from './warm.ts'

const command = {
  help: `
Usage: bun run executor [jobs/file.ts] [--id NAME] [--warm]

Folds records of the job (jobs/students.ts by default) into windows until it is asked to end.
A supervisor starts executors by itself; this adds one by hand, also from another machine.

  --id NAME   the executor's name, unique to this start (made up by default)
  --warm      connects, and takes nothing before a supervisor lets it begin
  --help      this text

Exit code: 0 when it was asked to end and has, 1 when it could not go on, 2 for a mistake in the command,
the environment or the job file.

Environment: REDIS_URL, REDIS_SHARDS, LOG_LEVEL, LOG_FORMAT`,
  options: { id: { type: 'string' }, warm: { type: 'boolean' } },
  positionals: ['jobs/file.ts'],
} as const

void runMain('executor', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const config = readConfig()
  const job = await loadJob(positionals[0] ?? SHIPPED_JOB)
  const id = values.id ?? newActorId('executor', systemClock)
  const log = createLog(values.id ?? 'executor', config.LOG_LEVEL)
  const writer = openStore(config, log)
  const openReader = () => openStore(config, log, { blockMs: bounds.readBlockMs })
  // It connects while the number of shards is asked for: an executor that starts is waited for.
  const first = openReader()
  const keys = await whenReady(writer, () => agreedKeys(writer, job, config.REDIS_SHARDS))
  const others = keys.shards.slice(1).map(openReader)
  const trace = await openTrace({ kind: 'executor', id, job, clock: systemClock, log })
  const asked = new AbortController()
  if (values.warm) {
    systemHost.onAsked((reason) => asked.abort(reason))
    const mailbox = openStore(config, log, { blockMs: bounds.warmBlockMs })
    const waiting = { mailbox, keys, id, clock: systemClock, asked: asked.signal }
    if (!(await untilBegun(waiting))) return 0
    await mailbox.close()
  }
  await runExecutor({
    job,
    keys,
    id,
    writer,
    readers: [first, ...others],
    clock: systemClock,
    host: systemHost,
    log,
    // A supervisor's executors have one; it reads it when they die.
    hand: config.MILLRACE_HAND ? new Hand(config.MILLRACE_HAND) : null,
    asked: asked.signal,
    code: config.MILLRACE_CODE,
    trace,
  })
  await trace?.close()
  return 0
})
