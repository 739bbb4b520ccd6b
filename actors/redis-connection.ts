/**
 * Opens what REDIS_URL names with ioredis, so that a server by itself, a cluster and a master behind
 * Sentinels look the same to whoever calls: nothing is ever resent whose outcome is not known, and a
 * connection that broke is made again without end.
 *
 * A cluster's client follows MOVED and ASK by itself, which resends only what was refused. It has no
 * connection to a node before something is sent there, and none to its replicas.
 */
import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { Cluster, Redis, type RedisCommander, type RedisOptions } from 'ioredis'
import { backoffDelayMs } from './backoff.ts'
import { systemClock } from './clock.ts'
import { bounds, type Config } from './config.ts'
import { parseRedisUrl, type RedisAddress } from './redis-address.ts'

/** What may be asked of either; a cluster sends a command to who holds the slot of its first key. */
export type RedisCommands = RedisCommander &
  Pick<Redis, 'multi' | 'pipeline'> &
  Pick<EventEmitter, 'on' | 'off'>

export interface Timeouts {
  connectMs: number
  /** Of a reply, after which a command's outcome is unknown. */
  commandMs: number
  /** How long a connection may bring nothing while a reply is due. */
  silenceMs: number
}

export type RedisConfig = Pick<
  Config,
  | 'REDIS_URL'
  | 'REDIS_CA'
  | 'REDIS_CERT'
  | 'REDIS_KEY'
  | 'REDIS_SENTINEL_USERNAME'
  | 'REDIS_SENTINEL_PASSWORD'
>

/** Opens it and returns at once; what is sent while nothing is connected is rejected. */
export function connectRedis(config: RedisConfig, timeouts: Timeouts): Redis | Cluster {
  const address = parseRedisUrl(config.REDIS_URL)
  if (!address) throw new Error('REDIS_URL was not checked')
  const options = { ...commonOptions(timeouts), ...tlsOptions(config, address) }
  const connection =
    address.kind === 'cluster'
      ? clusterOf(address, options)
      : address.kind === 'sentinel'
        ? sentinelOf(config, address, options)
        : new Redis(address.url, { ...options, ...atOnce, retryStrategy })
  connection.connect().catch(() => {
    // Said by the listener of 'error'; the retry strategy goes on.
  })
  return connection
}

/** Who takes writes: the server, or the masters of a cluster as they are known now. */
export function masters(connection: unknown): Redis[] {
  if (connection instanceof Cluster) return connection.nodes('master')
  return [connection as Redis]
}

/** The server that holds a key's slot, as far as is known. */
export async function masterOf(connection: unknown, key: string): Promise<Redis> {
  if (!(connection instanceof Cluster)) return connection as Redis
  const slot = await connection.cluster('KEYSLOT', key)
  const nodes = connection.nodes('master')
  const holder = nodes.find((node) => nodeAddress(node) === connection.slots[slot]?.[0])
  const found = holder ?? nodes[0]
  if (!found) throw new Error(notReady)
  return found
}

/** Of one of a cluster's nodes. */
export const nodeAddress = ({ options }: Redis): string =>
  `${options.host ?? '127.0.0.1'}:${options.port ?? 6379}`

/** What a cluster's client failed with at the last of its nodes says more than that it failed. */
export function causeOf(error: unknown): unknown {
  const { lastNodeError } = error as { lastNodeError?: unknown }
  return lastNodeError ?? error
}

const retryStrategy = (attempt: number): number =>
  Math.round(
    backoffDelayMs({ baseMs: 50, capMs: bounds.redisRetryCapMs }, attempt, systemClock.random()),
  )

/** What comes while there is no connection is rejected. */
const atOnce = { lazyConnect: true, enableOfflineQueue: false }

const commonOptions = (timeouts: Timeouts) =>
  ({
    protocol: 2,
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    connectTimeout: timeouts.connectMs,
    // A command that is given up leaves its connection open, which may be dead for ever.
    socketTimeout: timeouts.silenceMs,
    commandTimeout: timeouts.commandMs,
  }) satisfies RedisOptions

function tlsOptions(config: RedisConfig, { tls }: RedisAddress): Pick<RedisOptions, 'tls'> {
  if (!tls) return {}
  const { REDIS_CA: ca, REDIS_CERT: cert, REDIS_KEY: key } = config
  const files = Object.entries({ ca, cert, key }).filter(([, path]) => path !== undefined)
  return { tls: Object.fromEntries(files.map(([name, path]) => [name, readFileSync(path!)])) }
}

/**
 * A redirection is followed at once, and at most so often: between two nodes that each say the other
 * has it, as for a moment in a failover, more would only turn in a circle.
 */
const redirectionsMax = 5
/** A slot on its way takes no call of several keys; waiting is the caller's, who knows for how long. */
const slotWaitMs = 50

/**
 * Without its queue ioredis would refuse what comes while it connects to a node, as after each MOVED to a
 * new one, and what was sent together would arrive in part. With it, it would keep for ever what comes
 * while no node is known at all.
 */
class PatientCluster extends Cluster {
  override sendCommand(...args: Parameters<Cluster['sendCommand']>): unknown {
    const [command] = args
    if (this.status === 'ready' || command.name === 'cluster') return super.sendCommand(...args)
    command.reject(new Error(notReady))
    return command.promise
  }
}

const notReady = "the cluster isn't ready: no node of it answers and says that it is"

function clusterOf(
  { hosts, login }: Extract<RedisAddress, { kind: 'cluster' }>,
  node: ReturnType<typeof commonOptions>,
): Cluster {
  const cluster = new PatientCluster(hosts, {
    lazyConnect: true,
    redisOptions: { ...node, ...login },
    clusterRetryStrategy: retryStrategy,
    maxRedirections: redirectionsMax,
    retryDelayOnTryAgain: slotWaitMs,
    // A connection that broke leaves the outcome unknown: ioredis would send the command again.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: node.connectTimeout,
    // Certificates are made out to the names that were given.
    dnsLookup: (name, callback) => callback(null, name),
  })
  cluster.on('+node', heedAsking)
  return cluster
}

/** ioredis sends ASKING in front of a command and listens to the command's reply alone. */
function heedAsking(node: Redis): void {
  const asking: Redis['asking'] = node.asking.bind(node)
  node.asking = () => {
    const asked = asking()
    asked.catch(() => {})
    return asked
  }
}

function sentinelOf(
  config: RedisConfig,
  { hosts, login, master, tls }: Extract<RedisAddress, { kind: 'sentinel' }>,
  options: ReturnType<typeof commonOptions> & Pick<RedisOptions, 'tls'>,
): Redis {
  const { REDIS_SENTINEL_USERNAME: username, REDIS_SENTINEL_PASSWORD: password } = config
  return new Redis({
    ...options,
    ...atOnce,
    ...login,
    sentinels: hosts,
    name: master,
    retryStrategy,
    sentinelRetryStrategy: retryStrategy,
    sentinelCommandTimeout: options.connectTimeout,
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password !== undefined && { sentinelPassword: password }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: options.tls ?? {} }),
    // A master that was made a replica under us: the Sentinels know the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  })
}
