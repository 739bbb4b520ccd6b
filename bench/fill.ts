/**
 * Fills a topic with records of the shipped job, quickly, for benchmarks and tests: event times
 * advance evenly over a span that ends now, and are out of order by up to two seconds; the records
 * go to the partitions in turn. Bodies are made once and used again with other times.
 *
 *   bun bench/fill.ts --topic bench --count 5000000
 */
import type { CompressionTypes } from 'kafkajs'
import studentsJob from '../jobs/students.ts'
import { seededRandom, systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { runMain, UsageError } from '../actors/errors.ts'
import { choiceFlag, numberFlag, parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { type KafkaConfig, kafkaClient, throughOutages } from '../actors/kafka-client.ts'
import { createLog, type Log } from '../actors/log.ts'
import { type Compression, compressions, compressionType } from '../actors/producer/compression.ts'
import { rememberingPartitioner } from '../actors/producer/partitioner.ts'
import { bodyMaker } from '../actors/producer/records.ts'
import { Sender } from '../actors/producer/sender.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import { watchedProgress } from '../cli/progress.ts'

export interface FillOptions {
  config: KafkaConfig
  topic: string
  count: number
  /** Of the topic, where it does not exist yet. Default 4. */
  partitions?: number
  compression?: Compression
  /** Event times from `end` − span to `end`. Default one hour, 720 windows of the shipped job. */
  spanMs?: number
  /** Epoch ms; default now. */
  endMs?: number
  seed?: number
  /** Makes what stands behind a record's timestamp; default: the shipped job's. */
  body?: BodyMaker
  /** How many bodies are made, and used again and again; null for a new one each time. */
  bodies?: number | null
  log?: Pick<Log, 'warn' | 'info'>
  signal?: AbortSignal
  /** Takes how many records Kafka has, now and then. */
  onProgress?: (records: number) => void
}

/** The body of a record, with its key. */
export type BodyMaker = () => { key: string; rest: string }

export interface Filled {
  records: number
  /** Of the values, uncompressed. */
  bytes: number
  seconds: number
  partitions: number
}

/** More bodies make more different records, fewer stay in the processor's cache. */
const BODIES = 8_192
/** Of all bodies together. */
const BODIES_BYTES = 16 * 1024 * 1024
/** Records of one batch. kafkajs copies a partition's list for each record, so more is slower. */
const BATCH = 250
/** Kafka takes batches of a megabyte, unless it is told otherwise. */
const BATCH_BYTES = 512 * 1024
const DISORDER_MS = 2_000
const HOUR_MS = 3_600_000

/** Resolves when Kafka has acknowledged every record. */
export async function fillTopic(options: FillOptions): Promise<Filled> {
  const { config, topic, count } = options
  const log = options.log ?? createLog('fill', config.LOG_LEVEL)
  const signal = options.signal ?? new AbortController().signal
  const kafka = kafkaClient(config, 'millrace-fill')
  const producer = kafka.producer({
    createPartitioner: rememberingPartitioner,
    allowAutoTopicCreation: false,
  })
  const open = async () => {
    const state = await ensureTopic(kafka, topic, options.partitions ?? 4)
    await producer.connect()
    return state
  }
  const { partitions } = await throughOutages(config, log, open, { signal })
  const startedAt = systemClock.elapsed()
  const compression: CompressionTypes = compressionType(options.compression ?? 'none')
  const sender = new Sender({ config, producer, topic, compression, acks: 1, log, signal })
  try {
    const { next, together } = messageMaker(options, partitions)
    let bytes = 0
    for (let made = 0; made < count && !signal.aborted; made += together) {
      const messages = Array.from({ length: Math.min(together, count - made) }, (_, i) =>
        next(made + i),
      )
      for (const { value } of messages) bytes += value.length
      await sender.send(messages)
      options.onProgress?.(sender.acknowledged)
    }
    await sender.drain()
    const seconds = (systemClock.elapsed() - startedAt) / 1_000
    return { records: sender.acknowledged, bytes, seconds, partitions }
  } finally {
    await producer.disconnect()
  }
}

/** Makes messages; `together` of them go into one request, a batch for each partition. */
function messageMaker(options: FillOptions, partitions: number) {
  const random = seededRandom(options.seed ?? 1)
  const body = options.body ?? bodyMaker(random)
  const bodyOf = options.bodies === null ? body : repeated(body, options.bodies ?? BODIES, random)
  const spanMs = options.spanMs ?? HOUR_MS
  const startMs = (options.endMs ?? systemClock.now()) - spanMs
  const stepMs = spanMs / options.count
  const next = (index: number) => {
    const { key, rest } = bodyOf()
    const time = Math.floor(startMs + index * stepMs - random() * DISORDER_MS)
    // `rest` is ASCII but for what a name could hold, so its length is its bytes.
    const value = `{"timestamp":${time / 1000},${rest}`
    return { key, value, partition: index % partitions }
  }
  const fitting = Math.floor(BATCH_BYTES / bodyOf().rest.length)
  return { next, together: Math.max(1, Math.min(BATCH, fitting)) * partitions }
}

/** The same bodies again and again, by chance; fewer where they are large. */
function repeated(body: BodyMaker, most: number, random: () => number): BodyMaker {
  const first = body()
  const fitting = Math.ceil(BODIES_BYTES / first.rest.length)
  const bodies = [first, ...Array.from({ length: Math.min(most, fitting) - 1 }, () => body())]
  return () => bodies[Math.floor(random() * bodies.length)]!
}

const command = {
  help: `
bun bench/fill.ts [options]

Fills a topic with records of the shipped job as fast as Kafka takes them.

  --topic NAME       default: ${studentsJob.topic}
  --count N          default 5,000,000
  --partitions N     of the topic, where it does not exist yet; default 4
  --compression ${compressions.join('|')}   default none
  --span SECONDS     of event time over all records, ending now; default 3600
`,
  options: {
    topic: { type: 'string' },
    count: { type: 'string' },
    partitions: { type: 'string' },
    compression: { type: 'string' },
    span: { type: 'string' },
  },
} as const

async function main(): Promise<void> {
  const { values } = parseFlags(command)
  const topic = values.topic ?? studentsJob.topic
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic)) {
    throw new UsageError(`--topic must be 1 to 249 letters, digits, '.', '_' or '-'`)
  }
  const count = wholeNumberFlag('count', values.count, { from: 0, to: 1e10 }) ?? 5_000_000
  const log = watchedProgress()
  const filled = await fillTopic({
    config: readConfig(),
    topic,
    count,
    partitions: wholeNumberFlag('partitions', values.partitions, { from: 1, to: 10_000 }) ?? 4,
    compression: choiceFlag('compression', values.compression, compressions) ?? 'none',
    spanMs: (numberFlag('span', values.span, { from: 0.001, to: 1e9 }) ?? 3_600) * 1_000,
    onProgress: (records) => log.step(`${topic}: ${shareText(records, count)}`),
  }).finally(() => log.end())
  const rate = Math.round(filled.records / filled.seconds).toLocaleString('en')
  process.stdout.write(
    `${filled.records.toLocaleString('en')} records of ${(filled.bytes / filled.records).toFixed(0)} ` +
      `bytes to ${topic} in ${filled.seconds.toFixed(1)} s (${rate}/s)\n`,
  )
}

const shareText = (records: number, count: number): string =>
  `${records.toLocaleString('en')} of ${count.toLocaleString('en')} records in Kafka`

if (import.meta.main) await runMain('fill', main)
