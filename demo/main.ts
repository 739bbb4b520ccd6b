/**
 * `bun run demo`: the pipeline from nothing, and its scaling as it happens.
 *
 *   services → topic → supervisor (bridge, executors, web) → producers: one, four, none → verdict
 *
 * It starts what it needs on ports of its own, plays at real pace, and ends with what was seen
 * against what was promised; exit code 0 only if every stage was met and nothing was lost.
 */
import { rmSync } from 'node:fs'
import { readConfig } from '../actors/config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { freePort, isListening } from '../services/ports.ts'
import { createProgress } from '../cli/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import { Children } from './children.ts'
import { play, stages } from './stages.ts'
import { printSummary, summaryReport } from './summary.ts'
import { Timeline } from './timeline.ts'

const command = {
  help: `
Usage: bun run demo [--keep] [--json FILE]

Starts Kafka, Redis and the pipeline, then plays: one producer at 10 records/s, four at 40 records/s
in all, none. Each record is given a cost of 70 ms (jobs/demo.ts), or one executor would do a million
of them a second. Prints windows, decisions and a timeline, and at the end what was seen.

  --keep       stay up after the last stage, page included, until Ctrl-C
  --json FILE  what was seen of each stage, and the verdict, as JSON besides
  --help       this text

Exit code: 0 when every stage was met and the windows are those of the topic, 1 when not, 2 for a mistake
in the command, 130 when it was ended by Ctrl-C.

Environment: KAFKA_BROKERS and REDIS_URL, both or neither, name servers to use instead of own ones;
PORT is the page's (8080, or a free one where that is taken)`,
  options: { keep: { type: 'boolean' }, json: { type: 'string' } },
} as const

const job = 'jobs/demo.ts'
const dir = '.millrace/demo'

await runMain('demo', async () => {
  const { values } = parseFlags(command)
  const config = readConfig()
  const services = await findServices()
  const children = new Children({ ...process.env, ...services?.environment })
  const stopping = stopOnSignals(children, services)
  try {
    const port = (await isListening(config.PORT)) ? await freePort() : config.PORT
    const url = `http://127.0.0.1:${port}`
    children.start(['supervisor/main.ts', job, '--port', String(port), '--from', 'earliest'])
    say(`the page: ${url}`)
    const timeline = new Timeline(url)
    // Makes the topic and sends nothing, so that the first stage begins with nobody at work.
    await children.run(['actors/producer/main.ts', '--count', '0'])
    await timeline.untilUp()
    const results = await play(stages, children, timeline)
    // Before the recomputation, which takes time without a load.
    const cost = await timeline.cost()
    say('recomputing every window from the Kafka topic …')
    const verified = await children.run(['verify/main.ts', job, '--wait', '30'])
    const passed = printSummary(results, verified === 0, cost)
    if (values.json !== undefined) {
      const report = summaryReport(results, verified === 0, passed, cost)
      await Bun.write(values.json, `${JSON.stringify(report, null, 2)}\n`)
    }
    if (values.keep) {
      say(`staying up: ${url} (Ctrl-C ends it)`)
      await stopping.asked
    }
    return passed ? 0 : 1
  } catch (error) {
    throw error instanceof UsageError ? error : new RefusalError(messageOf(error), { cause: error })
  } finally {
    await stopping.stop()
  }
})

/** Servers that the environment names are used; otherwise fresh ones of our own. */
async function findServices(): Promise<Services | null> {
  const { KAFKA_BROKERS: brokers, REDIS_URL: redis } = process.env
  if (brokers && redis) return null
  if (brokers || redis) throw new UsageError('set both KAFKA_BROKERS and REDIS_URL, or neither')
  rmSync(dir, { recursive: true, force: true })
  return startServices({ dir, log: createProgress() })
}

/** The first signal ends everything in order; `stop` does the same and may be called again. */
function stopOnSignals(children: Children, services: Services | null) {
  const asked = Promise.withResolvers<void>()
  let stopped: Promise<void> | null = null
  const stop = () =>
    (stopped ??= children.stop().then(async () => {
      await services?.stop()
    }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      asked.resolve()
      void stop().then(() => process.exit(130))
    })
  }
  return { asked: asked.promise, stop }
}

function say(line: string): void {
  process.stdout.write(`demo: ${line}\n`)
}
