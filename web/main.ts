/**
 * `bun run web`: the HTTP interface and the page of one job, as a process of its own. It only looks
 * and passes on what people want, so the pipeline runs on when it is killed. It serves from the start,
 * also while Redis or Kafka is away, and says so.
 */
import { checkBinding } from '../actors/binding.ts'
import { systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { keysOf } from '../actors/keys.ts'
import { Lifecycle } from '../actors/lifecycle.ts'
import { loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { openStore, untilReady } from '../actors/redis.ts'
import { createStatusReader } from '../supervisor/status-reader.ts'
import { createApp } from './app.ts'
import { kafkaProbe } from './health.ts'
import { Served } from './served.ts'

const command = {
  help: `
Usage: bun run web [jobs/file.ts] [--port N] [--host H] [--allow-host NAME]...

Serves the dashboard, the API and the metrics of a job (jobs/students.ts by default).

  --port N           port (PORT, 8080 by default; 0 for a free one)
  --host H           address to bind to (HOST, 127.0.0.1 by default); one that other machines
                     reach needs MILLRACE_TOKEN
  --allow-host NAME  a name by which browsers reach us, besides addresses and this machine's
  --id NAME          the process's name among the actors (made up by default)
  --help             this text

Exit code: 0 when it was asked to end and has, 1 when it could not go on, 2 for a mistake in the command,
the environment or the job file.

Environment: REDIS_URL, KAFKA_BROKERS, HOST, PORT, MILLRACE_TOKEN, LOG_LEVEL, LOG_FORMAT`,
  options: {
    port: { type: 'string' },
    host: { type: 'string' },
    'allow-host': { type: 'string', multiple: true },
    id: { type: 'string' },
  },
} as const

/** People wait for answers: rather an early "Redis does not answer" than a late one. */
const redisTimeoutMs = 1_500
/** Longer than the time between two heartbeats of the event stream, which it would cut otherwise. */
const idleTimeoutSeconds = 30

await runMain('web', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const host = values.host ?? config.HOST
  const port = wholeNumberFlag('port', values.port, { from: 0, to: 65_535 }) ?? config.PORT
  checkBinding(host, config.MILLRACE_TOKEN)
  const job = await loadJob(positionals[0] ?? SHIPPED_JOB)
  const log = createLog(values.id ?? 'web', config.LOG_LEVEL)
  const store = openStore(config, log, { commandMs: redisTimeoutMs })
  const clock = systemClock
  const shared = {
    job,
    clock,
    log,
    kafkaAnswers: kafkaProbe(config, clock),
    token: config.MILLRACE_TOKEN ?? null,
    hosts: [host, ...(values['allow-host'] ?? [])],
  }
  const served = new Served({
    store,
    job: job.name,
    clock,
    log,
    appOf: (store, keys, ended) => {
      const reader = createStatusReader(store, keys, job, clock, { ended })
      return createApp({ ...shared, store, keys, reader })
    },
  })
  const server = serve(served, host, port)
  // What it says of itself stands with the job's first shard, however many there are.
  const keys = keysOf(job.name)
  const life = new Lifecycle({ kind: 'web', id: values.id, store, keys, clock, log })
  log.info('serving', { url: server.url.href, job: job.name, control: controlSentence(config) })
  const following = served.follow(life.draining)
  await untilAsked(life, () => untilReady(store, life.draining))
  await following
  await served.web.feed.close()
  await server.stop(true)
  await life.leave()
  await store.close()
  return 0
})

/** Resolves when the process is asked to end; the heartbeat begins as soon as Redis answers. */
async function untilAsked(life: Lifecycle, redisReady: () => Promise<void>): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    life.draining.addEventListener('abort', () => resolve(), { once: true })
  })
  // Signals count before the first heartbeat too; asking twice is harmless.
  process.once('SIGTERM', () => life.drain('asked to end (SIGTERM)'))
  process.once('SIGINT', () => life.drain('asked to end (SIGINT)'))
  await redisReady()
  if (!life.draining.aborted) {
    await life.start()
    life.to('running')
  }
  await asked
}

/** @throws UsageError or RefusalError in one line where the address can't be had */
function serve(served: Served, hostname: string, port: number) {
  try {
    return Bun.serve({
      hostname,
      port,
      idleTimeout: idleTimeoutSeconds,
      // Ours is far less (guard.ts), and is told in the form of all errors. What nobody reads waits at
      // its sender.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, server) => served.web.app.fetch(request, server),
    })
  } catch (error) {
    const code = (error as { code?: string }).code
    if (code === 'EADDRINUSE') {
      throw new RefusalError(
        `port ${port} on ${hostname} is in use; free it, or choose another with --port`,
        { cause: error },
      )
    }
    throw new UsageError(`can't serve on ${hostname}:${port}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function controlSentence(config: Config): string {
  return config.MILLRACE_TOKEN ? 'with the token' : 'from this machine only'
}
