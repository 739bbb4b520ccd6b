/**
 * Servers of a world's own, and the ways to them: straight, or through proxies that a fault disturbs.
 *
 *   pipeline ──► proxies.redis ──► Redis ◄── proxies.aside ◄── we ourselves
 *   pipeline ──► proxies.kafka ──► Kafka ◄─────────────────── we ourselves
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silent } from '../cli/progress.ts'
import { freePort } from '../services/ports.ts'
import type { Server } from '../services/server.ts'
import {
  type Services,
  type StartOptions,
  startRedis,
  startServices,
} from '../services/services.ts'
import { stopWithUs } from '../services/together.ts'
import type { Setting } from './fault.ts'
import type { Addresses } from './pipeline.ts'
import { Proxy } from './proxy.ts'

export interface Proxies {
  redis: Proxy
  kafka: Proxy
  /** Our own way to Redis: undisturbed, but it follows to another server as the pipeline's does. */
  aside: Proxy
}

export interface OwnServers {
  services: Services
  proxies: Proxies | null
  /** What the pipeline is told. */
  addresses: Addresses
  /** What we ourselves use. */
  direct: Addresses
  /** What a fault starts besides; ends with the others. */
  beside: Pick<Server, 'stop'>[]
  stop(): Promise<void>
}

type Shared = () => Promise<Addresses>

export async function startOwn(setting: Setting, shared: Shared): Promise<OwnServers> {
  if (setting.servers === 'proxied') return startProxied(setting, shared)
  const services = await start(setting, shared)
  return ended({ services, proxies: null, addresses: services, direct: services, beside: [] })
}

async function startProxied(setting: Setting, shared: Shared): Promise<OwnServers> {
  const behind = await freePort()
  const kafka = new Proxy({ target: behind, port: await freePort() })
  const kafkaProxied = { port: behind, proxyPort: kafka.port }
  const services = await start({ ...setting, kafkaProxied }, shared)
  const toRedis = async () => new Proxy({ target: services.redis.port, port: await freePort() })
  const proxies = { redis: await toRedis(), kafka, aside: await toRedis() }
  const direct = services.kafkaBrokers
  const led = setting.sharesKafka ? direct : `127.0.0.1:${kafka.port}`
  return ended({
    services,
    proxies,
    addresses: addressesOf(led, proxies.redis.port),
    direct: addressesOf(direct, proxies.aside.port),
    beside: [],
  })
}

async function start(
  setting: Setting & Pick<StartOptions, 'kafkaProxied'>,
  shared: Shared,
): Promise<Services> {
  const { redisSettings = {}, kafkaSettings = {}, kafkaProxied, sharesKafka } = setting
  if (!sharesKafka) {
    return startServices({
      redisSettings,
      kafkaSettings,
      ...(kafkaProxied ? { kafkaProxied } : {}),
    })
  }
  const { kafkaBrokers } = await shared()
  const dir = mkdtempSync(join(tmpdir(), 'millrace-'))
  const redis = await startRedis({ dir, detached: false, redisSettings }, silent)
  const stop = stopWithUs([redis], () => rmSync(dir, { recursive: true, force: true }))
  return { ...addressesOf(kafkaBrokers, redis.port), dir, kafka: othersKafka, redis, stop }
}

const refuse = () => Promise.reject(new Error('this fault shares its Kafka with others'))

const othersKafka: Server = {
  name: 'Kafka',
  port: 0,
  logFile: '',
  pid: 0,
  running: true,
  start: refuse,
  stop: refuse,
}

function ended(servers: Omit<OwnServers, 'stop'>): OwnServers {
  return {
    ...servers,
    async stop() {
      for (const proxy of Object.values(servers.proxies ?? {})) proxy.stop()
      await Promise.all(servers.beside.map((one) => one.stop()))
      await servers.services.stop()
    },
  }
}

function addressesOf(kafkaBrokers: string, redisPort: number): Addresses {
  const redisUrl = `redis://127.0.0.1:${redisPort}`
  return {
    kafkaBrokers,
    redisUrl,
    environment: { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl },
  }
}
