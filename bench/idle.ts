/**
 * What an idle pipeline costs: with 0 executors, the processor time of supervisor, bridge and web.
 *
 *   start everything → some records through it → wait for 0 executors → settle → measure
 *
 * Processor time is the kernel's own account (/proc/<pid>/stat, user and system). Linux only.
 *
 *   bun bench/idle.ts
 */
import { readFileSync } from 'node:fs'
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import { openStore } from '../actors/redis.ts'
import { Children } from '../demo/children.ts'
import studentsJob from '../jobs/students.ts'
import { freePort } from '../services/ports.ts'
import { createProgress } from '../cli/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import { supervisorRuntime } from '../supervisor/runtime.ts'

const command = {
  help: `
bun bench/idle.ts [--settle SECONDS] [--seconds N]

Measures the processor time of an idle pipeline, with a Kafka and a Redis of its own.

  --settle SECONDS   between the last executor's end and the measurement (10)
  --seconds N        how long is measured (20)`,
  options: { settle: { type: 'string' }, seconds: { type: 'string' } },
} as const

/** USER_HZ is 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100
const RECORDS = 1_000
const START_TIMEOUT_MS = 60_000
/** What the pipeline's own processes may use together, in % of one core. */
const PROMISE_PERCENT = 1

await runMain('idle', async () => {
  const { values } = parseFlags(command)
  const range = { from: 1, to: 3_600 }
  const settle = wholeNumberFlag('settle', values.settle, range) ?? 10
  const seconds = wholeNumberFlag('seconds', values.seconds, range) ?? 20
  const services = await startServices({ log: createProgress() })
  // As package.json starts a supervisor.
  const environment = {
    ...supervisorRuntime,
    ...process.env,
    ...services.environment,
    LOG_LEVEL: 'warn',
  }
  const children = new Children(environment)
  try {
    const pids = await untilIdle(services, children)
    await systemClock.sleep(settle * 1_000)
    report(await usageOf(pids, seconds), seconds)
    return 0
  } finally {
    await children.stop()
    await services.stop()
  }
})

/** Everything has run once, and no executor is left; answers with the pids by role. */
async function untilIdle(services: Services, children: Children): Promise<Map<string, number>> {
  const produced = await children.run(['bench/fill.ts', '--count', String(RECORDS)])
  if (produced !== 0) throw new RefusalError(`bench/fill.ts ended with code ${produced}`)
  const port = String(await freePort())
  children.start(['supervisor/main.ts', '--from', 'earliest', '--port', port, '--quiet'], 'ignore')
  const store = openStore(readConfig(services.environment), createLog('idle', 'error'))
  const deadline = systemClock.elapsed() + START_TIMEOUT_MS
  try {
    for (;;) {
      const snapshot = await measure(store, keysOf(studentsJob.name)).catch(() => null)
      if (snapshot && isIdle(snapshot)) return pidsOf(services, snapshot)
      if (systemClock.elapsed() > deadline) {
        throw new RefusalError(`not idle after ${START_TIMEOUT_MS / 1_000} s`)
      }
      await systemClock.sleep(200)
    }
  } finally {
    await store.close()
  }
}

function isIdle({ totals, actors }: Snapshot): boolean {
  const living = actors.filter(({ alive }) => alive)
  return totals.committed >= RECORDS && !living.some(({ kind }) => kind === 'executor')
}

function pidsOf(services: Services, { actors }: Snapshot): Map<string, number> {
  const ours = actors
    .filter(({ alive }) => alive)
    .map(({ kind, pid }) => [kind as string, pid] as const)
  return new Map([...ours, ['Kafka', services.kafka.pid], ['Redis', services.redis.pid]])
}

/** % of one core by role. */
async function usageOf(pids: Map<string, number>, seconds: number): Promise<Map<string, number>> {
  const before = new Map([...pids].map(([name, pid]) => [name, ticksOf(pid)]))
  const startedAt = systemClock.elapsed()
  await systemClock.sleep(seconds * 1_000)
  const ticks = ((systemClock.elapsed() - startedAt) / 1_000) * TICKS_PER_SECOND
  return new Map(
    [...pids].map(([name, pid]) => [name, ((ticksOf(pid) - before.get(name)!) / ticks) * 100]),
  )
}

function ticksOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; the fields after it do not.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function report(usage: Map<string, number>, seconds: number): void {
  process.stdout.write(`idle, 0 executors, over ${seconds} s, of one core:\n`)
  let ours = 0
  for (const [name, percent] of usage) {
    process.stdout.write(`  ${name.padEnd(12)} ${percent.toFixed(2)} %\n`)
    if (name !== 'Kafka' && name !== 'Redis') ours += percent
  }
  process.stdout.write(
    `supervisor, bridge and web together ${ours.toFixed(2)} % (promised: less than ${PROMISE_PERCENT} %)\n`,
  )
}
