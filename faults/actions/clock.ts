/** Redis's wall clock is set while it runs, by a shim that is preloaded into the server. */
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createRedis } from '../../services/redis.ts'
import type { World } from '../world.ts'
import type { Action } from './action.ts'

const source = join(import.meta.dir, '..', 'clock', 'shift.c')

/** Redis's own program, started so that its clock can be set. */
export class RedisClock {
  readonly #file: string

  private constructor(file: string) {
    this.#file = file
  }

  /** Starts Redis again, on its data. Null where there is no compiler for the shim, or no Linux. */
  static async prepare(world: World): Promise<RedisClock | null> {
    const compiler = Bun.which('cc')
    const redis = Bun.which('redis-server')
    if (process.platform !== 'linux' || !compiler || !redis) return null
    const dir = join(world.services.dir, 'clock')
    mkdirSync(dir, { recursive: true })
    const shim = join(dir, 'shift.so')
    const built = Bun.spawnSync([compiler, '-O1', '-shared', '-fPIC', '-o', shim, source])
    if (built.exitCode !== 0) return null
    const clock = new RedisClock(join(dir, 'shift'))
    clock.#set(0)
    const program = join(dir, 'redis-server')
    const preload = `LD_PRELOAD='${shim}' MILLRACE_TEST_CLOCK_FILE='${clock.#file}'`
    writeFileSync(program, `#!/bin/sh\n${preload} exec '${redis}' "$@"\n`, { mode: 0o755 })
    const { redis: server, dir: data } = world.services
    await server.stop()
    const plan = { program, dir: join(data, 'redis'), port: server.port, detached: false }
    const shifted = createRedis(plan)
    await shifted.start()
    world.beside(shifted)
    return clock
  }

  shifted(ms: number): Action {
    return {
      name: `Redis's clock ${ms / 60_000} minutes off`,
      inject: async () => this.#set(ms),
      heal: async () => this.#set(0),
    }
  }

  #set(ms: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(ms))
    // In place, because the server has the file mapped.
    const file = openSync(this.#file, existsSync(this.#file) ? 'r+' : 'w')
    writeSync(file, bytes, 0, bytes.length, 0)
    closeSync(file)
  }
}
