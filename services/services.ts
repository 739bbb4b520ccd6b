/**
 * Private instances of Kafka and Redis, for tests, the demonstration and benchmarks: on free ports,
 * with data in a directory of their own, gone when the process that started them is gone.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { kafkaJars } from './jars.ts'
import { findJava } from './java.ts'
import { createKafka, type ProxiedListener } from './kafka.ts'
import { freePort } from './ports.ts'
import { type Progress, silent } from '../cli/progress.ts'
import { createRedis, findRedis } from './redis.ts'
import type { Server } from './server.ts'
import { stopWithUs } from './together.ts'

export interface StartOptions {
  /** Data and logs; without it a temporary directory that goes when the services stop. */
  dir?: string
  /** 0 or absent: a free one. */
  kafkaPort?: number
  redisPort?: number
  kafkaSettings?: Record<string, string>
  kafkaProxied?: ProxiedListener
  redisSettings?: Record<string, string>
  /** Redis is named by its socket, not by its port. */
  redisSocket?: boolean
  log?: Progress
}

export interface Services {
  kafkaBrokers: string
  redisUrl: string
  /** Both addresses as the environment of a child process. */
  environment: { KAFKA_BROKERS: string; REDIS_URL: string }
  dir: string
  kafka: Server
  redis: Server
  /** Stops both; harmless when called again. */
  stop(): Promise<void>
}

/** Resolves when both answer. @throws RefusalError in one line; what was started is stopped then */
export async function startServices(options: StartOptions = {}): Promise<Services> {
  const log = options.log ?? silent
  const dir = options.dir ? resolve(options.dir) : mkdtempSync(join(tmpdir(), 'millrace-'))
  const socket = options.redisSocket ? join(dir, 'redis.sock') : null
  const redisSettings = { ...options.redisSettings, ...(socket && { unixsocket: socket }) }
  const [kafka, redis] = await Promise.allSettled([
    startKafka({ ...options, dir, detached: false }, log),
    startRedis({ ...options, redisSettings, dir, detached: false }, log),
  ])
  log.end()
  const started = [kafka, redis].flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const stop = stopWithUs(started, () => {
    if (!options.dir) rmSync(dir, { recursive: true, force: true })
  })
  if (kafka.status === 'rejected' || redis.status === 'rejected') {
    await stop()
    throw kafka.status === 'rejected' ? kafka.reason : redis.status === 'rejected' && redis.reason
  }
  const kafkaBrokers = `127.0.0.1:${kafka.value.port}`
  const redisUrl = socket ? `unix://${socket}` : `redis://127.0.0.1:${redis.value.port}`
  return {
    kafkaBrokers,
    redisUrl,
    environment: { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl },
    dir,
    kafka: kafka.value,
    redis: redis.value,
    stop,
  }
}

export type PlaceOptions = Pick<
  StartOptions,
  'kafkaPort' | 'redisPort' | 'kafkaSettings' | 'kafkaProxied' | 'redisSettings'
> & { dir: string; detached: boolean }

/** A Kafka that answers, its data under `dir`/kafka. */
export async function startKafka(options: PlaceOptions, log: Progress): Promise<Server> {
  const java = await findJava(log)
  const jars = await kafkaJars(log)
  const dir = made(join(options.dir, 'kafka'))
  const kafka = await createKafka({
    java,
    jars,
    dir,
    port: options.kafkaPort || (await freePort()),
    controllerPort: await freePort(),
    detached: options.detached,
    ...(options.kafkaProxied ? { proxied: options.kafkaProxied } : {}),
    ...(options.kafkaSettings ? { settings: options.kafkaSettings } : {}),
  })
  log.step(`Kafka: starting on 127.0.0.1:${kafka.port}`)
  await kafka.start()
  return kafka
}

/** A Redis that answers, its data under `dir`/redis. */
export async function startRedis(options: PlaceOptions, log: Progress): Promise<Server> {
  const redis = createRedis({
    program: await findRedis(log),
    dir: made(join(options.dir, 'redis')),
    port: options.redisPort || (await freePort()),
    detached: options.detached,
    ...(options.redisSettings ? { settings: options.redisSettings } : {}),
  })
  log.step(`Redis: starting on 127.0.0.1:${redis.port}`)
  await redis.start()
  return redis
}

function made(dir: string): string {
  mkdirSync(dir, { recursive: true })
  return dir
}
