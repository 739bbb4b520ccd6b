/**
 * A Kafka and a Redis to use, in the order that the contract names: what the environment names is
 * used and never started or stopped; then what we started before or what listens on the usual
 * ports; then containers; then local programs. Each of the two is looked for by itself.
 */
import { readConfig, redisAddress } from '../actors/config.ts'
import { systemClock } from '../actors/clock.ts'
import { messageOf, RefusalError } from '../actors/errors.ts'
import { kafkaAddress } from '../actors/kafka-client.ts'
import { kafkaAnswers, namedRedisAnswers, redisAnswers } from './answers.ts'
import { composeAnswers, composePorts, composeStop, composeUp } from './compose.ts'
import { isListening } from './ports.ts'
import type { Progress } from '../cli/progress.ts'
import { readRecord, recordContainer, recordServer, type ServiceName } from './records.ts'
import type { Server } from './server.ts'
import { type PlaceOptions, startKafka, startRedis } from './services.ts'
import { stopWithUs } from './together.ts'

export const Source = {
  environment: 'named by the environment',
  running: 'was running',
  container: 'started in a container',
  process: 'started',
} as const
export type Source = (typeof Source)[keyof typeof Source]

export interface Found {
  name: ServiceName
  /** host:port, without credentials. */
  address: string
  source: Source
  /** Only of a process that this one started. */
  server?: Server
}

export interface FindOptions {
  /** Of what has to be started: data and logs. */
  dir: string
  /** Go on after this process, recorded in `dir`, until `services down`. */
  detached: boolean
  /** A port to use whatever the environment names; 0 for a free one of what has to be started. */
  kafkaPort?: number
  redisPort?: number
  log: Progress
  environment?: Record<string, string | undefined>
}

export interface FoundServices {
  kafkaBrokers: string
  redisUrl: string
  environment: { KAFKA_BROKERS: string; REDIS_URL: string }
  kafka: Found
  redis: Found
  /** Stops what was started here, and nothing else. */
  stop(): Promise<void>
}

/** A server that is just coming up already listens. */
const COMING_UP_MS = 5_000
const ASK_EVERY_MS = 200

/** @throws RefusalError in one line that says what to do */
export async function findServices(options: FindOptions): Promise<FoundServices> {
  const wanted = [kafkaSearch(options), redisSearch(options)] as const
  const found = await Promise.all(wanted.map((search) => lookAround(search, options)))
  const missing = wanted.filter((_, index) => !found[index])
  const started = await startMissing(missing, options).finally(() => options.log.end())
  const [kafka, redis] = wanted.map(
    ({ name }) =>
      found.find((one) => one?.name === name) ?? started.find((one) => one.name === name),
  )
  if (!kafka || !redis) throw new Error('a service is neither found nor started')
  return answerOf(kafka, redis, started, options)
}

export interface Search {
  name: ServiceName
  label: 'Kafka' | 'Redis'
  variable: 'KAFKA_BROKERS' | 'REDIS_URL'
  /** What the environment names, where it does and no port is given. */
  named?: { address: string; answers: () => Promise<boolean> }
  /** Where to look; what is given or the usual one. */
  port: number
  portGiven: boolean
  answersOn: (port: number) => Promise<boolean>
  start: (options: PlaceOptions, log: Progress) => Promise<Server>
}

export function kafkaSearch(options: Pick<FindOptions, 'kafkaPort' | 'environment'>): Search {
  const environment = options.environment ?? process.env
  const config = readConfig(environment)
  const isNamed = Boolean(environment.KAFKA_BROKERS) && !options.kafkaPort
  return {
    name: 'kafka',
    label: 'Kafka',
    variable: 'KAFKA_BROKERS',
    ...(isNamed && {
      named: { address: kafkaAddress(config), answers: () => kafkaAnswers(config) },
    }),
    port: options.kafkaPort || composePorts.kafka,
    portGiven: Boolean(options.kafkaPort),
    answersOn: (port) => kafkaAnswers({ KAFKA_BROKERS: [`127.0.0.1:${port}`] }),
    start: startKafka,
  }
}

export function redisSearch(options: Pick<FindOptions, 'redisPort' | 'environment'>): Search {
  const environment = options.environment ?? process.env
  const config = readConfig(environment)
  const isNamed = Boolean(environment.REDIS_URL) && !options.redisPort
  return {
    name: 'redis',
    label: 'Redis',
    variable: 'REDIS_URL',
    ...(isNamed && {
      named: {
        address: redisAddress(config),
        answers: () => namedRedisAnswers(config),
      },
    }),
    port: options.redisPort || composePorts.redis,
    portGiven: Boolean(options.redisPort),
    answersOn: (port) => redisAnswers(`redis://127.0.0.1:${port}`),
    start: startRedis,
  }
}

