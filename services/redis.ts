/**
 * A local Redis or Valkey: finds the program, and says how to run it on a directory and a port.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { RefusalError } from '../actors/errors.ts'
import { redisAnswers } from './answers.ts'
import { aptInstall, canInstall } from './debian.ts'
import type { Progress } from '../cli/progress.ts'
import { createServer, type Server } from './server.ts'

/** Below 7.0 a claim of a deleted entry is answered in a way that executors can't use. */
const VERSION_MIN = 7

export interface RedisPlan {
  program: string
  dir: string
  port: number
  detached: boolean
  /** Beyond or instead of the settings below, by their names in redis.conf. */
  settings?: Record<string, string>
}

export function createRedis(plan: RedisPlan): Server {
  const data = join(plan.dir, 'data')
  mkdirSync(data, { recursive: true })
  const settings = {
    port: String(plan.port),
    bind: '127.0.0.1',
    'protected-mode': 'yes',
    dir: data,
    daemonize: 'no',
    save: '',
    appendonly: 'yes',
    appendfsync: 'everysec',
    // Payloads pass through the file at the topic's pace: at 64 MB a rewrite would follow the other.
    'auto-aof-rewrite-min-size': '512mb',
    'maxmemory-policy': 'noeviction',
    // The title would hide the directory, by which `services down` knows the process as ours.
    'set-proc-title': 'no',
    ...plan.settings,
  }
  return createServer({
    name: 'Redis',
    command: [
      plan.program,
      ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    ],
    ports: [plan.port],
    logFile: join(plan.dir, 'redis.log'),
    answers: () => redisAnswers(`redis://127.0.0.1:${plan.port}`),
    detached: plan.detached,
  })
}

/**
 * The path of a redis-server or valkey-server, installed where that is possible.
 * @throws RefusalError that says what to install
 */
export async function findRedis(log: Progress): Promise<string> {
  const found = await usableRedis()
  if (found) return found
  if (canInstall()) {
    await aptInstall(['redis-server'], log)
    const installed = await usableRedis()
    if (installed) return installed
  }
  throw new RefusalError(
    `no Redis: install redis-server or valkey-server ${VERSION_MIN}.0 or newer, start Docker, or set REDIS_URL`,
  )
}

async function usableRedis(): Promise<string | undefined> {
  for (const name of ['redis-server', 'valkey-server']) {
    const path = Bun.which(name)
    if (path && (await majorVersion(path)) >= VERSION_MIN) return path
  }
  return undefined
}

/** "Redis server v=7.0.15 sha=…" or "Valkey server v=8.0.1 …"; 0 where there is no such line. */
async function majorVersion(program: string): Promise<number> {
  const child = Bun.spawn([program, '--version'], { stdout: 'pipe', stderr: 'ignore' })
  const text = await new Response(child.stdout).text()
  return Number(/v=(\d+)\./.exec(text)?.[1] ?? 0)
}
