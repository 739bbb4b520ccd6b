/**
 * `bun run verify`: recomputes every window from the Kafka topic, independently of the pipeline, and
 * compares. Exit code 0: all is right; 1: something differs, or could not be recomputed.
 */
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { numberFlag, parseFlags } from '../actors/flags.ts'
import { kafkaClient, kafkaMessage, throughOutages } from '../actors/kafka-client.ts'
import { keysOf } from '../actors/keys.ts'
import { loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { openStore, untilReady } from '../actors/redis.ts'
import { catchUp } from './catch-up.ts'
import { registerCodecs } from './codecs.ts'
import { reportText, showProgress } from './print.ts'
import { topicOffsets } from './topic.ts'
import { type Verification, verify } from './verify.ts'

const command = {
  help: `
bun run verify [jobs/file.ts] [options]

Reads the job's topic with an ordinary Kafka consumer, counts and aggregates it anew, and compares
with what the pipeline has: the counters and each row of each window, to the last digit.
Default: ${SHIPPED_JOB}. Nothing is changed; it may run beside the pipeline.

  --wait SECONDS     first wait until the pipeline has processed all that Kafka holds
  --json             print the report as JSON

lost: records missing, from a window's row or from the counters; duplicated: records too many;
wrong: any other difference. A record that is missing from two windows counts twice.
Exit code 0 when there is none, else 1.
`,
  options: { wait: { type: 'string' }, json: { type: 'boolean' } },
  positionals: ['job'],
} as const

async function main(): Promise<number> {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const waitSeconds = numberFlag('wait', values.wait, { from: 0, to: 86_400 })
  const config = readConfig()
  const log = createLog('verify', config.LOG_LEVEL)
  const job = await loadJob(positionals[0] ?? SHIPPED_JOB)
  registerCodecs()
  const kafka = kafkaClient(config, 'millrace-verify')
  const store = openStore(config, log)
  const keys = keysOf(job.name)
  try {
    await untilReady(store)
    await throughOutages(config, log, () => topicOffsets(kafka, job.topic)).catch((error) => {
      throw new RefusalError(`topic ${job.topic}: ${kafkaMessage(error)}`, { cause: error })
    })
    const verification = { job, kafka, store, keys }
    if (waitSeconds !== undefined) await catchUp(verification, waitSeconds * 1_000)
    else await refuseUnknown(verification)
    const progress = showProgress(systemClock)
    const report = await verify({
      ...verification,
      onProgress: (records) => progress.show(records),
    })
    const seconds = progress.end()
    const text = values.json ? JSON.stringify(report, null, 2) : reportText(job, report, seconds)
    process.stdout.write(`${text}\n`)
    return report.ok ? 0 : 1
  } finally {
    await store.close()
  }
}

/** A job that never ran would compare nothing with nothing, and pass. */
async function refuseUnknown({ job, store, keys }: Verification): Promise<void> {
  if (await store.redis.exists(keys.ledger)) return
  throw new RefusalError(
    `job ${job.name} has nothing in Redis yet: start it with bun run supervisor (and check REDIS_URL)`,
  )
}

await runMain('verify', main)
