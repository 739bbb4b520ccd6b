/**
 * One run of Millrace over the filled topic: start of the supervisor to the last record's commit;
 * then `verify` recomputes every row, and the rows are read for the peers to be compared with.
 */
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import { keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { openStore, type Store, untilReady } from '../actors/redis.ts'
import { readClosedWindows, readOpenWindows } from '../actors/windows/read.ts'
import type { Children } from '../demo/children.ts'
import studentsJob from '../jobs/students.ts'
import { freePort } from '../services/ports.ts'
import type { Services } from '../services/services.ts'
import { type Row, rowSchema } from './compare.ts'
import * as v from 'valibot'
import { type Round, type Sample, warmPerSecond } from './round.ts'
import { Usage } from './usage.ts'

export interface MillraceRound extends Round {
  /** Without Redis. */
  actorsPeakBytes: number
  redisGrowthBytes: number
  /** The longest that one command held Redis, by its own slow log; ms. */
  redisLongestMs: number
  rows: Row[]
}

const SAMPLE_EVERY_MS = 50
const TIMEOUT_SECONDS = 600

/** One run from nothing: Redis is the benchmark's alone, so it is emptied before. */
export async function playMillrace(
  services: Services,
  children: Children,
  count: number,
  max: number,
): Promise<MillraceRound> {
  const store = openStore(readConfig({ ...services.environment }), createLog('bench', 'error'))
  await prepare(store)
  const before = await usedMemory(store)
  const usage = new Usage({ kafka: services.kafka.pid, redis: services.redis.pid }, ['redis'])
  const started = systemClock.elapsed()
  const port = String(await freePort())
  const options = ['--from', 'earliest', '--fresh', '--max', String(max), '--port', port, '--quiet']
  const supervisor = children.start(['supervisor/main.ts', ...options], 'ignore')
  try {
    usage.follow('supervisor', supervisor.pid)
    const timing = await untilCommitted(store, count, started, usage)
    const redisLongestMs = await longestMs(store)
    const cpuMicros = usage.microsPer(count)
    const memory = { peakBytes: usage.peakWithOwnBytes, actorsPeakBytes: usage.peakBytes }
    await verify(children)
    const rows = await rowsOf(store, studentsJob)
    const redisGrowthBytes = (await usedMemory(store)) - before
    return { ...timing, ...memory, cpuMicros, redisLongestMs, redisGrowthBytes, rows }
  } finally {
    await children.end(supervisor)
    await store.close()
  }
}

async function prepare(store: Store): Promise<void> {
  await untilReady(store)
  await store.redis.flushall()
  await store.redis.config('SET', 'slowlog-log-slower-than', 1_000, 'slowlog-max-len', 1_000)
  await store.redis.slowlog('RESET')
}

async function untilCommitted(store: Store, count: number, started: number, usage: Usage) {
  const keys = keysOf(studentsJob.name)
  const samples: Sample[] = []
  let firstResultSeconds = 0
  for (;;) {
    usage.sample()
    const records = Number(await store.redis.hget(keys.totals, 'committed'))
    const seconds = (systemClock.elapsed() - started) / 1_000
    if (records > 0 && firstResultSeconds === 0) firstResultSeconds = seconds
    samples.push({ seconds, records })
    if (records >= count) {
      const warm = warmPerSecond(samples, count, seconds)
      return { seconds, firstResultSeconds, warmPerSecond: warm }
    }
    if (seconds > TIMEOUT_SECONDS) {
      throw new RefusalError(`only ${records} records after ${TIMEOUT_SECONDS / 60} minutes`)
    }
    await systemClock.sleep(SAMPLE_EVERY_MS)
  }
}

async function verify(children: Children): Promise<void> {
  const code = await children.run(['verify/main.ts', '--wait', '60'])
  if (code !== 0) throw new RefusalError(`verify/main.ts ended with code ${code}`)
}

/** Open windows first: one that closes in between is then in both, and the same. */
async function rowsOf(store: Store, job: Job): Promise<Row[]> {
  const keys = keysOf(job.name)
  const open = await readOpenWindows(store, keys, job)
  const closed = await readClosedWindows(store, keys, job)
  return [...open, ...closed].map(({ start, key, values }) =>
    v.parse(rowSchema, { start, ...key, ...values }),
  )
}

async function longestMs(store: Store): Promise<number> {
  const entries = (await store.redis.slowlog('GET', 1_000)) as [number, number, number][]
  return Math.max(0, ...entries.map(([, , micros]) => micros)) / 1_000
}

async function usedMemory(store: Store): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await store.redis.info('memory'))?.[1] ?? 0)
}
