/**
 * Where a fault happens: servers, a pipeline of real processes on them, records that come in, a
 * monitor that watches all the while; and behind the fault the checks.
 *
 *   servers → pipeline → records → monitor → the fault happens → work goes on → drained → verified
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import type { Services } from '../services/services.ts'
import { EXECUTORS_MAX, type Fault, type Outcome, type Recovery, type Setting } from './fault.ts'
import { fill, type Load, produce } from './load.ts'
import { type Monitor, watch } from './monitor.ts'
import { type Addresses, type Pipeline, type PipelineOptions } from './pipeline.ts'
import { withPipeline } from './with-pipeline.ts'
import type { Sample } from './sample.ts'
import { type OwnServers, type Proxies, startOwn } from './servers.ts'
import { CANARY, settle } from './settle.ts'
import { until, type UntilOptions } from './until.ts'

const RATE = 2_000
const RECOVERY_TIMEOUT_MS = 60_000

/** Whom a run of faults belongs to: the servers that it shares, and the job. */
export interface Ground {
  shared(): Promise<Addresses>
  /** A user's own job; the shipped one where it is absent. */
  own?: OwnJob
  /** Ends what is being played; everything that it started is gone then. */
  signal?: AbortSignal
  /** A failed pipeline's last words go into its log, and not to stderr too. */
  discreet?: boolean
}

export interface OwnJob {
  file: string
  names: { job: string; topic: string }
  sample: Sample
}

/** Jobs that depend on records of the shipped form. */
export const needsShippedJob = ({ shippedJobOnly, setting }: Fault): boolean =>
  shippedJobOnly === true || setting?.job !== undefined

export class World {
  readonly pipeline: Pipeline
  readonly setting: Setting
  readonly #told: Pick<Outcome, 'recoveries' | 'notes'>
  readonly #own: OwnServers | null
  #load: Load | null = null
  monitor: Monitor | null = null

  constructor(
    pipeline: Pipeline,
    setting: Setting,
    own: OwnServers | null,
    told: Pick<Outcome, 'recoveries' | 'notes'>,
  ) {
    this.#told = told
    this.pipeline = pipeline
    this.setting = setting
    this.#own = own
  }

  /** The servers, where they are this world's own. */
  get services(): Services {
    if (!this.#own) throw new Error('this fault must have servers of its own')
    return this.#own.services
  }

  /** What stands between the pipeline and its servers. */
  get proxies(): Proxies {
    if (!this.#own?.proxies) throw new Error('this fault must have proxied servers')
    return this.#own.proxies
  }

  /** A server that a fault starts besides; it ends with the others. */
  beside(server: OwnServers['beside'][number]): void {
    this.#own?.beside.push(server)
  }

  async begin(): Promise<void> {
    const { backlog = 0, rate = RATE, unstarted, executorsMax, mayGoBack } = this.setting
    if (backlog > 0) await fill(this.pipeline, backlog)
    if (!unstarted) await this.pipeline.begin()
    const limits = { executorsMax: executorsMax ?? EXECUTORS_MAX, mayGoBack: mayGoBack ?? false }
    this.monitor = watch(this.pipeline, limits)
    if (rate > 0) this.#load = produce(this.pipeline, rate)
    if (!unstarted && rate + backlog > 0) await this.commits(1, 'the first records')
  }

  /** So many records at once, beside those that keep coming. */
  async fill(count: number, seed?: number, spanMs?: number): Promise<void> {
    await fill(this.pipeline, count, seed, spanMs)
  }

  async committed(): Promise<number> {
    return (await this.pipeline.snapshot()).totals.committed
  }

  /** Waits until so many more records are committed than at the first answer from now on. */
  async commits(records = 1, what = 'records to be committed', options: UntilOptions = {}) {
    const before = await until('the counters', async () => ({ now: await this.committed() }), {
      timeoutMs: RECOVERY_TIMEOUT_MS,
    })
    const more = async () => (await this.committed()) >= before.now + records
    await until(what, more, { timeoutMs: RECOVERY_TIMEOUT_MS, ...options })
  }

  /**
   * Times how long `condition` takes, from now on or since `startedAt`. Longer than `withinMs` is told with the outcome; it
   * fails a run only where that is asked for, since others may use the machine at the same time.
   */
  async recovers<T>(
    what: string,
    withinMs: number,
    condition: () => T | Promise<T>,
    startedAt = systemClock.elapsed(),
  ): Promise<T> {
    const timeoutMs = Math.max(RECOVERY_TIMEOUT_MS, 2 * withinMs)
    const value = await until(what, condition, { timeoutMs, everyMs: 10 })
    this.#told.recoveries.push({
      what,
      ms: Math.round(systemClock.elapsed() - startedAt),
      withinMs,
    })
    return value
  }

