/**
 * From 0 executors to the first committed record: how long a record waits that wakes a pipeline.
 *
 *   0 executors, quiet → one record → Kafka acknowledges it → … → its commit is in Redis
 *
 * A try begins with 0 executors. An idle fleet needs 10 s and more to get there by itself, so an
 * operator's pause ends it in place of the idle time, and resume lets it go; both are over, and the
 * supervisor has gone back to its slow tick, before the record is sent. Nothing of the record's own way is left
 * out: no process is there, the bridge waits at Kafka, the supervisor in its pause.
 *
 *   bun bench/zero.ts --tries 100
 */
import { loadavg } from 'node:os'
import { seededRandom, systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { kafkaClient, throughOutages } from '../actors/kafka-client.ts'
import { keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import { print } from '../actors/output.ts'
import { bodyMaker } from '../actors/producer/records.ts'
import { rememberingPartitioner } from '../actors/producer/partitioner.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import { openStore, untilReady } from '../actors/redis.ts'
import { Children } from '../demo/children.ts'
import { until } from '../faults/until.ts'
import studentsJob from '../jobs/students.ts'
import { freePort } from '../services/ports.ts'
import { createProgress } from '../cli/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import { type StageName, stageNames, type Stages, Watch } from './stages.ts'

const command = {
  help: `
bun bench/zero.ts [--tries N] [--warm]

Measures how long a record takes that meets 0 executors, with a Kafka and a Redis of its own: from
Kafka's acknowledgement to its commit.

  --tries N   records, one after the other, each with 0 executors again (100)
  --warm      with one process that waits, loaded and connected (the supervisor's --warm 1)
  --help      this text`,
  options: { tries: { type: 'string' }, warm: { type: 'boolean' } },
} as const

const quiet = createLog('zero', 'error')
const PARTITIONS = 4
/** A slow tick of the supervisor and a fetch of the bridge end within a second: any part of both. */
const settleMs = { least: 300, most: 1_400 }

interface Try {
  /** From the acknowledgement to the commit as this program saw it; ms. */
  ms: number
  acknowledgedAt: number
  stages: Stages
}

/** A pipeline and what a try needs of it. */
interface Pipeline {
  port: number
  watch: Watch
  random: () => number
  snapshot: () => Promise<Snapshot>
  /** Sends a record; resolves when Kafka has acknowledged it. */
  send: (index: number) => Promise<unknown>
  close: () => Promise<void>
}

await runMain('zero', async () => {
  const { values } = parseFlags(command)
  const tries = wholeNumberFlag('tries', values.tries, { from: 1, to: 10_000 }) ?? 100
  const warm = values.warm ?? false
  const services = await startServices({ log: createProgress() })
  const children = new Children({ ...process.env, ...services.environment, LOG_LEVEL: 'warn' })
  try {
    const pipeline = await start(services, children, warm)
    report(await play(pipeline, tries, warm), warm)
    await pipeline.close()
    return 0
  } finally {
    await children.stop()
    await services.stop()
  }
})

async function start(services: Services, children: Children, warm: boolean): Promise<Pipeline> {
  const config = readConfig({ ...services.environment })
  const keys = keysOf(studentsJob.name)
  const { send, end } = await openProducer(config)
  const port = await freePort()
  const flags = ['--from', 'earliest', '--port', String(port), '--warm', warm ? '1' : '0']
  children.start(['supervisor/main.ts', ...flags, '--quiet'])
  const store = openStore(config, quiet)
  await untilReady(store)
  const watch = await Watch.open(config.REDIS_URL, keys)
  const snapshot = () => measure(store, keys)
  const begun = async () => (await snapshot()).partitions.length === PARTITIONS
  await until('the bridge', begun, { timeoutMs: 60_000 })
  const close = async () => {
    watch.close()
    await Promise.all([store.close(), end()])
  }
  return { port, watch, random: seededRandom(1), snapshot, send, close }
}

async function openProducer(config: Config) {
  const kafka = kafkaClient(config, 'millrace-zero')
  const { signal } = new AbortController()
  const { topic } = studentsJob
  await throughOutages(config, quiet, () => ensureTopic(kafka, topic, PARTITIONS), { signal })
  const producer = kafka.producer({ createPartitioner: rememberingPartitioner })
  await producer.connect()
  const body = bodyMaker(seededRandom(2))
  const send = (index: number) => {
    const { key, rest } = body()
    const value = `{"timestamp":${systemClock.now() / 1_000},${rest}`
    return producer.send({ topic, messages: [{ key, value, partition: index % PARTITIONS }] })
  }
  return { send, end: () => producer.disconnect() }
}

async function play(pipeline: Pipeline, tries: number, warm: boolean): Promise<Try[]> {
  const { watch, random, send } = pipeline
  // Leaders that are new may refuse at first; and what runs for the first time is no measure.
  for (let index = 0; index < PARTITIONS; index++) {
    const sent = async () => Boolean(await send(index))
    await until('Kafka to take a record', sent, { timeoutMs: 60_000 })
  }
  const results: Try[] = []
  let committed = await emptyFleet(pipeline, PARTITIONS)
  while (results.length < tries) {
    if (warm) await until('one that is warm', () => watch.warm, { timeoutMs: 30_000 })
    await systemClock.sleep(settleMs.least + random() * (settleMs.most - settleMs.least))
    await assertIdle(pipeline, committed)
    const watched = watch.arm()
    await send(results.length)
    const acknowledgedAt = wallMs()
    const stages = await watched
    results.push({ ms: wallMs() - acknowledgedAt, acknowledgedAt, stages })
    committed = await emptyFleet(pipeline, committed + 1)
  }
  return results
}

/** The wall clock with a fraction, as MONITOR's. */
function wallMs(): number {
  return performance.timeOrigin + performance.now()
}

function executorsOf({ actors }: Snapshot): Snapshot['actors'] {
  return actors.filter(({ kind, alive }) => kind === 'executor' && alive)
}

async function assertIdle({ snapshot }: Pipeline, committed: number): Promise<void> {
  const now = await snapshot()
  const { totals, control } = now
  const idle = totals.committed === committed && control.paused !== '1'
  if (!idle || executorsOf(now).length > 0) throw new RefusalError('the pipeline is not idle')
}

/** Pause ends the executor, resume lets the next one come. Answers with how many are committed. */
async function emptyFleet({ port, snapshot }: Pipeline, atLeast: number): Promise<number> {
  const done = async () => {
    const { totals } = await snapshot()
    return totals.committed >= atLeast && totals.appended === totals.committed
  }
  await until('the commits', done, { timeoutMs: 60_000 })
  await post(port, 'pause')
  await until('0 executors', async () => executorsOf(await snapshot()).length === 0)
  await post(port, 'resume')
  return (await snapshot()).totals.committed
}

async function post(port: number, action: 'pause' | 'resume'): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const url = `http://127.0.0.1:${port}/api/${action}`
  await until(`POST /api/${action}`, async () => {
    const response = await fetch(url, { method: 'POST', headers, body: '{}' })
    return response.ok
  })
}

function report(results: Try[], warm: boolean): void {
  const load = loadavg()[0]!.toFixed(1)
  const how = warm ? 'one process warm' : 'no process'
  print(`from 0 executors (${how}) to the commit, ${results.length} tries, load ${load}; ms:`)
  print(`  ${'p50'.padStart(28)}${'p90'.padStart(8)}${'p99'.padStart(8)}${'max'.padStart(8)}`)
  print(
    row(
      'acknowledged → committed',
      results.map(({ ms }) => ms),
    ),
  )
  let before: StageName | null = null
  for (const name of stageNames) {
    const spans = results.flatMap(({ stages, acknowledgedAt }) => {
      const from = before ? stages[before] : acknowledgedAt
      const to = stages[name]
      return from === undefined || to === undefined ? [] : [to - from]
    })
    print(row(`${before ?? 'acknowledged'} → ${name}`, spans))
    before = name
  }
  print(
    row(
      'announced → committed',
      results.flatMap(({ stages: { announced, committed } }) =>
        announced && committed ? [committed - announced] : [],
      ),
    ),
  )
}

function row(name: string, spans: number[]): string {
  const sorted = spans.toSorted((a, b) => a - b)
  const cells = [0.5, 0.9, 0.99, 1].map((part) => {
    // The nearest rank: of 100 the 99th is the second longest.
    const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]
    return (value === undefined ? '-' : value.toFixed(1)).padStart(8)
  })
  return `  ${name.padEnd(24)}${cells.join('')}`
}
