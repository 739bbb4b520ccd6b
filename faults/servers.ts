/**
 * Servers of a world's own, and the ways to them: straight, or through proxies that a fault disturbs.
 *
 *   pipeline ──► proxies.redis ──► Redis ◄── proxies.aside ◄── we ourselves
 *   pipeline ──► proxies.kafka ──► Kafka ◄─────────────────── we ourselves
 */
import { freePort } from '../services/ports.ts'
import type { Server } from '../services/server.ts'
import { type Services, startServices } from '../services/services.ts'
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

export async function startOwn(setting: Setting): Promise<OwnServers> {
  const { redisSettings = {}, kafkaSettings = {} } = setting
  const settings = { redisSettings, kafkaSettings }
  if (setting.servers !== 'proxied') {
    const services = await startServices(settings)
    return ended({ services, proxies: null, addresses: services, direct: services, beside: [] })
  }
  const behind = await freePort()
  const kafka = new Proxy({ target: behind, port: await freePort() })
  const kafkaProxied = { port: behind, proxyPort: kafka.port }
  const services = await startServices({ ...settings, kafkaProxied })
  const toRedis = async () => new Proxy({ target: services.redis.port, port: await freePort() })
  const proxies = { redis: await toRedis(), kafka, aside: await toRedis() }
  return ended({
    services,
    proxies,
    addresses: addressesOf(kafka.port, proxies.redis.port),
    direct: addressesOf(services.kafka.port, proxies.aside.port),
    beside: [],
  })
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

function addressesOf(kafkaPort: number, redisPort: number): Addresses {
  const kafkaBrokers = `127.0.0.1:${kafkaPort}`
  const redisUrl = `redis://127.0.0.1:${redisPort}`
  return {
    kafkaBrokers,
    redisUrl,
    environment: { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl },
  }
}
