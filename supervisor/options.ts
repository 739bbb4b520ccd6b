/**
 * What a supervisor is given: its job, its connections, its limits, and who runs what. Time, chance and
 * processes are among it, so that a simulation runs the same supervisor.
 */
import type { Clock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import type { Store } from '../actors/redis.ts'
import type { Foundlings, Spawn } from './child.ts'
import type { InitialLimits } from './control.ts'
import type { Machine } from './places.ts'
import type { Pulse } from './pulse.ts'
import type { Decision } from './reasons.ts'
import type { Tenancy } from './tenancy.ts'

/** What a supervisor runs besides executors. */
export const relatives = ['bridge', 'sinks', 'web'] as const
export type Relative = (typeof relatives)[number]

/** Who starts executors, and as what: we, as processes or pods, or somebody else by what we decide. */
export const fleets = ['processes', 'kubernetes', 'elsewhere'] as const
export type FleetKind = (typeof fleets)[number]

export interface SupervisorOptions {
  id: string
  job: Job
  keys: Keys
  store: Store
  clock: Clock
  log: Log
  pulse: Pulse
  spawn: Spawn
  limits: InitialLimits
  pricePerHour: number
  /** Processor cores that executors can keep busy; this machine's by default. */
  cores?: number
  /** Cores of it that idle now; not known by default. */
  room?: () => number | null
  /** Memory of an executor over which it is killed; no bound where it is absent. */
  executorMemoryMaxBytes?: number
  /** What this machine has for the job's executors, which several may share; null where they are not here. */
  machine?: Machine | null
  /** Executor processes that wait, loaded, until one more is needed; none by default. */
  warm?: number
  /** Whether a web process belongs to the family. */
  web: boolean
  /** Actors of the family that somebody else runs; none by default. */
  without?: ReadonlySet<Relative>
  /** Who starts and ends executors: we do by default, or another by what we decide. */
  scales?: boolean
  /** Where executors live that outlive us; nowhere by default. */
  foundlings?: Foundlings | undefined
  /** What is wrong with the servers, null for nothing: the job is degraded by it. */
  complaint?: () => string | null
  /** Hash of the job's code: records from a change of it on are judged by another; null where unknown. */
  code?: string | null
  /** Told, again and again, that a version of the job takes its place: it is to end. */
  onReplaced?: (by: string) => void
  /** The job's place beside others on the same Redis; none by default. */
  tenancy?: Tenancy
  /** Told of each decision that changed something. */
  onDecision?: (decision: Decision) => void
}
