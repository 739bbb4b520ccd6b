/**
 * Whether memory stays flat: what each process has over a long time at a steady rate.
 *
 *   own Kafka and Redis → pipeline and load → every so often the memory of each → table by spans
 *
 * Memory is what a process has of its own. Files that it has mapped are told apart: of Bun's code, some
 * 44 MiB, each process of Bun on the machine counts its part in a proportional set size, so that with
 * four of them it is 11 MiB and with twenty 2, and a process seems to grow whenever somebody else's ends.
 * Linux only.
 *
 *   bun bench/memory.ts --minutes 60
 */
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { SHIPPED_JOB } from '../actors/load.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import studentsJob from '../jobs/students.ts'
import { machineFacts, machineText } from './machine.ts'
import { type Own, withOwn } from './own.ts'
import { type Pipeline, startLoad, startPipeline, untilRunning } from './pipeline.ts'
import { aligned } from './report.ts'
import { ownBytes } from './usage.ts'
import { versionsOf } from './versions.ts'

const command = {
  help: `
bun bench/memory.ts [options]

Shows the memory of each process over time at a steady rate, with a Kafka and a Redis of its own.

  --rate N           records a second (1,000)
  --minutes N        how long (60)
  --every SECONDS    between two looks (10)
  --executors N      pinned (1)
  --json FILE        every look as JSON besides
  --help             this text`,
  options: {
    rate: { type: 'string' },
    minutes: { type: 'string' },
    every: { type: 'string' },
    executors: { type: 'string' },
    json: { type: 'string' },
  },
} as const

const PARTITIONS = 4
/** Rows of the table. */
const SPANS = 12
const MIB = 2 ** 20

interface Look {
  /** Since the load began. */
  seconds: number
  /** MiB of its own, by role. */
  memory: Record<string, number>
  /** MiB of files, as the share of all of these processes. */
  files: number
  committed: number
}

await runMain('memory', async () => {
  const { values } = parseFlags(command)
  const rate = wholeNumberFlag('rate', values.rate, { from: 1, to: 1_000_000 }) ?? 1_000
  const minutes = wholeNumberFlag('minutes', values.minutes, { from: 1, to: 10_080 }) ?? 60
  const every = wholeNumberFlag('every', values.every, { from: 1, to: 600 }) ?? 10
  const executors = wholeNumberFlag('executors', values.executors, { from: 1, to: 4 }) ?? 1
  const machine = machineFacts()
  return withOwn(async (own) => {
    const versions = await versionsOf(own.services)
    const config = readConfig({ ...own.services.environment })
    await ensureTopic(kafkaClient(config, 'millrace-memory'), studentsJob.topic, PARTITIONS)
    const job = { file: SHIPPED_JOB, name: studentsJob.name }
    const pipeline = await startPipeline(own, { job, executors, from: 'latest' })
    await untilRunning(pipeline, executors)
    const load = startLoad(own, { topic: studentsJob.topic, rate, partitions: PARTITIONS })
    const looks = await watch(own, pipeline, minutes * 60, every)
    await load.end()
    await pipeline.end()
    process.stdout.write(`\n${machineText(machine, versions)}\n${report(looks, rate)}\n`)
    if (values.json)
      await Bun.write(values.json, `${JSON.stringify({ machine, versions, looks })}\n`)
    return 0
  })
})

async function watch(
  own: Own,
  pipeline: Pipeline,
  seconds: number,
  every: number,
): Promise<Look[]> {
  const looks: Look[] = []
  const started = systemClock.elapsed()
  for (;;) {
    const elapsed = (systemClock.elapsed() - started) / 1_000
    looks.push(await look(own, pipeline, elapsed))
    if (elapsed >= seconds) return looks
    await systemClock.sleep(every * 1_000)
  }
}

async function look(own: Own, pipeline: Pipeline, seconds: number): Promise<Look> {
  const { actors, totals } = await pipeline.snapshot()
  const pids = actors.filter(({ alive }) => alive).map(({ kind, pid }) => [kind, pid] as const)
  const memory: Record<string, number> = {}
  let files = 0
  for (const [role, pid] of [...pids, ['redis', own.services.redis.pid] as const]) {
    const bytes = ownBytes(pid ?? 0)
    memory[role] = (memory[role] ?? 0) + bytes.own / MIB
    files += bytes.files / MIB
  }
  return { seconds, memory, files, committed: totals.committed }
}

/** The mean of each span, by role; then of all together in the second quarter, warm, and in the last. */
function report(looks: readonly Look[], rate: number): string {
  const roles = [...new Set(looks.flatMap(({ memory }) => Object.keys(memory)))]
  const span = Math.max(1, Math.ceil(looks.length / SPANS))
  const rows: string[][] = []
  for (let first = 0; first < looks.length; first += span) {
    const part = looks.slice(first, first + span)
    const means = roles.map((role) => mean(part.map(({ memory }) => memory[role] ?? 0)))
    const all = means.reduce((sum, one) => sum + one, 0)
    const until = `${(part.at(-1)!.seconds / 60).toFixed(0)} min`
    const files = mean(part.map((look) => look.files))
    rows.push([until, ...[...means, all, files].map((one) => one.toFixed(1))])
  }
  const all = looks.map(({ memory }) => Object.values(memory).reduce((sum, one) => sum + one, 0))
  const quarter = Math.floor(looks.length / 4)
  const second = mean(all.slice(quarter, 2 * quarter))
  const last = mean(all.slice(-quarter))
  return [
    `memory at ${rate.toLocaleString('en')} records/s, MiB of their own, means; ${looks.at(-1)!.committed.toLocaleString('en')} records`,
    ...aligned([['until', ...roles, 'together', 'files'], ...rows]),
    `second quarter ${second.toFixed(1)}, last ${last.toFixed(1)}, most of a look ${Math.max(...all).toFixed(1)} MiB`,
  ].join('\n')
}

function mean(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : numbers.reduce((sum, one) => sum + one, 0) / numbers.length
}
