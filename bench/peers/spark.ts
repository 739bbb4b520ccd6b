/** Spark Structured Streaming: students.py by PySpark in an environment of its own. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { RefusalError } from '../../actors/errors.ts'
import { findJava } from '../../services/java.ts'
import type { Progress } from '../../cli/progress.ts'
import { runSteps } from '../../services/run.ts'
import { jarsOf, pomOf } from './build.ts'
import { type Peer, peersHome, pinnedVersion } from './peer.ts'

const CORES = 2
const MEMORY = '1g'
/** Micro-batches of the topic: more of them cost time, fewer give the first result later. */
const BATCHES = 5
const INSTALL_TIMEOUT_MS = 20 * 60_000

/** PySpark and its Kafka source must be of one version. */
const version = pinnedVersion(readFileSync(pomOf('spark'), 'utf8'), 'spark-sql-kafka-0-10_2.13')

export const spark: Peer = {
  name: 'spark',
  label: 'Spark',
  version,
  settings: `local[${CORES}], availableNow in ${BATCHES} micro-batches, update mode, 1 GB heap`,
  firstResult: 'the rows of the first micro-batch',
  async install(log) {
    const java = await findJava(log)
    const plan = { name: 'spark', label: 'Spark', mainJar: 'spark-sql-kafka' }
    const jars = await jarsOf(plan, log)
    const python = await findPySpark(log)
    const list = readdirSync(jars).map((name) => join(jars, name))
    return {
      command: ({ brokers, topic, count, dir, rows }) => [
        // Spark's own scripts take the Java that JAVA_HOME names.
        'env',
        `JAVA_HOME=${dirname(dirname(java))}`,
        python,
        join(import.meta.dir, 'spark', 'students.py'),
        brokers,
        topic,
        rows,
        join(dir, 'checkpoint'),
        String(CORES),
        String(Math.ceil(count / BATCHES)),
        list.join(','),
        MEMORY,
      ],
    }
  },
}

/** The Python program of an environment that has PySpark. */
async function findPySpark(log: Progress): Promise<string> {
  const target = join(peersHome, `pyspark-${version}`)
  const python = join(target, 'bin', 'python')
  if (existsSync(join(target, 'complete'))) return python
  const system = Bun.which('python3')
  if (!system) throw new RefusalError('there is no python3')
  log.step(`Spark: fetching PySpark ${version} with pip`)
  rmSync(target, { recursive: true, force: true })
  await step([system, '-m', 'venv', target])
  await step([python, '-m', 'pip', 'install', '--quiet', `pyspark==${version}`])
  await Bun.write(join(target, 'complete'), '')
  return python
}

async function step(command: string[]): Promise<void> {
  const result = await runSteps(command, { timeoutMs: INSTALL_TIMEOUT_MS })
  if (result.code !== 0) throw new RefusalError(`${command[2] ?? ''}: ${result.lastLine}`)
}
