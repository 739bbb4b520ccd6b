/**
 * Java peers: their jars by Maven, their few sources by the JDK's compiler. A build appears under
 * its name only when it is whole, and the name holds the digest of what it was made of.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { RefusalError } from '../../actors/errors.ts'
import { fetchedJars } from '../../services/jars.ts'
import { findJava } from '../../services/java.ts'
import type { Progress } from '../../cli/progress.ts'
import { runSteps } from '../../services/run.ts'
import { peersHome } from './peer.ts'

export interface JavaPlan {
  name: string
  label: string
  mainJar: string
  /** Directories of sources, compiled together. */
  sources: string[]
}

export interface Built {
  java: string
  classPath: string
}

const COMPILE_TIMEOUT_MS = 5 * 60_000

export const pomOf = (name: string): string => join(import.meta.dir, name, 'pom.xml')

/** A JVM on what was built, up to the program's own arguments. */
export const jvmCommand = ({ java, classPath }: Built, jvm: string[], main: string): string[] => [
  java,
  ...jvm,
  '-cp',
  classPath,
  main,
]

/** @throws RefusalError in one line */
export async function buildJava(plan: JavaPlan, log: Progress): Promise<Built> {
  const java = await findJava(log)
  const jars = await jarsOf(plan, log)
  if (plan.sources.length === 0) return { java, classPath: join(jars, '*') }
  const files = plan.sources.flatMap(javaFiles)
  const digest = Bun.hash(files.map((file) => readFileSync(file, 'utf8')).join('') + jars)
  const target = join(peersHome, `${plan.name}-classes-${digest.toString(16)}`)
  if (!existsSync(target)) await compile(plan, files, jars, target, log)
  return { java, classPath: `${target}:${join(jars, '*')}` }
}

export async function jarsOf(plan: Pick<JavaPlan, 'name' | 'label' | 'mainJar'>, log: Progress) {
  return await fetchedJars(
    {
      ...plan,
      pom: pomOf(plan.name),
      home: peersHome,
      goal: plan.name === 'spark' ? 'copy' : 'copy-dependencies',
      withoutMaven: 'Maven is not installed',
    },
    log,
  )
}

function javaFiles(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.java'))
  return names.sort().map((name) => join(directory, name))
}

async function compile(
  plan: JavaPlan,
  files: string[],
  jars: string,
  target: string,
  log: Progress,
): Promise<void> {
  const javac = Bun.which('javac')
  if (!javac) throw new RefusalError('there is no javac: install a JDK 17 or newer')
  log.step(`${plan.label}: compiling`)
  const partial = `${target}.${process.pid}.partial`
  const command = [javac, '-nowarn', '-cp', join(jars, '*'), '-d', partial, ...files]
  const result = await runSteps(command, { timeoutMs: COMPILE_TIMEOUT_MS })
  if (result.code !== 0) {
    rmSync(partial, { recursive: true, force: true })
    throw new RefusalError(`javac: ${result.lastLine}`)
  }
  rmSync(target, { recursive: true, force: true })
  renameSync(partial, target)
}