async function lookAround(search: Search, options: FindOptions): Promise<Found | undefined> {
  if (search.named) return await useNamed(search, search.named)
  const record = readRecord(options.dir, search.name)
  if (record?.by === 'process' && search.portGiven && record.port !== search.port) {
    throw new RefusalError(
      `${search.label} runs on port ${record.port} with this data (pid ${record.pid}); stop it with "services down", or give another --data`,
    )
  }
  const port = record?.port ?? search.port
  if (!(await isListening(port))) return undefined
  await untilAnswers(search, port)
  return { name: search.name, address: `127.0.0.1:${port}`, source: Source.running }
}

async function useNamed(search: Search, named: NonNullable<Search['named']>): Promise<Found> {
  if (!(await named.answers())) {
    throw new RefusalError(
      `${search.label} at ${named.address} does not answer; start it, or unset ${search.variable} to have one started here`,
    )
  }
  return { name: search.name, address: named.address, source: Source.environment }
}

async function untilAnswers(search: Search, port: number): Promise<void> {
  const deadline = systemClock.elapsed() + COMING_UP_MS
  while (!(await search.answersOn(port))) {
    if (systemClock.elapsed() > deadline) {
      const flag = search.name === 'kafka' ? '--kafka-port' : '--redis-port'
      throw new RefusalError(
        `127.0.0.1:${port} is in use, but no ${search.label} answers there; free it, name yours in ${search.variable}, or give ${flag}`,
      )
    }
    await systemClock.sleep(ASK_EVERY_MS)
  }
}

async function startMissing(missing: Search[], options: FindOptions): Promise<Found[]> {
  if (missing.length === 0) return []
  return (await inContainers(missing, options)) ?? (await asProcesses(missing, options))
}

/** Undefined where containers can't serve: no engine, other ports, or the engine failed. */
async function inContainers(missing: Search[], options: FindOptions): Promise<Found[] | undefined> {
  if (missing.some((search) => search.portGiven) || !(await composeAnswers())) return undefined
  const names = missing.map((search) => search.name)
  try {
    await composeUp(names, options.log)
  } catch (error) {
    options.log.line(`${messageOf(error)}; trying local programs`)
    return undefined
  }
  return missing.map(({ name, port }) => {
    if (options.detached) recordContainer(options.dir, name, port)
    return { name, address: `127.0.0.1:${port}`, source: Source.container }
  })
}

async function asProcesses(missing: Search[], options: FindOptions): Promise<Found[]> {
  const place = { dir: options.dir, detached: options.detached }
  const settled = await Promise.allSettled(
    missing.map(async (search): Promise<Found & { server: Server }> => {
      const given = search.name === 'kafka' ? options.kafkaPort : options.redisPort
      const port = given ?? search.port
      const ports = { kafkaPort: port, redisPort: port }
      const server = await search.start({ ...place, ...ports }, options.log)
      if (options.detached) recordServer(options.dir, search.name, server)
      const address = `127.0.0.1:${server.port}`
      return { name: search.name, address, source: Source.process, server }
    }),
  )
  const started = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failed = settled.find((one) => one.status === 'rejected')
  if (!failed) return started
  // Neither is left behind alone, unless it was to stay anyway.
  if (!options.detached) await Promise.all(started.map(({ server }) => server.stop()))
  throw failed.reason
}

function answerOf(
  kafka: Found,
  redis: Found,
  started: Found[],
  options: FindOptions,
): FoundServices {
  const given = options.environment ?? process.env
  const kafkaBrokers = kafka.address
  const redisUrl =
    redis.source === Source.environment && given.REDIS_URL
      ? given.REDIS_URL
      : `redis://${redis.address}`
  const containers = started.filter((one) => one.source === Source.container)
  const servers = started.flatMap((one) => (one.server ? [one.server] : []))
  const stopServers = options.detached ? stopEach(servers) : stopWithUs(servers, () => undefined)
  return {
    kafkaBrokers,
    redisUrl,
    environment: { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl },
    kafka,
    redis,
    async stop() {
      await stopServers()
      const names = containers.map((one) => one.name)
      if (names.length > 0) await composeStop(names, options.log)
    },
  }
}

function stopEach(servers: Server[]): () => Promise<void> {
  return async () => {
    await Promise.all(servers.map((server) => server.stop()))
  }
}
