/**
 * A sink of closed windows: what a job declares, and what a sink has to be able to do. A sink is one file
 * of this folder; what is common to all of them (who runs them, positions, leases, retries) is in
 * delivery.ts, whose head tells how the whole works.
 *
 *   defineJob({ …, sinks: [postgres({ urlFrom: 'WAREHOUSE_URL', table: 'activity' }), files({ … })] })
 */
import type { Clock } from '../clock.ts'
import { UsageError } from '../errors.ts'
import { type Job, JobError } from '../job.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'
import type { Revising, Revision } from '../windows/revisions.ts'
import type { GroupRow } from '../windows/read.ts'

export type Environment = Record<string, string | undefined>

/** The part of a job that a sink may need: also what its tests pass. */
export type SinkJob = Pick<Job, 'name' | 'topic' | 'topics' | 'groups' | 'aggregates' | 'gapMs'> &
  Partial<Revising>

/**
 * A row with its group's JSON text. Of all rows that a job ever closes, group and end name one: also of
 * sessions, where two of a group may begin at the same time, as a late record moves the start of the later.
 */
export interface ClosedRow extends GroupRow {
  group: string
  /** The window's, or the session's own. */
  start: number
  end: number
}

/**
 * A closed window with all of its rows, in the order of their groups' text, and then of their ends. Times
 * in epoch ms. Of sessions it is a closing: all that ended after `start`, up to and with `end`.
 */
export interface ClosedWindow {
  start: number
  end: number
  /** Counts the job's closed windows from 1; 0 for one that was closed before they were counted. */
  number: number
  rows: readonly ClosedRow[]
  /** Which telling of the window it is; null, or absent, where the job tells each once. */
  revision?: Revision | null
  /** The place behind it, as text that a sink keeps with the rows and does not look into. */
  position: string
}

export interface Batch {
  /** Where the sink is: a sink that keeps its position itself must refuse if it is elsewhere. */
  expected: string | null
  /** Where it is with this batch. */
  position: string
  /** Oldest first; empty where a window that was refused is passed over. */
  windows: readonly ClosedWindow[]
}

export interface SinkContext {
  job: SinkJob
  environment: Environment
  clock: Clock
  log: Log
  /** The job's own Redis. */
  store: Store
  /** The position that the job's Redis has for the sink, which may be older than the sink's own. */
  kept: string | null
}

/** A sink that is open. Whatever it rejects with, it is closed and opened anew. */
export interface SinkConnection {
  /** The position that the sink has beside its rows; absent where Redis keeps it. */
  position?: () => Promise<string | null>
  /**
   * Writes the rows, and the position with them in one transaction where the sink keeps it. The signal
   * aborts when it took too long, or when another process may have taken over.
   * @throws SinkRefusal for what will never be accepted, SinkFenced where another one writes
   */
  write: (batch: Batch, signal: AbortSignal) => Promise<void>
  close: () => Promise<void>
}

/** What is done with a window that a sink refuses for good. */
export const refusals = ['hold', 'skip'] as const
export type OnRefusal = (typeof refusals)[number]

/** What every sink can be given. */
export interface SinkOptions {
  /** Unique among the job's sinks, as its place is kept by it; the kind by default. */
  name?: string
  /**
   * A window that the sink refuses for good is waited for (`hold`, the default), or passed over and
   * counted as skipped (`skip`). Both are told.
   */
  onRefusal?: OnRefusal
  /** Also the open windows that have changed, as often as the job's `updates` says. Default false. */
  updates?: boolean
}

export interface Sink {
  kind: string
  name: string
  onRefusal: OnRefusal
  /** Whether it is given open windows too. */
  updates?: boolean
  /** Windows of a batch at the most: 1 where what was written of one that failed is written again. */
  windowsMax?: number
  /**
   * Where it writes to, for people, without secrets.
   * @throws UsageError that names the option or the variable of the environment that can't be used
   */
  address: (job: SinkJob, environment: Environment) => string
  open: (context: SinkContext) => Promise<SinkConnection>
}

/** The rows are refused whenever they are offered, as by a constraint of a table. */
export class SinkRefusal extends Error {
  override name = 'SinkRefusal'
}

/** Another process has written meanwhile: where the sink is must be asked again. */
export class SinkFenced extends Error {
  override name = 'SinkFenced'
}

/** The common part of a declaration, checked. @throws JobError */
export function declared(
  kind: string,
  options: SinkOptions,
): Pick<Sink, 'kind' | 'name' | 'onRefusal' | 'updates'> {
  const { name = kind, onRefusal = 'hold', updates = false } = options
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9_-]{0,63}$/.test(name)) {
    throw new JobError(
      `a sink's name must be 1 to 64 lower-case letters, digits, - or _, not ${JSON.stringify(name)}`,
    )
  }
  if (!refusals.includes(onRefusal)) {
    throw new JobError(
      `sink ${name}: onRefusal must be ${refusals.join(' or ')}, not ${JSON.stringify(onRefusal)}`,
    )
  }
  if (typeof updates !== 'boolean') {
    throw new JobError(`sink ${name}: updates must be true or false`)
  }
  return { kind, name, onRefusal, updates }
}

/** Secrets and addresses come by the names of variables: a job file holds none. @throws UsageError */
export function fromEnvironment(
  sink: string,
  variable: string,
  environment: Environment,
  allowed: string,
): string {
  const value = environment[variable]
  if (!value) {
    throw new UsageError(`sink ${sink}: the environment must have ${variable}, ${allowed}`)
  }
  return value
}

/** The name of a variable, as an option of a sink. @throws JobError */
export function variableName(sink: string, option: string, value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(value)) return value
  // Not told: somebody may have put the secret itself here.
  throw new JobError(
    `sink ${sink}: ${option} must be the name of a variable of the environment, such as WAREHOUSE_URL`,
  )
}

/** Looks at what all sinks of a job need before anything starts. @throws UsageError */
export function checkSinks(job: Job, environment: Environment): void {
  for (const sink of job.sinks) sink.address(job, environment)
}
