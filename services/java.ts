/**
 * A Java runtime that Kafka 4 runs on: 17 or newer.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { RefusalError } from '../actors/errors.ts'
import { aptInstall, canInstall } from './debian.ts'
import type { Progress } from '../cli/progress.ts'

const VERSION_MIN = 17
const INSTALLED_UNDER = '/usr/lib/jvm'

/**
 * The path of a `java` program, installed where that is possible.
 * @throws RefusalError that says what to install
 */
export async function findJava(log: Progress): Promise<string> {
  const found = await usableJava()
  if (found) return found
  if (canInstall()) {
    // Debian 12 has 17; later ones have their default, which is newer.
    await aptInstall(['openjdk-17-jre-headless'], log).catch(() =>
      aptInstall(['default-jre-headless'], log),
    )
    const installed = await usableJava()
    if (installed) return installed
  }
  throw new RefusalError(
    `no Kafka: install Java ${VERSION_MIN} or newer and Maven, start Docker, or set KAFKA_BROKERS`,
  )
}

async function usableJava(): Promise<string | undefined> {
  for (const path of candidates()) {
    if ((await majorVersion(path)) >= VERSION_MIN) return path
  }
  return undefined
}

function candidates(): string[] {
  const home = process.env.JAVA_HOME
  const onPath = Bun.which('java')
  const installed = existsSync(INSTALLED_UNDER) ? readdirSync(INSTALLED_UNDER).sort() : []
  return [
    ...(home ? [join(home, 'bin', 'java')] : []),
    ...(onPath ? [onPath] : []),
    ...installed.map((name) => join(INSTALLED_UNDER, name, 'bin', 'java')),
  ].filter((path) => existsSync(path))
}

/** `openjdk version "17.0.15" 2025-04-15` on standard error; 0 where there is no such line. */
async function majorVersion(java: string): Promise<number> {
  const child = Bun.spawn([java, '-version'], { stdout: 'ignore', stderr: 'pipe' })
  const text = await new Response(child.stderr).text()
  return Number(/version "(\d+)/.exec(text)?.[1] ?? 0)
}