  /** A recovery that was timed elsewhere. */
  recovered(recovery: Recovery): void {
    this.#told.recoveries.push(recovery)
  }

  note(text: string): void {
    this.#told.notes.push(text)
  }

  /** No more records come: those that were sent are in Kafka. */
  async quiet(): Promise<void> {
    await this.#load?.end()
    this.#load = null
  }
}

/** Plays one fault from nothing to the verdict; what went wrong is in the outcome, not thrown. */
export async function play(fault: Fault, ground: Ground): Promise<Outcome> {
  const setting = fault.setting ?? {}
  const startedAt = systemClock.elapsed()
  const { id, title } = fault
  const outcome: Outcome = {
    id,
    title,
    ok: false,
    findings: [],
    seconds: 0,
    records: null,
    recoveries: [],
    notes: [],
    peaksMb: {},
    log: null,
  }
  let own: OwnServers | null = null
  try {
    own = (setting.servers ?? 'shared') === 'shared' ? null : await startOwn(setting, ground.shared)
    const addresses = own?.addresses ?? (await ground.shared())
    const options = {
      ...pipelineOptions(fault, own, addresses, ground),
      onFailure: (pipeline: Pipeline, words: string) => {
        outcome.log = pipeline.logFile
        if (ground.discreet) appendFileSync(pipeline.logFile, `${words}\n`)
        else process.stderr.write(`${words}\n`)
      },
    }
    await withPipeline(options, async (pipeline) => {
      outcome.records = await happen(fault, new World(pipeline, setting, own, outcome), outcome)
    })
    outcome.ok = true
  } catch (error) {
    outcome.findings.push(messageOf(error))
  } finally {
    await own?.stop()
  }
  return { ...outcome, seconds: (systemClock.elapsed() - startedAt) / 1_000 }
}

async function happen(fault: Fault, world: World, outcome: Outcome): Promise<number | null> {
  try {
    await world.begin()
    await fault.happens(world)
    return await settle(fault, world)
  } finally {
    outcome.peaksMb = { ...world.monitor?.peaksMb }
  }
}

/** Those that took longer than they should. */
export const slow = ({ recoveries }: Pick<Outcome, 'recoveries'>): Recovery[] =>
  recoveries.filter(({ ms, withinMs }) => ms > withinMs)

function pipelineOptions(
  fault: Fault,
  own: OwnServers | null,
  services: Addresses,
  { own: job, signal }: Ground,
): PipelineOptions {
  const { topic, args, environment, spinUs, job: name = 'students' } = fault.setting ?? {}
  const partitions = job ? job.sample.partitions : 4
  return {
    label: fault.id,
    job: job?.file ?? join(import.meta.dir, 'jobs', `${name}.ts`),
    ...(job ? { names: job.names, sample: job.sample } : {}),
    services,
    ...(own ? { direct: own.direct } : {}),
    ...(signal ? { signal } : {}),
    topic: { partitions, ...topic },
    ...(args ? { args } : {}),
    environment: {
      MILLRACE_TOKEN: CANARY,
      ...(spinUs ? { MILLRACE_TEST_SPIN_US: String(spinUs) } : {}),
      ...environment,
    },
  }
}
