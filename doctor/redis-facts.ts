/**
 * Asks a Redis what `redis.ts` judges. Reads only, but for our library of functions, which is loaded
 * where it is missing, as every actor does.
 */
import type { Redis } from 'ioredis'
import { systemClock } from '../actors/clock.ts'
import { type Config, redisAddress } from '../actors/config.ts'
import { messageOf } from '../actors/errors.ts'
import type { Keys } from '../actors/keys.ts'
import { openStore, type Store } from '../actors/redis.ts'
import { parseRedisUrl } from '../actors/redis-address.ts'
import { causeOf, masterOf, masters, nodeAddress } from '../actors/redis-connection.ts'
import { away as isAway, fatal, type Finding } from './finding.ts'
import type { Info, RedisFacts } from './redis.ts'

const connectMs = 2_000
/** Where nobody listens, one more try tells as much as twenty. */
const nobodyMs = 200
const pings = 5
/** Asking again would change nothing. */
const refusing = /^(NOAUTH|WRONGPASS|NOPERM)\b|cluster support disabled/
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const asked = [
  'appendfsync',
  'auto-aof-rewrite-min-size',
  'timeout',
  'client-output-buffer-limit',
  'maxclients',
  'maxmemory-policy',
  'min-replicas-to-write',
]

/** A connection that answers, or what keeps it from that. The caller closes what it gets. */
export async function reachRedis(config: Config): Promise<Store | Finding> {
  const store = openStore(config, silent)
  let last = ''
  store.redis.on('error', (error: Error) => (last = messageOf(causeOf(error))))
  const started = systemClock.elapsed()
  for (;;) {
    try {
      await store.redis.ping()
      return store
    } catch (error) {
      const text = messageOf(error)
      const refusal = [text, last].find((one) => refusing.test(one))
      // LOADING and its like are answers: INFO says more about them.
      if (!refusal && /^(LOADING|MASTERDOWN|MISCONF)\b/.test(text)) return store
      const nobody = /ECONNREFUSED|ENOTFOUND/.test(last)
      const late = systemClock.elapsed() - started > (nobody ? nobodyMs : connectMs)
      if (refusal || late) {
        await store.close()
        return unreachable(redisAddress(config), refusal, last || text)
      }
      await systemClock.sleep(20)
    }
  }
}

function unreachable(address: string, refusal: string | undefined, error: string): Finding {
  const what = 'Redis'
  if (refusal?.includes('cluster')) {
    const found = `Redis at ${address} is no cluster: ${refusal}`
    return fatal(what, found, 'set REDIS_URL to redis://host:port, one server')
  }
  if (refusal) {
    const found = `Redis at ${address} refuses us: ${refusal}`
    return fatal(what, found, 'put user and password into REDIS_URL (redis://user:password@host)')
  }
  const found = `Redis at ${address} does not answer: ${error}`
  return isAway(what, found, 'start it (bun run services up) or set REDIS_URL')
}

/** A server that takes writes, and what INFO tells of it; {} where it is not allowed. */
export interface Told {
  address: string
  info: Info
  server: Redis
}

/** The one, or the masters of a cluster that answer. Rejects while none does. */
export async function readInfos(store: Store, config: Config): Promise<Told[]> {
  const servers = masters(store.redis)
  const kind = parseRedisUrl(config.REDIS_URL)?.kind
  if (kind !== 'cluster') {
    const [server] = servers
    return [{ address: redisAddress(config), info: await readInfo(server!), server: server! }]
  }
  if (servers.length === 0) throw new Error("the cluster isn't ready: no master is known")
  const answers = await Promise.allSettled(servers.map(readInfo))
  const told = servers.flatMap((server, i) => {
    const answer = answers[i]!
    // One that was made a replica a moment ago is none of them any more.
    if (answer.status === 'rejected' || answer.value.role === 'slave') return []
    return [{ address: nodeAddress(server), info: answer.value, server }]
  })
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (told.length === 0) throw failed?.reason ?? new Error("the cluster isn't ready: no master")
  return told
}

async function readInfo(server: Pick<Redis, 'info'>): Promise<Info> {
  const text = await server.info().catch((error: unknown) => {
    if (messageOf(error).startsWith('NOPERM')) return ''
    throw error
  })
  return Object.fromEntries([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, k, v]) => [k, v]))
}

/** Everything that `judgeRedis` looks at. Rejects where the connection breaks meanwhile. */
export async function readRedis(
  store: Store,
  keys: Keys | null,
  config: Config,
  executorsMax: number,
): Promise<RedisFacts> {
  const base = keys?.base ?? 'millrace:{doctor/0}'
  const told = await readInfos(store, config)
  const server = await masterOf(store.redis, base)
  const ours = told.find((one) => one.server === server) ?? told[0]!
  const settings = await readSettings(ours.server)
  const { pingMs, skewMs } = await readClock(ours.server)
  const failure = (work: Promise<unknown>) => work.then(() => null, messageOf)
  const reading = await failure(store.call('measure', base, []))
  // Gives back a lease that nobody has: changes nothing, and is refused where writing is.
  const writing = await failure(store.call('resign', base, ['doctor', 'doctor']))
  const shards = told.map(({ address }) => ({ address, shards: [] as number[] }))
  let waitingBytes = 0
  const away: RedisFacts['away'] = []
  for (const shard of keys?.shards ?? []) {
    const error = await failure(store.redis.exists(shard.ledger))
    if (error !== null) {
      away.push({ shard: shard.shard, error })
      continue
    }
    const serving = await masterOf(store.redis, shard.base)
    shards[told.findIndex((one) => one.server === serving)]?.shards.push(shard.shard)
    if (serving !== ours.server) continue
    const waiting = await store.redis.hget(shard.totals, 'waitingBytes').catch(() => '0')
    waitingBytes += Number(waiting ?? 0)
  }
  return {
    kind: parseRedisUrl(config.REDIS_URL)?.kind ?? 'server',
    address: ours.address,
    info: ours.info,
    others: told.filter((one) => one !== ours),
    settings,
    pingMs,
    skewMs,
    reading,
    writing,
    waitingBytes,
    shards,
    away,
    executorsMax,
  }
}

async function readSettings(server: Redis): Promise<Record<string, string> | null> {
  try {
    const flat = (await server.call('CONFIG', 'GET', ...asked)) as string[]
    return Object.fromEntries(flat.flatMap((name, i) => (i % 2 ? [] : [[name, flat[i + 1] ?? '']])))
  } catch {
    return null
  }
}

/** The quickest of a few TIMEs says most about the clock; the median of their trips is the link. */
async function readClock(server: Redis): Promise<{ pingMs: number; skewMs: number }> {
  const trips: { ms: number; skewMs: number }[] = []
  for (let i = 0; i < pings; i++) {
    const before = Date.now()
    const started = systemClock.elapsed()
    const [seconds, micros] = (await server.call('TIME')) as [string, string]
    const ms = systemClock.elapsed() - started
    trips.push({ ms, skewMs: Number(seconds) * 1_000 + Number(micros) / 1_000 - before - ms / 2 })
  }
  trips.sort((a, b) => a.ms - b.ms)
  return { pingMs: trips[Math.floor(pings / 2)]!.ms, skewMs: trips[0]!.skewMs }
}
