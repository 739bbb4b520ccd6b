/**
 * A master, its replica, and three Sentinels that watch them: local processes on free ports. Two of the
 * Sentinels must agree that the master is gone before they make the replica the master.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { redisAnswers } from './answers.ts'
import { ask } from './cluster.ts'
import { freePort } from './ports.ts'
import { silent } from '../cli/progress.ts'
import { createRedis, findRedis } from './redis.ts'
import { createServer, type Server } from './server.ts'
import { stopWithUs } from './together.ts'

export interface Watched {
  /** What REDIS_URL is to be. */
  redisUrl: string
  master: Server
  replica: Server
  sentinels: Server[]
  /** Stops all; harmless when called again. */
  stop(): Promise<void>
}

export const MASTER_NAME = 'millrace'

const SENTINELS = 3
const QUORUM = 2
/** Silence after which a Sentinel takes the master for gone. */
const DOWN_AFTER_MS = 500
const FAILOVER_TIMEOUT_MS = 1_500
const READY_TIMEOUT_MS = 20_000

/** Resolves when each Sentinel knows the replica and the other Sentinels. */
export async function startWatched(): Promise<Watched> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-sentinel-'))
  const servers: Server[] = []
  const stop = stopWithUs(servers, () => rmSync(dir, { recursive: true, force: true }))
  const started = async (server: Server) => {
    servers.push(server)
    await server.start()
    return server
  }
  try {
    const program = await findRedis(silent)
    const redis = async (name: string, settings: Record<string, string>) => {
      const place = { program, dir: join(dir, name), port: await freePort(), detached: false }
      const soon = { 'repl-diskless-sync-delay': '0', ...settings }
      return started(createRedis({ ...place, settings: soon }))
    }
    const master = await redis('a', {})
    const replica = await redis('b', { replicaof: `127.0.0.1 ${master.port}` })
    const sentinels: Server[] = []
    for (let i = 0; i < SENTINELS; i++) {
      const place = { program, dir: join(dir, `sentinel-${i}`), port: await freePort() }
      sentinels.push(await started(createSentinel(place, master.port)))
    }
    await untilWatching(sentinels)
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join()
    return {
      redisUrl: `redis+sentinel://${hosts}/${MASTER_NAME}`,
      master,
      replica,
      sentinels,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A Sentinel keeps what it learns in its configuration file. */
function createSentinel(
  { program, dir, port }: { program: string; dir: string; port: number },
  masterPort: number,
): Server {
  mkdirSync(dir, { recursive: true })
  const file = join(dir, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    // Twice as long passes before another failover may begin.
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT_MS}`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  return createServer({
    name: 'Sentinel',
    command: [program, file, '--sentinel'],
    ports: [port],
    logFile: join(dir, 'sentinel.log'),
    answers: () => redisAnswers(`redis://127.0.0.1:${port}`),
    detached: false,
  })
}

async function untilWatching(sentinels: Server[]): Promise<void> {
  const deadline = systemClock.elapsed() + READY_TIMEOUT_MS
  for (const { port } of sentinels) {
    while (!(await watches(port))) {
      if (systemClock.elapsed() > deadline) throw new RefusalError('the Sentinels do not agree')
      await systemClock.sleep(25)
    }
  }
}

async function watches(port: number): Promise<boolean> {
  const flat = await ask<string[]>(port, (redis) => redis.call('SENTINEL', 'MASTER', MASTER_NAME))
  const of = (name: string) => Number(flat[flat.indexOf(name) + 1])
  return of('num-slaves') === 1 && of('num-other-sentinels') === SENTINELS - 1
}
