/**
 * What shards bring, and what they cost: a job over a filled topic, with its shards on as many masters of a
 * cluster, processor time of each master's thread by record; and what it takes to join their windows.
 *
 *   own Kafka → for each number of shards: a cluster → the job over the topic → CPU of each thread
 *
 * On few cores the whole is not faster: processes share what there is. What falls is the busiest thread's
 * part of a record, by which one Redis is full.
 *
 *   bun bench/shards.ts --count 2000000 --json shards.json
 */
import { systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure } from '../actors/measure.ts'
import { openStore, untilReady } from '../actors/redis.ts'
import { until } from '../faults/until.ts'
import { type Cluster, startCluster } from '../services/cluster.ts'
import { createProgress } from '../cli/progress.ts'
import { fillTopic } from './fill.ts'
import growthJob from './jobs/growth.ts'
import { machineFacts, machineText } from './machine.ts'
import { type Own, withOwn } from './own.ts'
import { aligned } from './report.ts'
import { type JoinCost, joinCost } from './shards/joins.ts'
import { spread, threadMicros } from './shards/nodes.ts'

const COUNT = 1_000_000
const command = {
  help: `
bun bench/shards.ts [options]

Measures what each Redis's thread does for a record where a job has 1, 2 and 4 shards, each on a master
of its own, and what joining their windows costs. It starts a Kafka and clusters of its own.

  --count N     records of the topic (${COUNT})
  --json FILE   the results as JSON besides
  --help        this text`,
  options: { count: { type: 'string' }, json: { type: 'string' } },
} as const

/** Always as many, so that no shard has an instance with another's work. */
const MASTERS = 4
const SHARDS = [1, 2, 4]
const GROUPS = [25, 1_000, 10_000]
const TOPIC = { topic: 'shards', partitions: 16, spanMs: 60_000 }
const EXECUTORS = 2
/** A run's start is left out. */
const WARM_FROM = 0.2
const TIMEOUT_MS = 2 * 60_000

interface Run {
  shards: number
  recordsPerSecond: number
  /** µs of each thread by record of the whole topic. */
  threads: number[]
}

await runMain('shards', () => {
  const { values } = parseFlags(command)
  const count = wholeNumberFlag('count', values.count, { from: 10_000, to: 1e9 }) ?? COUNT
  return withOwn(async (own) => {
    await fillTopic({ config: readConfig({ ...own.services.environment }), count, ...TOPIC })
    const progress = createProgress()
    const runs: Run[] = []
    const joins: JoinCost[] = []
    for (const shards of SHARDS) {
      const cluster = await startCluster({ masters: MASTERS, replicas: false })
      try {
        progress.line(`shards: ${shards}`)
        runs.push(await runOver(own, cluster, shards, count))
        progress.line(textOf(runs, []))
        joins.push(...(await joinsOf(cluster, shards)))
      } finally {
        await cluster.stop()
      }
    }
    process.stdout.write(`${textOf(runs, joins)}\n${machineText(machineFacts(), {})}\n`)
    if (values.json) await Bun.write(values.json, `${JSON.stringify({ runs, joins }, null, 2)}\n`)
    return 0
  })
})

async function runOver(own: Own, cluster: Cluster, shards: number, count: number): Promise<Run> {
  const environment = {
    REDIS_URL: cluster.redisUrl,
    REDIS_SHARDS: String(shards),
    BENCH_TOPIC: TOPIC.topic,
  }
  const store = openStore(configOf(cluster), createLog('shards', 'error'))
  await untilReady(store)
  const keys = keysOf(growthJob.name, shards)
  await spread(cluster, keys)
  const children = own.childrenWith(environment)
  const fleet = ['--min', String(EXECUTORS), '--max', String(EXECUTORS)]
  const flags = ['--from', 'earliest', '--fresh', ...fleet, '--no-web', '--quiet']
  const supervisor = children.start(
    ['supervisor/main.ts', 'bench/jobs/growth.ts', ...flags],
    'ignore',
  )
  const look = async () => {
    const { exitCode } = supervisor
    if (exitCode !== null) throw new RefusalError(`the supervisor ended with code ${exitCode}`)
    const { committed } = (await measure(store, keys)).totals
    return { committed, at: systemClock.elapsed() }
  }
  const past = (records: number) => async () => {
    const seen = await look()
    return seen.committed >= records ? seen : null
  }
  const within = { timeoutMs: TIMEOUT_MS, everyMs: 20 }
  const from = await until('the first records', past(count * WARM_FROM), within)
  const before = await threadMicros(cluster)
  const to = await until('the last records', past(count), within)
  const after = await threadMicros(cluster)
  await children.end(supervisor)
  await store.close()
  const records = to.committed - from.committed
  return {
    shards,
    recordsPerSecond: (records / (to.at - from.at)) * 1_000,
    threads: after.map((micros, i) => (micros - before[i]!) / records),
  }
}

async function joinsOf(cluster: Cluster, shards: number): Promise<JoinCost[]> {
  const joins: JoinCost[] = []
  if (shards === 1) return joins
  for (const groups of GROUPS) {
    joins.push(await joinCost(cluster, configOf(cluster), growthJob, { shards, groups }))
  }
  return joins
}

function configOf({ redisUrl }: Cluster): Config {
  return readConfig({ REDIS_URL: redisUrl })
}

function textOf(runs: readonly Run[], joins: readonly JoinCost[]): string {
  const micros = (value: number) => value.toFixed(2)
  const told = runs.map(({ shards, recordsPerSecond, threads }) => [
    String(shards),
    Math.round(recordsPerSecond).toLocaleString('en'),
    micros(Math.max(...threads)),
    micros(threads.reduce((sum, thread) => sum + thread, 0)),
  ])
  const heads = ['shards', 'records/s', 'busiest thread', 'all threads']
  const joined = joins.map(({ shards, groups, supervisorMicros, homeMicros }) => [
    String(shards),
    groups.toLocaleString('en'),
    micros(supervisorMicros),
    micros(homeMicros),
  ])
  const joinHeads = ['shards', 'groups', 'supervisor', 'first shard']
  return [
    'µs of Redis by record',
    ...aligned([heads, ...told]),
    '',
    'µs of joining, by group of a window that each shard has',
    ...aligned([joinHeads, ...joined]),
  ].join('\n')
}
