/**
 * `bun run verify`: recomputes every window from the Kafka topic, independently of the pipeline, and
 * compares. Exit code 0: all is right; 1: something differs, or could not be recomputed.
 */
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { numberFlag, parseFlags } from '../actors/flags.ts'
import { kafkaClient, kafkaMessage, throughOutages } from '../actors/kafka-client.ts'
import { loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { print, unread } from '../actors/output.ts'
import { openStore, untilReady } from '../actors/redis.ts'
import { heldKeys } from '../actors/shards.ts'
import { catchUp } from './catch-up.ts'
import { registerCodecs } from './codecs.ts'
import { HeldAudit } from './held-audit.ts'
import { live } from './live.ts'
import { reportText, showProgress, showWaiting } from './print.ts'
import { endsOf } from './topics.ts'
import { type Verification, verify } from './verify.ts'

const command = {
  help: `
bun run verify [jobs/file.ts] [options]

Reads the job's topic with an ordinary Kafka consumer, counts and aggregates it anew, and compares
with what the pipeline has: the counters and each row of each window, to the last digit.
Default: ${SHIPPED_JOB}. Nothing is changed; it may run beside the pipeline.

  --wait SECONDS     first wait until the pipeline has processed all that Kafka holds
  --json             print the report as JSON; with --live a line of JSON a round

  --live             audit on and on while the pipeline works, a line a round, until Ctrl-C
  --interval SECONDS with --live: between two rounds (5)
  --for SECONDS      with --live: end by itself after this
  --from-now         with --live: leave out what was committed before. Otherwise the first round
                     reads all that was processed, which takes time and memory like a run without
                     --live; after that memory holds only windows that are not closed yet

A round of --live reads the records that were committed since the one before, as of one instant, and
compares the counters, the set of offsets (by number and hash) and each window that has closed since.
Open windows are compared by a run without --live. It goes on through outages of Redis and Kafka.

  behind             records that Kafka holds and the pipeline has not finished
  unaccounted        records that were taken in and are neither waiting nor counted, filtered, late
                     or rejected; anything but 0 is a bug

lost: records missing, from a window's row or from the counters; duplicated: records too many;
wrong: any other difference. A record that is missing from two windows counts twice.
Exit code: 0 when there is none, and with --live never was one; else 1; 2 for a mistake in the command.
`,
  options: {
    wait: { type: 'string' },
    json: { type: 'boolean' },
    live: { type: 'boolean' },
    interval: { type: 'string' },
    for: { type: 'string' },
    'from-now': { type: 'boolean' },
  },
  positionals: ['jobs/file.ts'],
} as const

const CONNECT_MS = 2_000

async function main(): Promise<number> {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const waitSeconds = numberFlag('wait', values.wait, { from: 0, to: 86_400 })
  const intervalSeconds = numberFlag('interval', values.interval, { from: 0.05, to: 3_600 })
  const forSeconds = numberFlag('for', values.for, { from: 0, to: 20 * 86_400 })
  refuseMixed(values)
  const config = readConfig()
  // An outage has its line in the audit.
  const log = createLog('verify', values.live ? 'error' : config.LOG_LEVEL)
  const file = positionals[0] ?? SHIPPED_JOB
  const job = await loadJob(file)
  registerCodecs()
  const kafka = kafkaClient(config, 'millrace-verify')
  const store = openStore(config, log)
  try {
    if (values.live) {
      // Later it is an outage, and said as one.
      await untilReady(store, AbortSignal.timeout(CONNECT_MS))
      const audit = new HeldAudit({ job, kafka, store }, { fromNow: values['from-now'] ?? false })
      const ok = await live({
        audit,
        clock: systemClock,
        intervalMs: (intervalSeconds ?? 5) * 1_000,
        signal: AbortSignal.any([endOf(forSeconds), unread(process.stdout)]),
        json: values.json ?? false,
        write: print,
      })
      return ok ? 0 : 1
    }
    await untilReady(store)
    const keys = await heldKeys(store, job.name)
    const looked = throughOutages(config, log, () => endsOf(kafka, job, { topics: [] }))
    await looked.catch((error) => {
      throw new RefusalError(
        `${job.topics ? 'topics' : 'topic'} ${job.topic}: ${kafkaMessage(error)}`,
        { cause: error },
      )
    })
    const verification = { job, kafka, store, keys, file }
    if (waitSeconds !== undefined) await waitFor(verification, waitSeconds)
    else await refuseUnknown(verification)
    const progress = showProgress(systemClock)
    const report = await verify({
      ...verification,
      onProgress: (records) => progress.show(records),
    })
    const seconds = progress.end()
    const text = values.json ? JSON.stringify(report, null, 2) : reportText(job, report, seconds)
    print(text)
    return report.ok ? 0 : 1
  } finally {
    await store.close()
  }
}

/** Aborted by Ctrl-C, by SIGTERM, and when the time is up; asked again, they end it at once. */
function endOf(seconds: number | undefined): AbortSignal {
  const end = new AbortController()
  process.once('SIGINT', () => end.abort())
  process.once('SIGTERM', () => end.abort())
  if (seconds !== undefined) setTimeout(() => end.abort(), seconds * 1_000)
  return end.signal
}

function refuseMixed(values: Record<string, unknown>): void {
  const others = values.live ? ['wait'] : ['interval', 'for', 'from-now']
  const mixed = others.find((name) => values[name] !== undefined)
  if (!mixed) return
  throw new UsageError(values.live ? `--live takes no --${mixed}` : `--${mixed} is for --live only`)
}

async function waitFor(verification: Verification, seconds: number): Promise<void> {
  const waiting = showWaiting()
  try {
    await catchUp(verification, seconds * 1_000, (records) => waiting.show(records))
  } finally {
    waiting.end()
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
