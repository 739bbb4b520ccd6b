/**
 * The one file that talks to Redis's connection: opens it, loads our functions, calls them, and
 * tells an outage (wait and ask again; the outcome of the last call is unknown) from a bug.
 *
 * Nothing is ever resent behind our back: a command whose connection broke is rejected at once, and
 * the compare-and-set or the ownership check inside the functions makes asking again safe.
 */
import { Cluster, type Redis, ReplyError } from 'ioredis'
import append from './bridge/append.lua' with { type: 'text' }
import share from './bridge/share.lua' with { type: 'text' }
import topics from './bridge/topics.lua' with { type: 'text' }
import { type Clock, systemClock } from './clock.ts'
import { bounds, type Config, redisAddress, redisHint } from './config.ts'
import { messageOf } from './errors.ts'
import commit from './executor/commit.lua' with { type: 'text' }
import shared from './functions/keys.lua' with { type: 'text' }
import hosts from './functions/hosts.lua' with { type: 'text' }
import lifecycle from './functions/lifecycle.lua' with { type: 'text' }
import pool from './functions/pool.lua' with { type: 'text' }
import reshard from './functions/reshard.lua' with { type: 'text' }
import weigh from './functions/weigh.lua' with { type: 'text' }
import type { Log } from './log.ts'
import { causeOf, connectRedis, masters, type RedisCommands } from './redis-connection.ts'
import { setNew } from './redis-set.ts'
import judged from './functions/judged.lua' with { type: 'text' }
import took from './sinks/took.lua' with { type: 'text' }
import advance from './windows/advance.lua' with { type: 'text' }
import cells from './windows/cells.lua' with { type: 'text' }
import closed from './windows/closed.lua' with { type: 'text' }
import revisions from './windows/revisions.lua' with { type: 'text' }
import sessions from './windows/sessions.lua' with { type: 'text' }
import shards from './windows/shards.lua' with { type: 'text' }

const windows = [cells, closed, revisions, sessions].join('\n')
const rest = [lifecycle, hosts, weigh, pool, judged, took, reshard].join('\n')
export const code = [shared, topics, append, share, windows, commit, advance, shards, rest].join(
  '\n',
)
export const library = `millrace_${Bun.hash(code).toString(16)}`
const loadable = `#!lua name=${library}\n${code.replaceAll('@LIBRARY@', library)}`

export type FunctionName =
  | 'list'
  | 'open'
  | 'append'
  | 'lose'
  | 'seen'
  | 'share'
  | 'unshare'
  | 'claim'
  | 'commit'
  | 'advance'
  | 'standing'
  | 'parts'
  | 'raise'
  | 'join'
  | 'beat'
  | 'enter'
  | 'mark'
  | 'leave'
  | 'bury'
  | 'forget'
  | 'lead'
  | 'resign'
  | 'measure'
  | 'weigh'
  | 'reserve'
  | 'release'
  | 'took'
  | 'place'
  | 'occupy'
  | 'judged'
  | 'renumber'
  | 'decide'
  | 'stage'
  | 'take'
  | 'absorb'
  | 'clear'

type Argument = string | number | Buffer

export interface Store {
  redis: RedisCommands
  /** Calls one of our functions; loads the library first where the server lacks it. */
  call(name: FunctionName, base: string, args: Argument[]): Promise<unknown>
  /** The same with Buffers for strings in the reply. */
  callBuffer(name: FunctionName, base: string, args: Argument[]): Promise<unknown>
  /** Sets a large value for so long, where the key has none; it must not change before the reply. */
  setNew(key: string, value: Buffer, expiryMs: number): Promise<unknown>
  close(): Promise<void>
}

export interface StoreOptions {
  /** A connection that blocks (XREADGROUP BLOCK): its replies may take this long. */
  blockMs?: number
  /** Of a reply, where it matters more that it comes soon than that it comes. */
  commandMs?: number
}

/** Opens a connection and returns at once; commands are rejected while the server is away. */
export function openStore(config: Config, log: Log, options: StoreOptions = {}): Store {
  const { blockMs = 0, commandMs = bounds.redisCommandTimeoutMs } = options
  const redis = connectRedis(config, {
    connectMs: 2_000,
    commandMs: blockMs + commandMs,
    silenceMs: blockMs + bounds.redisSilenceMs,
  })
  logOutages(redis, config, log)
  const { call, callBuffer } = functionsOf(redis)
  const heard = refusals(redisAddress(config), log)
  return {
    redis,
    call: (name, base, args) => heard(name, call(name, base, args)),
    callBuffer: (name, base, args) => heard(name, callBuffer(name, base, args)),
    setNew: (key, value, expiryMs) => setNew(redis, key, value, expiryMs),
    close: () => closeRedis(redis),
  }
}

/**
 * A second key that never exists, in the same slot. While a slot is on its way from one node of a cluster
 * to another, a call of one key that is not there runs at the node that takes the slot, and would find
 * only what has arrived by then; one of several keys is refused until all is there.
 */
export const wholeKey = (base: string): string => `${base}:whole`

