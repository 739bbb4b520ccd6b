/** The versions of what every engine of the benchmark stands on. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../actors/config.ts'
import { createLog } from '../actors/log.ts'
import { openStore, untilReady } from '../actors/redis.ts'
import { findJava } from '../services/java.ts'
import { silent } from '../cli/progress.ts'
import type { Services } from '../services/services.ts'
import { pinnedVersion } from './peers/peer.ts'

export async function versionsOf(services: Services): Promise<Record<string, string>> {
  const kafkaPom = join(import.meta.dir, '..', 'services', 'kafka', 'pom.xml')
  return {
    Bun: Bun.version,
    Kafka: pinnedVersion(readFileSync(kafkaPom, 'utf8'), 'kafka_2.13'),
    Redis: await redisVersion(services),
    Java: await javaVersion(),
  }
}

async function redisVersion(services: Services): Promise<string> {
  const store = openStore(readConfig({ ...services.environment }), createLog('bench', 'error'))
  try {
    await untilReady(store)
    return /^redis_version:(\S+)/m.exec(await store.redis.info('server'))?.[1] ?? 'unknown'
  } finally {
    await store.close()
  }
}

async function javaVersion(): Promise<string> {
  const child = Bun.spawn([await findJava(silent), '-version'], {
    stderr: 'pipe',
    stdout: 'ignore',
  })
  return /version "([^"]+)"/.exec(await new Response(child.stderr).text())?.[1] ?? 'unknown'
}
