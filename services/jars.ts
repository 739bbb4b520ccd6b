/**
 * The jars of Kafka, fetched once by Maven from kafka/pom.xml into `.millrace/`, shared by
 * everything that starts a Kafka in this checkout. A directory appears under its name only when it
 * is whole, by a rename; its name holds the digest of the pom, so that a changed pom is fetched anew.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { RefusalError } from '../actors/errors.ts'
import { aptInstall, canInstall } from './debian.ts'
import { withLock } from './lock.ts'
import type { Progress } from './progress.ts'
import { runSteps } from './run.ts'

export const home = resolve(import.meta.dir, '..', '.millrace')

const POM = join(import.meta.dir, 'kafka', 'pom.xml')
const COPY = [
  '--batch-mode',
  '-Dstyle.color=never',
  'dependency:copy-dependencies',
  '-DincludeScope=runtime',
]
const FETCH_TIMEOUT_MS = 15 * 60_000

/** The directory that holds the jars. @throws RefusalError that says what to install or what failed */
export async function kafkaJars(log: Progress): Promise<string> {
  const digest = Bun.hash(readFileSync(POM)).toString(16)
  const target = join(home, `kafka-${digest}`)
  if (existsSync(target)) return target
  mkdirSync(home, { recursive: true })
  return await withLock(join(home, 'kafka.lock'), async () => {
    if (!existsSync(target)) await fetchJars(target, log)
    return target
  })
}

async function fetchJars(target: string, log: Progress): Promise<void> {
  const maven = await findMaven(log)
  const partial = `${target}.${process.pid}.partial`
  rmSync(partial, { recursive: true, force: true })
  log.step('Kafka: fetching with Maven')
  let count = 0
  const result = await runSteps([maven, ...COPY, '-f', POM, `-DoutputDirectory=${partial}`], {
    timeoutMs: FETCH_TIMEOUT_MS,
    onLine: (line) => {
      const jar = /^(?:\[INFO\] )?Downloaded from \S+ \S+\/(\S+\.jar) (\(.*\))/.exec(line)
      if (jar) log.step(`Kafka: fetched ${++count} files, ${jar[1]} ${jar[2]}`)
    },
  })
  const jars = existsSync(partial) ? readdirSync(partial) : []
  if (result.code !== 0 || !jars.some((name) => name.startsWith('kafka_'))) {
    rmSync(partial, { recursive: true, force: true })
    throw new RefusalError(`Maven could not fetch Kafka: ${result.lastLine}`)
  }
  renameSync(partial, target)
  log.line(`Kafka: ${jars.length} jars in .millrace/${basename(target)}`)
}

async function findMaven(log: Progress): Promise<string> {
  const found = Bun.which('mvn')
  if (found) return found
  if (canInstall()) {
    await aptInstall(['maven'], log)
    const installed = Bun.which('mvn')
    if (installed) return installed
  }
  throw new RefusalError('no Kafka: install Maven, start Docker, or set KAFKA_BROKERS')
}
