/**
 * A sink that appends closed windows to a Redis stream, and its position with them in one script that
 * compares the position first: each row is there once, and of two processes at once one is refused.
 *
 *   entry: `start`, `end` (ISO 8601), `part`, `parts`, `rows` (a JSON array of rows), and `state`,
 *          `revision`, `final` where windows are told more than once
 *
 * A window of many rows takes several entries, each by a call of its own, so that none holds the server
 * for long; meanwhile the position says how many of them are there. A window that comes again because
 * the job's Redis was taken back in time is appended again.
 */
import { readFileSync } from 'node:fs'
import { type Cluster, Redis, ReplyError } from 'ioredis'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { UsageError } from '../errors.ts'
import { JobError } from '../job.ts'
import { addressText, parseRedisUrl, type RedisAddress, redisUrlForms } from '../redis-address.ts'
import { causeOf, connectRedis, type RedisConfig } from '../redis-connection.ts'
import { chunked, rowJson, toldWindow } from './rows.ts'
import {
  type Batch,
  type ClosedWindow,
  declared,
  type Environment,
  fromEnvironment,
  type Sink,
  SinkFenced,
  type SinkOptions,
  variableName,
} from './sink.ts'

export interface RedisOptions extends SinkOptions {
  /** The variable of the environment that has redis://:password@host:port, or what else REDIS_URL may be. */
  urlFrom: string
  /** The stream's key. Its position is beside it, in `{<key>}:position`. */
  key: string
  /** Entries that the stream keeps, about; 100,000 by default. */
  keep?: number
}

const ROWS_PER_ENTRY = 500
const ANSWER_MS = 5_000
const ASK_EVERY_MS = 50

/** KEYS: stream, position. ARGV: position expected, position now, entries kept, fields and values. */
const script = `
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
if #ARGV > 3 then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
end
redis.call('SET', KEYS[2], ARGV[2])
return 1`

/** KEYS as above. ARGV: position expected, position now, how many of the newest entries go. */
const undoing = `
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[3])) do
  redis.call('XDEL', KEYS[1], entry[1])
end
redis.call('SET', KEYS[2], ARGV[2])
return 1`

export function redisStream(options: RedisOptions): Sink {
  const base = declared('redis', options)
  const variable = variableName(base.name, 'urlFrom', options.urlFrom)
  const { key, keep = 100_000 } = options
  if (typeof key !== 'string' || key === '' || key.startsWith('millrace:')) {
    throw new JobError(`sink ${base.name}: key must be a name that does not begin with millrace:`)
  }
  if (!Number.isInteger(keep) || keep < 1) {
    throw new JobError(`sink ${base.name}: keep must be a whole number of entries from 1`)
  }
  // The hash tag, so that both are in one slot of a cluster.
  const keys = [key, /\{.+\}/.test(key) ? `${key}:position` : `{${key}}:position`] as const
  return {
    ...base,
    address(_, environment) {
      const { address } = targetOf(base.name, variable, environment)
      return `${addressText(address)}, stream ${key}`
    },
    async open({ environment }) {
      const redis = await connected(targetOf(base.name, variable, environment))
      const stream: Stream = { redis, keys, keep, stored: (await redis.get(keys[1])) ?? '' }
      return {
        position: () => Promise.resolve(partly(stream.stored).position),
        write: (batch) => append(stream, batch),
        close() {
          redis.disconnect()
          return Promise.resolve()
        },
      }
    },
  }
}

interface Stream {
  redis: Pick<Redis | Cluster, 'eval' | 'xrevrange'>
  keys: readonly [stream: string, position: string]
  keep: number
  /** The position as we know it: the script alone says whether it is so still. */
  stored: string
}

async function append(stream: Stream, batch: Batch): Promise<void> {
  const before = partly(stream.stored)
  if (before.position !== batch.expected) throw new SinkFenced('the position has moved')
  const [first] = batch.windows
  if (before.parts > 0 && first && !(await isBegun(stream, first, before.parts))) {
    await undo(stream, before)
  }
  let { position, parts } = partly(stream.stored)
  for (const window of batch.windows) {
    const entries = entriesOf(window)
    for (const [place, fields] of entries.entries()) {
      // There already, from a process that was killed in the middle of the window.
      if (place < parts) continue
      const last = place === entries.length - 1
      const to = last ? window.position : `${position ?? ''}+${place + 1}`
      await move(stream, to, fields)
    }
    position = window.position
    parts = 0
  }
  if (stream.stored !== batch.position) await move(stream, batch.position, [])
}

