/** `bun run doctor`: whether the job could run here, and what to do where it could not. */
import { readConfig } from '../actors/config.ts'
import { runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { SHIPPED_JOB } from '../actors/load.ts'
import { examine } from './examine.ts'
import { reportOf } from './report.ts'

const command = {
  help: `
Usage: bun run doctor [jobs/file.ts] [options]

Looks at Redis, Kafka, the job's topic and its ledger, and this machine, and says of each what is
wrong and what to do. Changes nothing, but loads our functions into Redis where they are missing.
The supervisor looks at the same when it starts.

  --max N         executors at the most (EXECUTORS_MAX, 4)
  --accept-loss   as for the supervisor: records that Kafka deleted are given up
  --fresh         as for the supervisor: what Redis has lost is begun anew
  --no-web        without the web page
  --json          as JSON: { findings: [{ level, what, found, todo }] }
  --help          this text

Exit code: 0 when nothing is fatal, 1 when something is, 2 for a mistake in the command.

Environment: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*, REDIS_URL, HOST, EXECUTORS_MAX, MILLRACE_TOKEN`,
  options: {
    max: { type: 'string' },
    'accept-loss': { type: 'boolean' },
    fresh: { type: 'boolean' },
    'no-web': { type: 'boolean' },
    json: { type: 'boolean' },
  },
} as const

await runMain('doctor', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const findings = await examine({
    config,
    file: positionals[0] ?? SHIPPED_JOB,
    executorsMax: wholeNumberFlag('max', values.max, { from: 0, to: 64 }) ?? config.EXECUTORS_MAX,
    host: values['no-web'] ? null : config.HOST,
    acceptLoss: values['accept-loss'] ?? false,
    fresh: values.fresh ?? false,
  })
  process.stdout.write(
    values.json ? `${JSON.stringify({ findings }, null, 2)}\n` : reportOf(findings),
  )
  return findings.some(({ level }) => level === 'fatal') ? 1 : 0
})
