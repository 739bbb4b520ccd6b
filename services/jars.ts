/**
 * Jars that Maven fetches once, from a pom with exact versions, into `.millrace/`: those of Kafka for
 * everything that starts one in this checkout. A directory appears under its name only when it
 * is whole, by a rename; its name holds the digest of the pom, so that a changed pom is fetched anew.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { RefusalError } from '../actors/errors.ts'
import { aptInstall, canInstall } from './debian.ts'
import { withLock } from './lock.ts'
import type { Progress } from '../cli/progress.ts'
import { runSteps } from './run.ts'

export const home = resolve(import.meta.dir, '..', '.millrace')

export interface JarsPlan {
  /** As a person knows it. */
  label: string
  pom: string
  /** The directory becomes `home`/`name`-digest. */
  home: string
  name: string
  /** How the name of the jar begins without which the rest is of no use. */
  mainJar: string
  /** What the pom lists: dependencies, whose own come along, or artifacts each by itself. */
  goal: 'copy-dependencies' | 'copy'
  /** What to do where there is no Maven. */
  withoutMaven: string
}

const kafkaPlan: JarsPlan = {
  label: 'Kafka',
  pom: join(import.meta.dir, 'kafka', 'pom.xml'),
  home,
  name: 'kafka',
  mainJar: 'kafka_',
  goal: 'copy-dependencies',
  withoutMaven: 'no Kafka: install Maven, start Docker, or set KAFKA_BROKERS',
}
const FETCH_TIMEOUT_MS = 15 * 60_000

/** The directory that holds the jars. @throws RefusalError that says what to install or what failed */
export async function kafkaJars(log: Progress): Promise<string> {
  return await fetchedJars(kafkaPlan, log)
}

/** The same for any pom. @throws RefusalError that says what to install or what failed */
export async function fetchedJars(plan: JarsPlan, log: Progress): Promise<string> {
  const digest = Bun.hash(readFileSync(plan.pom)).toString(16)
  const target = join(plan.home, `${plan.name}-${digest}`)
  if (existsSync(target)) return target
  mkdirSync(plan.home, { recursive: true })
  return await withLock(join(plan.home, `${plan.name}.lock`), async () => {
    if (!existsSync(target)) await fetchJars(plan, target, log)
    return target
  })
}

async function fetchJars(plan: JarsPlan, target: string, log: Progress): Promise<void> {
  const { label, pom } = plan
  const maven = await findMaven(plan, log)
  const partial = `${target}.${process.pid}.partial`
  rmSync(partial, { recursive: true, force: true })
  log.step(`${label}: fetching with Maven`)
  let count = 0
  const command = [maven, '--batch-mode', '-Dstyle.color=never', `dependency:${plan.goal}`]
  const options = ['-DincludeScope=runtime', '-f', pom, `-DoutputDirectory=${partial}`]
  const result = await runSteps([...command, ...options], {
    timeoutMs: FETCH_TIMEOUT_MS,
    onLine: (line) => {
      const jar = /^(?:\[INFO\] )?Downloaded from \S+ \S+\/(\S+\.jar) (\(.*\))/.exec(line)
      if (jar) log.step(`${label}: fetched ${++count} files, ${jar[1]} ${jar[2]}`)
    },
  })
  const jars = existsSync(partial) ? readdirSync(partial) : []
  if (result.code !== 0 || !jars.some((name) => name.startsWith(plan.mainJar))) {
    rmSync(partial, { recursive: true, force: true })
    throw new RefusalError(`Maven could not fetch ${label}: ${result.lastLine}`)
  }
  renameSync(partial, target)
  log.line(`${label}: ${jars.length} jars in .millrace/${relative(home, target)}`)
}

async function findMaven(plan: JarsPlan, log: Progress): Promise<string> {
  const found = Bun.which('mvn')
  if (found) return found
  if (canInstall()) {
    await aptInstall(['maven'], log)
    const installed = Bun.which('mvn')
    if (installed) return installed
  }
  throw new RefusalError(plan.withoutMaven)
}
