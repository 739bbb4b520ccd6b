/**
 * A pipeline with a fixed number of executors, and what a benchmark asks of it.
 */
import type { Subprocess } from 'bun'
import { readConfig } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import { openStore, type Store, untilReady } from '../actors/redis.ts'
import { until } from '../faults/until.ts'
import { freePort } from '../services/ports.ts'
import { supervisorRuntime } from '../supervisor/runtime.ts'
import type { Own } from './own.ts'

export interface PipelineOptions {
  job: { file: string; name: string }
  executors: number
  from: 'earliest' | 'latest'
  /** Of the pipeline's processes, besides what all have. */
  environment?: Record<string, string>
}

export interface Pipeline {
  store: Store
  keys: Keys
  supervisor: Subprocess
  /** Of its page. */
  url: string
  snapshot(): Promise<Snapshot>
  end(): Promise<void>
}

/** Redis is the benchmark's alone, so it is emptied before. Resolves when the supervisor is started. */
export async function startPipeline(own: Own, options: PipelineOptions): Promise<Pipeline> {
  const { services } = own
  // As package.json starts a supervisor.
  const children = own.childrenWith({ ...supervisorRuntime, ...options.environment })
  const store = openStore(readConfig({ ...services.environment }), createLog('bench', 'error'))
  await untilReady(store)
  await store.redis.flushall()
  const keys = keysOf(options.job.name)
  const executors = ['--min', String(options.executors), '--max', String(options.executors)]
  const free = await freePort()
  const port = ['--port', String(free)]
  const flags = ['--from', options.from, '--fresh', ...executors, ...port, '--quiet']
  const command = ['supervisor/main.ts', options.job.file, ...flags]
  // It warns of what is meant here: that Kafka knows more of the job than the emptied Redis.
  const supervisor = children.start(command, 'ignore')
  return {
    store,
    keys,
    supervisor,
    url: `http://127.0.0.1:${free}`,
    snapshot: async () => {
      const { exitCode } = supervisor
      if (exitCode !== null) throw new RefusalError(`the supervisor ended with code ${exitCode}`)
      return measure(store, keys)
    },
    end: async () => {
      await children.end(supervisor)
      await store.close()
    },
  }
}

/** The bridge has the topic, and every executor works. */
export async function untilRunning(pipeline: Pipeline, executors: number): Promise<void> {
  const running = async () => {
    const { actors, partitions } = await pipeline.snapshot()
    const working = actors.filter(
      ({ kind, state, alive }) => kind === 'executor' && state === 'running' && alive,
    )
    return partitions.length > 0 && working.length === executors
  }
  await until(`the bridge and ${executors} executors`, running, { timeoutMs: 60_000 })
}

/** Everything that is in Kafka has been read, and all that was read is committed. */
export async function untilCaughtUp({ snapshot }: Pipeline, timeoutMs: number): Promise<void> {
  const caughtUp = async () => {
    const { totals, partitions } = await snapshot()
    return totals.appended === totals.committed && partitions.every((one) => one.next === one.high)
  }
  await until('everything to be committed', caughtUp, { timeoutMs, everyMs: 100 })
}

export interface LoadOptions {
  topic: string
  /** Records a second. */
  rate: number
  partitions: number
  /** Different groups; the shipped job's own 25 where it is absent. */
  groups?: number
}

/** A producer in a process of its own; ends it with the function that is answered. */
export function startLoad({ children }: Own, { topic, rate, partitions, groups }: LoadOptions) {
  const flags = ['--rate', String(rate), '--partitions', String(partitions)]
  if (groups !== undefined) flags.push('--groups', String(groups))
  const load = children.start(['bench/load.ts', '--topic', topic, ...flags], 'ignore')
  const end = async () => {
    const { exitCode } = load
    if (exitCode !== null) throw new RefusalError(`the load ended by itself, with code ${exitCode}`)
    await children.end(load)
  }
  return { pid: load.pid, end }
}
