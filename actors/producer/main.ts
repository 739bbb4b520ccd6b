/**
 * `bun run producer`: the shipped job's records into Kafka, at the source project's pace or at a rate.
 */
import studentsJob from '../../jobs/students.ts'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../errors.ts'
import { choiceFlag, numberFlag, parseFlags, wholeNumberFlag } from '../flags.ts'
import { isKafkaOutage, kafkaClient, kafkaMessage, throughOutages } from '../kafka-client.ts'
import { createLog } from '../log.ts'
import { compressions, compressionType } from './compression.ts'
import { rememberingPartitioner } from './partitioner.ts'
import { sourcePace, steadyPace } from './pace.ts'
import { produce } from './produce.ts'
import { recordMaker } from './records.ts'
import { Sender } from './sender.ts'
import { ensureTopic } from './topic.ts'

const command = {
  help: `
bun run producer [options]

Writes students' coding activity to Kafka until Ctrl-C: one record every 0.05 to 0.3 s.

  --rate N           records a second instead (up to 1,000,000; 0.5 is one every 2 s)
  --count N          stop after N records
  --seed N           the same seed gives the same records; default: a random one, which is printed
  --malformed SHARE  0 to 1: not JSON, not in the schema, broken UTF-8, empty, tombstones
  --late SHARE       0 to 1: so old that their windows are closed
  --out-of-order SHARE  0 to 1: behind, but within the watermark delay
  --topic NAME       default: ${studentsJob.topic}
  --partitions N     of the topic, where it does not exist yet; default 4
  --compression ${compressions.join('|')}   default none
  --json             at the end as JSON: { topic, records, notAcknowledged, seconds, perSecond, seed }

Exit code: 0 when Kafka has acknowledged all, also after Ctrl-C; 1 when it has not, or does not answer;
2 for a mistake in the command.

Kafka's address is taken from KAFKA_BROKERS (127.0.0.1:9092), as are KAFKA_SSL and KAFKA_SASL_*.
`,
  options: {
    rate: { type: 'string' },
    count: { type: 'string' },
    seed: { type: 'string' },
    malformed: { type: 'string' },
    late: { type: 'string' },
    'out-of-order': { type: 'string' },
    topic: { type: 'string' },
    partitions: { type: 'string' },
    compression: { type: 'string' },
    json: { type: 'boolean' },
  },
} as const

/** After the signal, replies that are on their way have this long. */
const STOP_GRACE_MS = 5_000

type Options = ReturnType<typeof readOptions>

function readOptions() {
  const { values } = parseFlags(command)
  const share = (name: 'malformed' | 'late' | 'out-of-order') =>
    numberFlag(name, values[name], { from: 0, to: 1 }) ?? 0
  const topic = values.topic ?? studentsJob.topic
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic)) {
    throw new UsageError(`--topic must be 1 to 249 letters, digits, '.', '_' or '-'`)
  }
  return {
    rate: numberFlag('rate', values.rate, { from: 0.001, to: 1_000_000 }),
    count:
      wholeNumberFlag('count', values.count, { from: 0, to: 1e12 }) ?? Number.POSITIVE_INFINITY,
    seed:
      wholeNumberFlag('seed', values.seed, { from: 0, to: 2 ** 32 - 1 }) ??
      Math.floor(systemClock.random() * 2 ** 32),
    malformed: share('malformed'),
    late: share('late'),
    outOfOrder: share('out-of-order'),
    topic,
    partitions: wholeNumberFlag('partitions', values.partitions, { from: 1, to: 10_000 }) ?? 4,
    compression: choiceFlag('compression', values.compression, compressions) ?? 'none',
    json: values.json ?? false,
    watermarkDelayMs: studentsJob.watermarkDelayMs,
    windowSizeMs: studentsJob.windowSizeMs,
  }
}

