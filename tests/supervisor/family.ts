/** A supervisor's parts over a real Redis, with stand-in children, for one test. */
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { measure, type Snapshot } from '../../actors/measure.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { bunCommand, spawner } from '../../supervisor/child.ts'
import { ExecutorFleet } from '../../supervisor/fleet.ts'
import { Register } from '../../supervisor/register.ts'
import type { RestartPolicy } from '../../supervisor/restarts.ts'
import { uniqueName } from '../../faults/names.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'

/** A fleet of the real program, of which some wait warm, in place of stand-ins. */
export interface RealExecutors {
  warm: number
  /** What their environment has beside the services' addresses. */
  environment?: Record<string, string>
  /** Runs in each before its own code. */
  preload?: string | null
  hungMs?: number
}

export type Mode = 'good' | 'deaf' | 'refuses' | 'mute'

export interface Family {
  job: string
  keys: Keys
  store: Store
  register: Register
  fleet: ExecutorFleet
  wakes: () => number
  snapshot: () => Promise<Snapshot>
  /** One look towards the target. */
  look: (target: number, max?: number) => Promise<Snapshot>
  /** Looks until the condition holds of a snapshot. */
  lookUntil: (what: string, target: number, holds: (now: Snapshot) => boolean) => Promise<Snapshot>
  close: () => Promise<void>
}

export const quiet = createLog('test', 'error', () => {})

export async function openJob(label: string): Promise<{ job: string; keys: Keys; store: Store }> {
  const job = uniqueName(label)
  const { environment } = await testServices()
  const store = openStore(readConfig(environment), quiet)
  await untilReady(store)
  return { job, keys: keysOf(job), store }
}

export async function createFamily(
  label: string,
  mode: Mode,
  restarts: RestartPolicy,
  graceMs = 300,
  real: RealExecutors | null = null,
): Promise<Family> {
  const { job, keys, store } = await openJob(label)
  const { environment } = await testServices()
  const clock = systemClock
  const register = new Register(store, keys, clock)
  let woken = 0
  const standin = join(import.meta.dir, 'standin.ts')
  const fleet = new ExecutorFleet({
    spawn: spawner({
      command: (_, id, warm) =>
        real
          ? executorCommand(id, warm, real.preload)
          : [process.execPath, standin, mode, job, '--id', id],
      output: () => {},
      clock,
      environment: { ...process.env, ...environment, ...namesOf(job), ...real?.environment },
    }),
    warm: real?.warm ?? 0,
    hungMs: real?.hungMs ?? Infinity,
    restarts,
    register,
    clock,
    log: quiet,
    wake: () => void woken++,
    graceMs,
  })
  const snapshot = () => measure(store, keys)
  const look = async (target: number, max = Infinity) => {
    const now = await snapshot()
    register.observe(now)
    await fleet.reconcile(now, { target, max }, 'test')
    return now
  }
  return {
    job,
    keys,
    store,
    register,
    fleet,
    wakes: () => woken,
    snapshot,
    look,
    async lookUntil(what, target, holds) {
      return until(what, async () => {
        const now = await look(target)
        return holds(now) ? now : null
      })
    },
    async close() {
      fleet.ward.kill()
      await fleet.ward.settled()
      await store.close()
    },
  }
}

const root = join(import.meta.dir, '../..')

/** As the supervisor starts one, of a job whose names come from the environment (`namesOf`). */
export function executorCommand(id: string, warm: boolean, preload?: string | null): string[] {
  const [bun, ...rest] = bunCommand(join(root, 'actors/executor/main.ts'), [
    join(root, 'faults/jobs/students.ts'),
    '--id',
    id,
    ...(warm ? ['--warm'] : []),
  ])
  return [bun!, ...(preload ? ['--preload', preload] : []), ...rest]
}

export const namesOf = (job: string) => ({ MILLRACE_TEST_JOB: job, MILLRACE_TEST_TOPIC: job })

export const inState = (snapshot: Snapshot, state: string) =>
  snapshot.actors.filter((actor) => actor.state === state)
