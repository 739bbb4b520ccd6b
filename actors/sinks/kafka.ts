/**
 * A sink that writes closed windows to a Kafka topic, one record a row, in transactions that hold whole
 * windows and the position: who reads with `isolation.level=read_committed` sees each window once.
 *
 *   transactional id → fence whoever had it → position → begin → rows → position → commit
 *
 * The position is the metadata of the offset that a group of the sink's own commits in the transaction.
 * Kafka forgets the offsets of a group that says nothing for long (7 days by default); then the position
 * that the job's Redis has is taken, which is the same one but for a kill in that very moment.
 *
 * A record's key is the window's start and its group (of a session its end and its group): a compacted
 * topic keeps what a window was last, should it come again because Redis was taken back in time.
 */
import type { Producer } from 'kafkajs'
import { type Config, readConfig } from '../config.ts'
import { UsageError } from '../errors.ts'
import { JobError } from '../job.ts'
import { iso, rowJson } from './rows.ts'
import { askedOf, matches } from '../topics.ts'
import {
  type ClosedWindow,
  declared,
  type Environment,
  type Sink,
  type SinkConnection,
  SinkFenced,
  type SinkJob,
  type SinkOptions,
  SinkRefusal,
} from './sink.ts'

export interface KafkaOptions extends SinkOptions {
  /** Must exist. */
  topic: string
  /**
   * In front of the names of the variables that say where Kafka is: with `OUT_` it is OUT_KAFKA_BROKERS
   * (and OUT_KAFKA_SSL, OUT_KAFKA_SASL_…). None by default: the Kafka that the job reads.
   */
  prefix?: string
}

/** A broker takes 1 MB a request, unless it is told otherwise. */
const SEND_CHARACTERS = 256 * 1024
const TRANSACTION_MS = 60_000
const SILENCE_MS = 10_000

export function kafka(options: KafkaOptions): Sink {
  const base = declared('kafka', options)
  const { topic, prefix = '' } = options
  if (typeof topic !== 'string' || !/^[A-Za-z0-9._-]{1,249}$/.test(topic)) {
    throw new JobError(
      `sink ${base.name}: topic must be 1 to 249 letters, digits, '.', '_' or '-', not ${JSON.stringify(topic)}`,
    )
  }
  return {
    ...base,
    address(job, environment) {
      if (matches(askedOf(job), topic) && prefix === '') {
        throw new UsageError(`sink ${base.name}: topic ${topic} is the one that the job reads`)
      }
      const config = configOf(base.name, prefix, environment)
      return `${config.KAFKA_BROKERS.join(',')}, topic ${topic}`
    },
    async open({ job, environment, kept }) {
      // Loaded late: executors load the job's file too, and have no use for a Kafka client.
      const { kafkaClient } = await import('../kafka-client.ts')
      const config = configOf(base.name, prefix, environment)
      const id = `millrace-sink-${job.name}-${base.name}`
      const client = kafkaClient(config, id, { silenceMs: SILENCE_MS })
      const { Partitioners } = await import('kafkajs')
      const producer = client.producer({
        transactionalId: id,
        idempotent: true,
        maxInFlightRequests: 1,
        transactionTimeout: TRANSACTION_MS,
        allowAutoTopicCreation: false,
        createPartitioner: Partitioners.DefaultPartitioner,
      })
      const admin = client.admin()
      const close = async () => {
        await Promise.all([producer.disconnect(), admin.disconnect()])
      }
      try {
        await Promise.all([producer.connect(), admin.connect()])
        // Whoever had the id can't commit any more, and what it had begun is over, before we look.
        await (await producer.transaction()).abort()
        const [found] = await admin.fetchOffsets({ groupId: id, topics: [topic] })
        const place = found?.partitions.find(({ partition }) => partition === 0)
        return connectionOf({
          job,
          producer,
          topic,
          group: id,
          position: place?.metadata || kept,
          close,
        })
      } catch (error) {
        await close()
        throw explained(error)
      }
    },
  }
}

interface Parts {
  job: SinkJob
  producer: Producer
  topic: string
  group: string
  position: string | null
  close: () => Promise<void>
}

function connectionOf({ job, producer, topic, group, position, close }: Parts): SinkConnection {
  return {
    position: () => Promise.resolve(position),
    async write({ windows, position: next }, signal) {
      try {
        const transaction = await producer.transaction()
        for (const messages of requests(job, windows)) {
          signal.throwIfAborted()
          await transaction.send({ topic, messages, acks: -1 })
        }
        const offset = String(windows.at(-1)?.number ?? 0)
        const place = { partition: 0, offset, metadata: next }
        const offsets = { consumerGroupId: group, topics: [{ topic, partitions: [place] }] }
        await transaction.sendOffsets(offsets)
        signal.throwIfAborted()
        await transaction.commit()
      } catch (error) {
        throw explained(error)
      }
    },
    close,
  }
}

interface Message {
  key: string
  value: string
  timestamp: string
}

/** Records of the windows, in pieces that a broker takes. */
function* requests(job: SinkJob, windows: readonly ClosedWindow[]): Generator<Message[]> {
  let messages: Message[] = []
  let characters = 0
  for (const window of windows) {
    for (const row of window.rows) {
      const key = `${iso(job.gapMs === null ? row.start : row.end)} ${row.group}`
      const value = rowJson(window, row)
      const size = key.length + value.length
      if (messages.length > 0 && characters + size > SEND_CHARACTERS) {
        yield messages
        messages = []
        characters = 0
      }
      // The end is the event time of what is known with it.
      messages.push({ key, value, timestamp: String(Math.max(0, row.end)) })
      characters += size
    }
  }
  if (messages.length > 0) yield messages
}

const fencing = new Set(['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'])
const refusing = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD'])

/** kafkajs wraps errors up; what Kafka said decides. */
function explained(error: unknown): unknown {
  let innermost = error
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause
  const { type = '' } = innermost as { type?: string }
  if (fencing.has(type)) return new SinkFenced('another producer has the transactional id')
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return new Error('the topic does not exist; make it first', { cause: error })
  }
  if (refusing.has(type)) return new SinkRefusal((innermost as Error).message, { cause: error })
  return innermost
}

/** @throws UsageError that names the variable with its prefix */
function configOf(sink: string, prefix: string, environment: Environment): Config {
  const own = Object.entries(environment).flatMap(([name, value]) =>
    name.startsWith(`${prefix}KAFKA_`) ? [[name.slice(prefix.length), value] as const] : [],
  )
  try {
    const { LOG_LEVEL } = environment
    return readConfig({ ...Object.fromEntries(own), LOG_LEVEL })
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new UsageError(`sink ${sink}: ${prefix}${error.message}`, { cause: error })
  }
}