async function main(): Promise<number> {
  const options = readOptions()
  const config = readConfig()
  const log = createLog('producer', config.LOG_LEVEL)
  const signal = stopSignal()
  const kafka = kafkaClient(config, 'millrace-producer')
  const producer = kafka.producer({
    createPartitioner: rememberingPartitioner,
    allowAutoTopicCreation: false,
  })
  const open = async () => {
    const topic = await ensureTopic(kafka, options.topic, options.partitions)
    await producer.connect()
    return topic
  }
  try {
    const topic = await throughOutages(config, log, open, { signal })
    const made = topic.created ? ', created' : ''
    const to = `to ${options.topic} (${topic.partitions} partitions${made})\n`
    if (!options.json) process.stdout.write(to)
  } catch (error) {
    if (signal.aborted && isKafkaOutage(error)) return finish(options, 0, 0, 0)
    throw new RefusalError(`topic ${options.topic}: ${kafkaMessage(error)}`, { cause: error })
  }
  const compression = compressionType(options.compression)
  const { topic } = options
  const sender = new Sender({ config, producer, topic, compression, acks: -1, log, signal })
  try {
    return await run(options, sender, signal)
  } finally {
    await producer.disconnect()
  }
}

async function run(options: Options, sender: Sender, signal: AbortSignal): Promise<number> {
  const startedAt = systemClock.elapsed()
  const seconds = () => (systemClock.elapsed() - startedAt) / 1_000
  // Where the end is JSON, what is shown on the way is not in it.
  const out = options.json ? process.stderr : process.stdout
  const stopShowing = showProgress(() => sender.acknowledged, seconds, out)
  let made = 0
  try {
    await produce({
      clock: systemClock,
      pace: options.rate ? steadyPace(options.rate) : sourcePace(() => systemClock.random()),
      make: recordMaker(options),
      count: options.count,
      signal,
      send: (records) => {
        made += records.length
        return sender.send(records)
      },
    })
    await Promise.race([sender.drain(), untilGraceEnds(signal)])
  } catch (error) {
    stopShowing()
    process.stderr.write(`producer: ${messageOf(kafkaMessage(error))}\n`)
    return finish(options, made, sender.acknowledged, seconds()) || 1
  }
  stopShowing()
  return finish(options, made, sender.acknowledged, seconds())
}

/** Prints what was really acknowledged; 1 where something was not. */
function finish(options: Options, made: number, acknowledged: number, seconds: number): number {
  const rate = seconds > 0 ? acknowledged / seconds : 0
  const missing = made - acknowledged
  if (options.json) {
    const { topic, seed } = options
    const told = {
      topic,
      records: acknowledged,
      notAcknowledged: missing,
      seconds,
      perSecond: rate,
    }
    process.stdout.write(`${JSON.stringify({ ...told, seed })}\n`)
    return missing > 0 ? 1 : 0
  }
  const rest = missing > 0 ? `; ${missing.toLocaleString('en')} more were not acknowledged` : ''
  process.stdout.write(
    `${acknowledged.toLocaleString('en')} records to ${options.topic} in ${seconds.toFixed(1)} s ` +
      `(${rate.toLocaleString('en', { maximumFractionDigits: 1 })}/s), seed ${options.seed}${rest}\n`,
  )
  return missing > 0 ? 1 : 0
}

/** Aborts at the first Ctrl-C or SIGTERM; the second ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143)
      controller.abort()
    })
  }
  return controller.signal
}

async function untilGraceEnds(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
  await systemClock.sleep(STOP_GRACE_MS)
}

/** On a terminal one live line; returns what takes it away. */
function showProgress(
  acknowledged: () => number,
  seconds: () => number,
  out: NodeJS.WriteStream,
): () => void {
  if (!out.isTTY) return () => undefined
  let before = { records: 0, seconds: 0 }
  const timer = setInterval(() => {
    const now = { records: acknowledged(), seconds: seconds() }
    const rate = (now.records - before.records) / (now.seconds - before.seconds)
    before = now
    const shown = `${now.records.toLocaleString('en')} records, ${Math.round(rate).toLocaleString('en')}/s`
    out.write(`\r\x1b[2K${shown} (Ctrl-C stops)`)
  }, 1_000)
  return () => {
    clearInterval(timer)
    out.write('\r\x1b[2K')
  }
}

await runMain('producer', main)