/**
 * Whether the newest entries are the first ones of this window: another version of the job may have begun
 * it, with other rows or other bounds.
 */
async function isBegun({ redis, keys }: Stream, window: ClosedWindow, parts: number) {
  const newest = await redis.xrevrange(keys[0], '+', '-', 'COUNT', parts)
  const found = newest.reverse().map(([, fields]) => fields)
  return Bun.deepEquals(found, entriesOf(window).slice(0, parts))
}

/** The entries of a window that was begun go again: it comes in another form. */
async function undo(stream: Stream, { position, parts }: ReturnType<typeof partly>): Promise<void> {
  const { redis, keys, stored } = stream
  const undone = await redis.eval(undoing, 2, ...keys, stored, position ?? '', parts)
  if (undone !== 1) throw new SinkFenced('the position has moved')
  stream.stored = position ?? ''
}

async function move(stream: Stream, to: string, fields: string[]): Promise<void> {
  const { redis, keys, keep, stored } = stream
  const moved = await redis.eval(script, 2, ...keys, stored, to, keep, ...fields)
  if (moved !== 1) throw new SinkFenced('the position has moved')
  stream.stored = to
}

function entriesOf(window: ClosedWindow): string[][] {
  const chunks = chunked(window.rows, ROWS_PER_ENTRY)
  return chunks.map((rows, place) => fieldsOf(window, { rows, place, of: chunks.length }))
}

function fieldsOf(
  window: ClosedWindow,
  part: { rows: ClosedWindow['rows']; place: number; of: number },
): string[] {
  const rows = `[${part.rows.map((row) => rowJson(window, row)).join(',')}]`
  const span = Object.entries(toldWindow(window)).flatMap(([name, value]) => [name, String(value)])
  return [...span, 'part', String(part.place + 1), 'parts', String(part.of), 'rows', rows]
}

/** `<position>+<n>`: behind the position, n entries of the next window are there. */
function partly(stored: string | null): { position: string | null; parts: number } {
  const [position = '', parts = '0'] = (stored ?? '').split('+')
  return { position: position === '' ? null : position, parts: Number(parts) }
}

interface Target {
  address: RedisAddress
  config: RedisConfig
}

/** Nothing is sent twice behind our back; whoever fails opens anew. */
function connected(target: Target): Promise<Redis | Cluster> {
  const { address } = target
  return address.kind === 'server' ? connectedServer(address.url, target.config) : ready(target)
}

async function connectedServer(url: string, { REDIS_CA: ca }: RedisConfig): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    protocol: 2,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    connectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
    retryStrategy: () => null,
    ...(ca !== undefined && { tls: { ca: readFileSync(ca) } }),
  })
  let refused: Error | null = null
  redis.on('error', (error: Error) => (refused = error))
  try {
    await redis.connect()
  } catch (error) {
    redis.disconnect()
    throw error instanceof ReplyError ? error : (refused ?? error)
  }
  return redis
}

/** Of a cluster, or behind Sentinels: it answers, or is given up with the reason. */
async function ready({ config }: Target): Promise<Redis | Cluster> {
  const redis = connectRedis(config, {
    connectMs: ANSWER_MS,
    commandMs: ANSWER_MS,
    silenceMs: ANSWER_MS,
  })
  let refused: unknown = null
  redis.on('error', (error: Error) => (refused = causeOf(error)))
  const deadline = systemClock.elapsed() + ANSWER_MS
  for (;;) {
    try {
      await redis.ping()
      return redis
    } catch (error) {
      if (systemClock.elapsed() > deadline) {
        redis.disconnect()
        throw refused ?? error
      }
      await systemClock.sleep(ASK_EVERY_MS)
    }
  }
}

/** What is said of certificates beside REDIS_URL is said of REDIS_URL alone. */
function targetOf(sink: string, variable: string, environment: Environment): Target {
  const url = fromEnvironment(sink, variable, environment, redisUrlForms)
  const address = parseRedisUrl(url)
  if (!address) throw new UsageError(`sink ${sink}: ${variable} must be ${redisUrlForms}`)
  const config = variable === 'REDIS_URL' ? readConfig(environment) : { REDIS_URL: url }
  return { address, config }
}
