/**
 * `bun run bench`: how fast the pipeline takes a topic that is in Kafka already, from start to end.
 *
 *   fill the topic → start the supervisor → wait for the last record's commit → verify
 *
 * Kafka, Redis, every actor and this program share the machine; CPU is told for each of them, from
 * the kernel's own accounts. Linux only.
 */
import { cpus } from 'node:os'
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure } from '../actors/measure.ts'
import { openStore, type Store, untilReady } from '../actors/redis.ts'
import { Children } from '../demo/children.ts'
import { freePort } from '../services/ports.ts'
import { createProgress } from '../services/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import { Usage } from './usage.ts'

const command = {
  help: `
Usage: bun run bench [--count N] [--partitions N] [--max N] [--rounds N]

Fills a topic and measures how fast the shipped job takes it, Kafka and Redis on the same machine.

  --count N        records (5,000,000)
  --partitions N   partitions of the topic (4)
  --max N          executors at the most (4)
  --rounds N       runs over the same topic (3); the median is told
  --help           this text`,
  options: {
    count: { type: 'string' },
    partitions: { type: 'string' },
    max: { type: 'string' },
    rounds: { type: 'string' },
  },
} as const

const topic = 'cs_student_logs'

interface Round {
  seconds: number
  firstResultSeconds: number
  cpuMicros: Record<string, number>
  peakBytes: number
  redisGrowthBytes: number
  /** The longest that one command held Redis, by its own slow log; ms. */
  redisLongestMs: number
}

await runMain('bench', async () => {
  const { values } = parseFlags(command)
  const number = (name: keyof typeof values, fallback: number, to: number) =>
    wholeNumberFlag(name, values[name], { from: 1, to }) ?? fallback
  const count = number('count', 5_000_000, 1_000_000_000)
  const partitions = number('partitions', 4, 64)
  const max = number('max', 4, 64)
  const rounds = number('rounds', 3, 20)
  const services = await startServices({ log: createProgress() })
  const children = new Children({ ...process.env, ...services.environment, LOG_LEVEL: 'warn' })
  try {
    await run(children, [
      'bench/fill.ts',
      '--topic',
      topic,
      '--count',
      String(count),
      '--partitions',
      String(partitions),
    ])
    const results: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      const result = await playRound(services, children, count, max)
      results.push(result)
      say(`round ${round}: ${describe(result, count)}`)
    }
    report(results, count)
    return 0
  } finally {
    await children.stop()
    await services.stop()
  }
})

/** One run from nothing: Redis is ours alone, so it is emptied before. */
async function playRound(
  services: Services,
  children: Children,
  count: number,
  max: number,
): Promise<Round> {
  const config = readConfig({ ...services.environment })
  const store = openStore(config, createLog('bench', 'error'))
  await untilReady(store)
  await store.redis.flushall()
  await store.redis.config('SET', 'slowlog-log-slower-than', 1_000, 'slowlog-max-len', 1_000)
  await store.redis.slowlog('RESET')
  const before = await usedMemory(store)
  const usage = new Usage({ kafka: services.kafka.pid, redis: services.redis.pid })
  const started = systemClock.elapsed()
  const port = String(await freePort())
  const limits = ['--max', String(max)]
  const supervisor = children.start(
    ['supervisor/main.ts', '--from', 'earliest', '--fresh', ...limits, '--port', port, '--quiet'],
    'ignore',
  )
  usage.follow('supervisor', supervisor.pid)
  const timing = await untilCommitted(store, count, started, usage)
  const redisLongestMs = await longestMs(store)
  const cpuMicros = usage.microsPer(count)
  const result = { ...timing, cpuMicros, peakBytes: usage.peakBytes, redisLongestMs }
  await run(children, ['verify/main.ts', '--wait', '60'])
  const redisGrowthBytes = (await usedMemory(store)) - before
  await children.end(supervisor)
  await store.close()
  return { ...result, redisGrowthBytes }
}

async function untilCommitted(store: Store, count: number, started: number, usage: Usage) {
  const keys = keysOf('students')
  let firstResultSeconds = 0
  for (;;) {
    usage.sample()
    const { totals } = await measure(store, keys)
    const seconds = (systemClock.elapsed() - started) / 1_000
    if (totals.committed > 0 && firstResultSeconds === 0) firstResultSeconds = seconds
    if (totals.committed >= count) return { seconds, firstResultSeconds }
    if (seconds > 600) throw new RefusalError(`only ${totals.committed} records after 10 minutes`)
    await systemClock.sleep(50)
  }
}

async function run(children: Children, parts: string[]): Promise<void> {
  const code = await children.run(parts)
  if (code !== 0) throw new RefusalError(`${parts[0]} ended with code ${code}`)
}

async function longestMs(store: Store): Promise<number> {
  const entries = (await store.redis.slowlog('GET', 1_000)) as [number, number, number][]
  return Math.max(0, ...entries.map(([, , micros]) => micros)) / 1_000
}

async function usedMemory(store: Store): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await store.redis.info('memory'))?.[1] ?? 0)
}

function report(results: Round[], count: number): void {
  const sorted = results.toSorted((a, b) => a.seconds - b.seconds)
  const median = sorted[Math.floor(sorted.length / 2)]!
  say(`${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}, Bun ${Bun.version}`)
  say(`median of ${results.length}: ${describe(median, count)}`)
  for (const [name, micros] of Object.entries(median.cpuMicros)) {
    say(`  CPU ${name.padEnd(10)} ${micros.toFixed(2)} µs a record`)
  }
}

function describe(round: Round, count: number): string {
  return [
    `${count.toLocaleString('en')} records in ${round.seconds.toFixed(2)} s`,
    `${Math.round(count / round.seconds).toLocaleString('en')}/s from start to end`,
    `first result after ${round.firstResultSeconds.toFixed(2)} s`,
    `peak ${(round.peakBytes / 2 ** 20).toFixed(0)} MiB in all actors`,
    `longest Redis call ${round.redisLongestMs.toFixed(1)} ms`,
    `Redis +${(round.redisGrowthBytes / 2 ** 20).toFixed(1)} MiB afterwards, windows included`,
  ].join(', ')
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