/** Of the functions for one call: they may be flushed again before the call that they were loaded for. */
const LOADS_MAX = 3

const isNotFound = (error: unknown): error is Error =>
  error instanceof Error && /Function not found/i.test(error.message)

/** Our functions over a connection. */
export function functionsOf(redis: Pick<Redis, 'call' | 'callBuffer'>) {
  const keysOf = (base: string) =>
    redis instanceof Cluster ? [2, base, wholeKey(base)] : [1, base]
  const call = (buffers: boolean) => async (name: FunctionName, base: string, args: Argument[]) => {
    const command = [`${library}_${name}`, ...keysOf(base), ...args] as [string, ...Argument[]]
    const send = () =>
      buffers ? redis.callBuffer('FCALL', ...command) : redis.call('FCALL', ...command)
    for (let tries = 1; ; tries++) {
      try {
        return await send()
      } catch (error) {
        if (tries > LOADS_MAX || !isNotFound(error)) throw error
        // Refused before it ran, so sending it again can't repeat anything.
        await load(redis).catch((refusal: unknown) => {
          // A user who may not load functions waits for the supervisor's, who may.
          throw messageOf(refusal).startsWith('NOPERM') ? error : refusal
        })
      }
    }
  }
  return { call: call(false), callBuffer: call(true) }
}

/**
 * To every master: any of them may hold a slot of ours next, and replicas get it from theirs. Rejects
 * where none would take it, as from a user who may only call what the supervisor has loaded.
 */
async function load(redis: Pick<Redis, 'call'>): Promise<void> {
  const nodes = redis instanceof Cluster ? masters(redis) : [redis]
  const loading = nodes.map((node) => node.call('FUNCTION', 'LOAD', 'REPLACE', loadable))
  const loaded = await Promise.allSettled(loading)
  const refused = loaded.find(({ status }) => status === 'rejected')
  if (refused && loaded.every(({ status }) => status === 'rejected')) {
    throw (refused as PromiseRejectedResult).reason
  }
}

/** Waits until the server answers, without limit unless the signal ends it. */
export async function untilReady(
  store: Store,
  signal?: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  // The connection is mostly there after some milliseconds, and an actor starts with this.
  const soon = clock.elapsed() + 50
  for (let waitMs = 2; !signal?.aborted; waitMs = Math.min(waitMs * 2, 100)) {
    if (clock.elapsed() < soon) waitMs = 2
    try {
      await store.redis.ping()
      return
    } catch (error) {
      if (!isOutage(error)) throw error
      await clock.sleep(waitMs, signal)
    }
  }
}

/** Does what is safe to do again until Redis answers it; waits without limit. */
export async function whenReady<T>(
  store: Store,
  action: () => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  for (;;) {
    await untilReady(store, undefined, clock)
    try {
      return await action()
    } catch (error) {
      // It went away again in between.
      if (!isOutage(error)) throw error
    }
  }
}

/** What is refused for a while is said again now and then. */
const refusalEveryMs = 30_000

const passing =
  /^(ERR Function not found|LOADING|BUSY|OOM|MISCONF|READONLY|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|UNBLOCKED|NOAUTH)\b/

/** Whether an error says that Redis is away or refuses for a while, rather than that we are wrong. */
export function isOutage(error: unknown): boolean {
  if (error instanceof ReplyError) return passing.test((error as Error).message)
  return (
    error instanceof Error &&
    (/^(MaxRetriesPerRequestError|AbortError|ClusterAllFailedError)$/.test(error.name) ||
      /timed out|Socket timeout|isn't (writeable|ready)|Connection is closed|Too many Cluster redirections|startup nodes|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND/i.test(
        error.message,
      ))
  )
}

function logOutages(redis: Redis | Cluster, config: Config, log: Log): void {
  const address = redisAddress(config)
  let away = false
  redis.on('error', (error: Error) => {
    if (away) return
    away = true
    log.warn(`Redis at ${address} does not answer; trying again (${redisHint(config)})`, {
      error: messageOf(causeOf(error)),
    })
  })
  redis.on('close', () => {
    // A close without an error, such as CLIENT KILL, is reported by the commands that it rejects.
  })
  redis.on('ready', () => {
    if (away) log.info(`Redis at ${address} answers again`)
    away = false
  })
}

/** Says once what a Redis that answers refuses: a full disk or memory is no broken connection. */
function refusals(address: string, log: Log) {
  const refused = new Map<FunctionName, number>()
  return async (name: FunctionName, call: Promise<unknown>): Promise<unknown> => {
    try {
      return await call
    } catch (error) {
      const now = systemClock.elapsed()
      const told = refused.get(name) ?? -Infinity
      if (error instanceof ReplyError && isOutage(error) && now - told > refusalEveryMs) {
        refused.set(name, now)
        log.warn(`Redis at ${address} refuses ${name}; trying again`, { error: messageOf(error) })
      }
      throw error
    }
  }
}

function closeRedis(redis: Redis | Cluster): Promise<void> {
  redis.disconnect()
  return Promise.resolve()
}
