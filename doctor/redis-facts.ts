/**
 * Asks a Redis what `redis.ts` judges. Reads only, but for our library of functions, which is loaded
 * where it is missing, as every actor does.
 */
import { systemClock } from '../actors/clock.ts'
import { type Config, redisAddress } from '../actors/config.ts'
import { messageOf } from '../actors/errors.ts'
import type { Keys } from '../actors/keys.ts'
import { openStore, type Store } from '../actors/redis.ts'
import { away, fatal, type Finding } from './finding.ts'
import type { Info, RedisFacts } from './redis.ts'

const connectMs = 2_000
/** Where nobody listens, one more try tells as much as twenty. */
const nobodyMs = 200
const pings = 5
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const asked = [
  'appendfsync',
  'auto-aof-rewrite-min-size',
  'timeout',
  'client-output-buffer-limit',
  'maxclients',
  'maxmemory-policy',
]

/** A connection that answers, or what keeps it from that. The caller closes what it gets. */
export async function reachRedis(config: Config): Promise<Store | Finding> {
  const store = openStore(config, silent)
  let last = ''
  store.redis.on('error', (error: Error) => (last = messageOf(error)))
  const started = systemClock.elapsed()
  for (;;) {
    try {
      await store.redis.ping()
      return store
    } catch (error) {
      const text = messageOf(error)
      const refusal = [text, last].find((one) => /^(NOAUTH|WRONGPASS|NOPERM)\b/.test(one))
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
  if (refusal) {
    const found = `Redis at ${address} refuses us: ${refusal}`
    return fatal(what, found, 'put user and password into REDIS_URL (redis://user:password@host)')
  }
  const found = `Redis at ${address} does not answer: ${error}`
  return away(what, found, 'start it (bun run services up) or set REDIS_URL')
}

/** The fields of INFO; {} where it is not allowed. Rejects while Redis is away. */
export async function readInfo(store: Store): Promise<Info> {
  const text = await store.redis.info().catch((error: unknown) => {
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
  const info = await readInfo(store)
  const settings = await readSettings(store)
  const { pingMs, skewMs } = await readClock(store)
  const failure = (work: Promise<unknown>) => work.then(() => null, messageOf)
  const reading = await failure(store.call('measure', base, []))
  // Gives back a lease that nobody has: changes nothing, and is refused where writing is.
  const writing = await failure(store.call('resign', base, ['doctor', 'doctor']))
  const waiting = keys ? await store.redis.hget(keys.totals, 'waitingBytes').catch(() => '0') : '0'
  return {
    address: redisAddress(config),
    info,
    settings,
    pingMs,
    skewMs,
    reading,
    writing,
    waitingBytes: Number(waiting ?? 0),
    executorsMax,
  }
}

async function readSettings(store: Store): Promise<Record<string, string> | null> {
  try {
    const flat = (await store.redis.call('CONFIG', 'GET', ...asked)) as string[]
    return Object.fromEntries(flat.flatMap((name, i) => (i % 2 ? [] : [[name, flat[i + 1] ?? '']])))
  } catch {
    return null
  }
}

/** The quickest of a few TIMEs says most about the clock; the median of their trips is the link. */
async function readClock(store: Store): Promise<{ pingMs: number; skewMs: number }> {
  const trips: { ms: number; skewMs: number }[] = []
  for (let i = 0; i < pings; i++) {
    const before = Date.now()
    const started = systemClock.elapsed()
    const [seconds, micros] = (await store.redis.call('TIME')) as [string, string]
    const ms = systemClock.elapsed() - started
    trips.push({ ms, skewMs: Number(seconds) * 1_000 + Number(micros) / 1_000 - before - ms / 2 })
  }
  trips.sort((a, b) => a.ms - b.ms)
  return { pingMs: trips[Math.floor(pings / 2)]!.ms, skewMs: trips[0]!.skewMs }
}
