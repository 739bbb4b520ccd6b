/**
 * What happens to Redis: killed, set back in time, torn, full, slow, emptied. Each needs servers of
 * a world's own.
 */
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { GROUP } from '../../actors/keys.ts'
import { silent } from '../../cli/progress.ts'
import type { Server } from '../../services/server.ts'
import { startRedis } from '../../services/services.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import type { Action } from './action.ts'

const nothing = async () => {}

/** A client of somebody else, whose commands may take long or fail. */
async function asStranger<T>(world: World, work: (redis: Redis) => Promise<T>): Promise<T> {
  const stranger = new Redis({ port: world.services.redis.port, retryStrategy: () => null })
  stranger.on('error', () => undefined)
  try {
    return await work(stranger)
  } finally {
    stranger.disconnect()
  }
}

/** Kills and starts again at once, or when healed. */
export const redisKilled: Action = {
  name: 'Redis: kill -9',
  inject: ({ services }) => services.redis.stop('SIGKILL'),
  heal: ({ services }) => services.redis.start(),
}

export const redisStopped: Action = {
  name: 'Redis: stopped in order',
  inject: ({ services }) => services.redis.stop(),
  heal: ({ services }) => services.redis.start(),
}

const dataOf = ({ services }: World) => join(services.dir, 'redis', 'data')
const copyOf = ({ services }: World) => join(services.dir, 'redis', 'earlier')

/** A copy of the files while they are written to is what a crash of the machine leaves. */
export function keepCopy(world: World): void {
  rmSync(copyOf(world), { recursive: true, force: true })
  cpSync(dataOf(world), copyOf(world), { recursive: true })
}

/** Redis comes back as it was when the copy was made. */
export const rolledBack: Action = {
  name: 'Redis: back to what it held before',
  async inject(world) {
    await world.services.redis.stop('SIGKILL')
    rmSync(dataOf(world), { recursive: true })
    cpSync(copyOf(world), dataOf(world), { recursive: true })
  },
  heal: ({ services }) => services.redis.start(),
}

/** Redis is killed, and the end of its append-only file is missing, as `cut` says. */
export class TornFile implements Action {
  readonly name = 'Redis: the append-only file torn'
  readonly #cut: (file: Buffer) => number
  /** The file that was torn. */
  file = ''

  constructor(cut: (file: Buffer) => number) {
    this.#cut = cut
  }

  async inject(world: World): Promise<void> {
    await world.services.redis.stop('SIGKILL')
    this.file = appendOnlyFile(world)
    const bytes = readFileSync(this.file)
    truncateSync(this.file, Math.max(0, Math.min(bytes.length, this.#cut(bytes))))
  }

  heal({ services }: World): Promise<void> {
    return services.redis.start()
  }
}

const nth = (name: string) => Number(/\.(\d+)\.incr\.aof$/.exec(name)?.[1])

/** The one that is written to. */
export function appendOnlyFile(world: World): string {
  const dir = join(dataOf(world), 'appendonlydir')
  const names = readdirSync(dir).filter((name) => nth(name) > 0)
  const newest = names.sort((a, b) => nth(a) - nth(b)).at(-1)
  if (!newest) throw new Error('there is no append-only file')
  return join(dir, newest)
}

export const flushed: Action = {
  name: 'Redis: FLUSHALL',
  inject: (world) => asStranger(world, async (redis) => void (await redis.flushall())),
  heal: nothing,
}

export const groupDestroyed: Action = {
  name: 'Redis: the consumer group destroyed',
  inject: (world) =>
    asStranger(world, async (redis) => {
      await redis.xgroup('DESTROY', world.pipeline.keys.entries, GROUP)
    }),
  heal: nothing,
}

export const streamDeleted: Action = {
  name: 'Redis: the stream deleted',
  inject: (world) =>
    asStranger(world, async (redis) => void (await redis.del(world.pipeline.keys.entries))),
  heal: nothing,
}

/** Everything that needs memory is refused from now on. */
export const memoryFull: Action = {
  name: 'Redis: maxmemory reached',
  inject: (world) => configured(world, 'maxmemory', '1mb'),
  heal: (world) => configured(world, 'maxmemory', '0'),
}

export async function configured(world: World, name: string, value: string): Promise<void> {
  await asStranger(world, async (redis) => void (await redis.config('SET', name, value)))
}

/** A script that nobody can kill without losing data holds Redis. */
export const busyFor = (ms: number): Action => ({
  name: `Redis: busy for ${ms / 1_000} s`,
  inject: (world) =>
    asStranger(world, async (redis) => {
      const spin = `local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
        redis.replicate_commands()
        local ends = ms() + ARGV[1]
        while ms() < ends do end
        return 1`
      await redis.eval(spin, 0, ms)
    }),
  heal: nothing,
})

export const functionsFlushed: Action = {
  name: 'Redis: FUNCTION FLUSH',
  inject: (world) => asStranger(world, async (redis) => void (await redis.function('FLUSH'))),
  heal: nothing,
}

export const clientsKilled: Action = {
  name: 'Redis: CLIENT KILL',
  inject: (world) =>
    asStranger(world, async (redis) => {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }),
  heal: nothing,
}

/** A replica that takes over from its master, by way of the proxies; what it lacks is lost. */
export class Failover implements Action {
  readonly name = 'Redis: failover to a replica'
  #replica: Server | null = null

  /** Starts a replica that has all. */
  async prepare(world: World): Promise<void> {
    const dir = join(world.services.dir, 'replica')
    this.#replica = await startRedis({ dir, detached: false }, silent)
    world.beside(this.#replica)
    const master = world.services.redis.port
    await this.#ask(async (redis) => {
      await redis.replicaof('127.0.0.1', master)
      await until('the replica to be up to date', async () =>
        (await redis.info('replication')).includes('master_link_status:up'),
      )
    })
  }

  /** From now on the replica gets nothing more. */
  async lag(): Promise<void> {
    await this.#ask(async (redis) => void (await redis.replicaof('NO', 'ONE')))
  }

  async inject(world: World): Promise<void> {
    if (!this.#replica) throw new Error('there is no replica')
    await world.services.redis.stop('SIGKILL')
    world.proxies.redis.aim(this.#replica.port)
    world.proxies.aside.aim(this.#replica.port)
  }

  async heal(): Promise<void> {}

  async #ask(work: (redis: Redis) => Promise<void>): Promise<void> {
    const redis = new Redis({ port: this.#replica!.port })
    try {
      await work(redis)
    } finally {
      redis.disconnect()
    }
  }
}
