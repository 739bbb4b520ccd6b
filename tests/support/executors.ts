/**
 * Executors inside of the test process, against a real Redis, with what a test may do to them: take
 * their replies, or make them dead from one moment to the next, as SIGKILL would.
 */
import { type Clock, systemClock } from '../../actors/clock.ts'
import { bounds } from '../../actors/config.ts'
import { Executor } from '../../actors/executor/executor.ts'
import { Stats } from '../../actors/executor/stats.ts'
import type { Job } from '../../actors/job.ts'
import { keysOf } from '../../actors/keys.ts'
import { Lifecycle } from '../../actors/lifecycle.ts'
import type { FunctionName, Store } from '../../actors/redis.ts'
import { uniqueName } from '../../faults/names.ts'
import { connect, silentLog } from './redis.ts'

/** Sees each call before it is made; what it answers with is the reply, or its error. */
export type Tamper = (name: FunctionName, call: () => Promise<unknown>) => Promise<unknown>

export interface RunningExecutor {
  id: string
  life: Lifecycle
  stats: Stats
  writer: Store
  /** Settles when run() does: with undefined, or with what it was rejected with. */
  ended: Promise<unknown>
  /** No call, no heartbeat and no step more from now on; its lease is left to run out. */
  kill(): Promise<void>
  /** Asks it to drain, waits for its end, says goodbye. */
  drain(): Promise<void>
}

export interface ExecutorSetup {
  tamper?: Tamper
  url?: string
  clock?: Partial<Clock>
}

/** An outage as ioredis tells it: the outcome is unknown. */
export const lostReply = () => new Error('Command timed out')

export async function startExecutor(job: Job, setup: ExecutorSetup = {}): Promise<RunningExecutor> {
  const { tamper, url } = setup
  const keys = keysOf(job.name)
  const inner = await connect({}, url)
  const reader = await connect({ blockMs: bounds.readBlockMs }, url)
  let dead = false
  const tampered =
    (send: Store['call']): Store['call'] =>
    (name, base, args) => {
      const call = () => send(name, base, args)
      return tamper ? tamper(name, call) : call()
    }
  const callBuffer = tampered(inner.callBuffer)
  const writer: Store = { ...inner, call: tampered(inner.call), callBuffer }
  const clock: Clock = {
    ...systemClock,
    ...setup.clock,
    // What is dead does not try again.
    sleep: (ms, signal) => (dead ? new Promise(() => {}) : systemClock.sleep(ms, signal)),
  }
  const stats = new Stats()
  const options = { store: writer, keys, clock, log: silentLog }
  const life = new Lifecycle({ kind: 'executor', id: uniqueName('e'), ...options })
  await life.beat()
  const beats = setInterval(() => void life.beatQuietly(), bounds.heartbeatMs)
  const executor = new Executor({ job, keys, reader, writer, clock, log: silentLog, life, stats })
  const close = async () => {
    clearInterval(beats)
    await Promise.all([inner.close(), reader.close()])
  }
  const ended = executor.run().catch((error: unknown) => error)
  return {
    id: life.id,
    life,
    stats,
    writer,
    ended,
    async kill() {
      dead = true
      await close()
    },
    async drain() {
      life.drain('the test asks')
      const error = await ended
      if (error !== undefined) throw error
      await life.leave()
      await close()
    },
  }
}
