/**
 * What Kafka and Redis themselves can do on this machine, by their own benchmarks: how fast one
 * consumer reads the topic without looking at it, and how fast payloads of the bridge's size go into
 * Redis and come out again. Millrace's pace is told as a share of both.
 */
import { bounds } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Progress } from '../cli/progress.ts'
import { runSteps } from '../services/run.ts'
import type { Services } from '../services/services.ts'
import { buildJava, jvmCommand } from './peers/build.ts'

export interface KafkaLimit {
  /** While fetching, the joining of the group left out. */
  recordsPerSecond: number
  bytesPerRecord: number
}

export interface RedisLimit {
  /** SET and GET of a payload, one after the other. */
  pairsPerSecond: number
  payloadBytes: number
}

const JVM = ['-Xmx512m', '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
const TIMEOUT_MS = 10 * 60_000
/** Redis keeps what is written in its append-only file: half a gigabyte is enough of it. */
const REDIS_CALLS = 4_000
const REDIS_CLIENTS = 2

/** kafka-consumer-perf-test. @throws RefusalError in one line */
export async function kafkaLimit(
  services: Services,
  topic: string,
  count: number,
  log: Progress,
): Promise<KafkaLimit> {
  const plan = { name: 'limits', label: "Kafka's tools", mainJar: 'kafka-tools', sources: [] }
  const built = await buildJava(plan, log)
  const tool = jvmCommand(built, JVM, 'org.apache.kafka.tools.ConsumerPerformance')
  const options = ['--bootstrap-server', services.kafkaBrokers, '--topic', topic]
  const amount = ['--messages', String(count), '--timeout', '60000', '--hide-header']
  const limit = await lastOf([...tool, ...options, ...amount], consumerLine)
  if (!limit) throw new RefusalError('kafka-consumer-perf-test gave no figure')
  return limit
}

/** redis-benchmark; null where it is not on the PATH. */
export async function redisLimit(services: Services): Promise<RedisLimit | null> {
  const program = Bun.which('redis-benchmark')
  if (!program) return null
  const payloadBytes = bounds.entryBytes
  const server = ['-h', '127.0.0.1', '-p', String(services.redis.port)]
  const load = ['-n', String(REDIS_CALLS), '-c', String(REDIS_CLIENTS), '-d', String(payloadBytes)]
  const rateOf = async (test: string) =>
    await lastOf([program, ...server, ...load, '-t', test, '--csv'], redisLine)
  const [set, get] = [await rateOf('set'), await rateOf('get')]
  if (!set || !get) throw new RefusalError('redis-benchmark gave no figure')
  return { pairsPerSecond: 1 / (1 / set + 1 / get), payloadBytes }
}

/** start, end, MB, MB/s, records, records/s, joining ms, fetching ms, MB/s and records/s of fetching. */
export function consumerLine(line: string): KafkaLimit | undefined {
  const fields = line.split(', ').slice(2).map(Number)
  if (fields.length !== 8 || fields.some((field) => !Number.isFinite(field))) return undefined
  const [megabytes = 0, , records = 0, , , , , recordsPerSecond = 0] = fields
  return { recordsPerSecond, bytesPerRecord: (megabytes * 2 ** 20) / records }
}

/** `"SET","12345.67",…`: calls a second; the heading has no number there. */
export function redisLine(line: string): number | undefined {
  const rate = Number(/^"[SG]ET","([\d.]+)"/.exec(line)?.[1])
  return rate > 0 ? rate : undefined
}

async function lastOf<T>(
  command: string[],
  parse: (line: string) => T | undefined,
): Promise<T | undefined> {
  let last: T | undefined
  const result = await runSteps(command, {
    timeoutMs: TIMEOUT_MS,
    onLine: (line) => {
      last = parse(line) ?? last
    },
  })
  if (result.code !== 0) throw new RefusalError(result.lastLine)
  return last
}
