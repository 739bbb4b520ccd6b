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
import { Redis, ReplyError } from 'ioredis'
import { UsageError } from '../errors.ts'
import { JobError } from '../job.ts'
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
  /** The variable of the environment that has redis://:password@host:port. */
  urlFrom: string
  /** The stream's key. Its position is beside it, in `{<key>}:position`. */
  key: string
  /** Entries that the stream keeps, about; 100,000 by default. */
  keep?: number
}

const ROWS_PER_ENTRY = 500
const ANSWER_MS = 5_000

/** KEYS: stream, position. ARGV: position expected, position now, entries kept, fields and values. */
const script = `
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
if #ARGV > 3 then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
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
      const url = urlOf(base.name, variable, environment)
      return `${url.hostname}:${url.port || '6379'}, stream ${key}`
    },
    async open({ environment }) {
      const redis = await connected(urlOf(base.name, variable, environment).href)
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
  redis: Redis
  keys: readonly [stream: string, position: string]
  keep: number
  /** The position as we know it: the script alone says whether it is so still. */
  stored: string
}

async function append(stream: Stream, batch: Batch): Promise<void> {
  const before = partly(stream.stored)
  if (before.position !== batch.expected) throw new SinkFenced('the position has moved')
  let { position, parts } = before
  for (const window of batch.windows) {
    const chunks = chunked(window.rows, ROWS_PER_ENTRY)
    for (const [place, rows] of chunks.entries()) {
      // There already, from a process that was killed in the middle of the window.
      if (place < parts) continue
      const last = place === chunks.length - 1
      const to = last ? window.position : `${position ?? ''}+${place + 1}`
      await move(stream, to, fieldsOf(window, { rows, place, of: chunks.length }))
    }
    position = window.position
    parts = 0
  }
  if (stream.stored !== batch.position) await move(stream, batch.position, [])
}

async function move(stream: Stream, to: string, fields: string[]): Promise<void> {
  const { redis, keys, keep, stored } = stream
  const moved = await redis.eval(script, 2, ...keys, stored, to, keep, ...fields)
  if (moved !== 1) throw new SinkFenced('the position has moved')
  stream.stored = to
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

/** Nothing is sent twice behind our back; whoever fails opens anew. */
async function connected(url: string): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    protocol: 2,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    connectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
    retryStrategy: () => null,
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

function urlOf(sink: string, variable: string, environment: Environment): URL {
  const allowed = 'redis://host:port or rediss://host:port'
  const text = fromEnvironment(sink, variable, environment, allowed)
  const url = URL.canParse(text) ? new URL(text) : null
  if (url && /^rediss?:$/.test(url.protocol) && url.hostname) return url
  throw new UsageError(`sink ${sink}: ${variable} must be ${allowed}`)
}
