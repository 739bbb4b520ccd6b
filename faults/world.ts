/**
 * Where a fault happens: servers, a pipeline of real processes on them, records that come in, a
 * monitor that watches all the while; and behind the fault the checks.
 *
 *   servers → pipeline → records → monitor → the fault happens → work goes on → drained → verified
 */
import { join } from 'node:path'
import { systemClock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import type { Services } from '../services/services.ts'
import type { Report } from '../verify/verify.ts'
import type { Fault, Outcome, Setting } from './fault.ts'
import { fill, type Load, produce } from './load.ts'
import { type Monitor, watch } from './monitor.ts'
import { type Addresses, type Pipeline, type PipelineOptions, withPipeline } from './pipeline.ts'
import { type OwnServers, type Proxies, startOwn } from './servers.ts'
import { until, type UntilOptions } from './until.ts'

const RATE = 2_000
const EXECUTORS_MAX = 4
const RECOVERY_TIMEOUT_MS = 60_000

/** Whom a run of faults belongs to: the servers that it shares, and the job. */
export interface Ground {
  shared(): Promise<Addresses>
}

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

  async begin(): Promise<void> {
    const { backlog = 0, rate = RATE, unstarted, executorsMax, mayGoBack } = this.setting
    if (backlog > 0) await fill(this.pipeline, backlog)
    if (!unstarted) await this.pipeline.begin()
    const limits = { executorsMax: executorsMax ?? EXECUTORS_MAX, mayGoBack: mayGoBack ?? false }
    this.monitor = watch(this.pipeline, limits)
    if (rate > 0) this.#load = produce(this.pipeline, rate)
    if (!unstarted && rate + backlog > 0) await this.commits(1, 'the first records')
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
   * Times how long `condition` takes from now on. Longer than `withinMs` is a finding only in the
   * report's figures where `scale` says that the machine is shared; it never goes unsaid.
   */
  async recovers<T>(what: string, withinMs: number, condition: () => T | Promise<T>): Promise<T> {
    const startedAt = systemClock.elapsed()
    const value = await until(what, condition, { timeoutMs: RECOVERY_TIMEOUT_MS, everyMs: 10 })
    this.#told.recoveries.push({
      what,
      ms: Math.round(systemClock.elapsed() - startedAt),
      withinMs,
    })
    return value
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
  const own = (setting.servers ?? 'shared') === 'shared' ? null : await startOwn(setting)
  const findings: string[] = []
  const recoveries: Outcome['recoveries'] = []
  const notes: string[] = []
  let records: number | null = null
  try {
    const options = pipelineOptions(fault, own, own?.addresses ?? (await ground.shared()))
    await withPipeline(options, async (pipeline) => {
      const world = new World(pipeline, setting, own, { recoveries, notes })
      await world.begin()
      await fault.happens(world)
      records = await settle(world)
    })
  } catch (error) {
    findings.push(messageOf(error))
  } finally {
    await own?.stop()
  }
  const seconds = (systemClock.elapsed() - startedAt) / 1_000
  const { id, title } = fault
  return { id, title, ok: findings.length === 0, findings, seconds, records, recoveries, notes }
}

/** Behind the fault: everything is done, and exactly once. Answers with how many records there were. */
async function settle(world: World): Promise<number | null> {
  const { pipeline, monitor, setting } = world
  await world.quiet()
  if (setting.ends === 'by itself') {
    await monitor?.end()
    return null
  }
  await pipeline.drained({ timeoutMs: 120_000 })
  await monitor?.end()
  const report = await pipeline.verify()
  const wrong = [...differencesOf(report), ...(await leftovers(pipeline))]
  if (wrong.length > 0) throw new Error(wrong.join('; '))
  return report.records
}

function differencesOf({
  ok,
  lost,
  duplicated,
  wrong,
  unaccounted,
  differences,
}: Report): string[] {
  if (ok && unaccounted === 0) return []
  const counts = `lost ${lost}, duplicated ${duplicated}, wrong ${wrong}, unaccounted ${unaccounted}`
  return [counts, ...differences.named]
}

async function leftovers(pipeline: Pipeline): Promise<string[]> {
  const found: string[] = []
  const entries = await pipeline.store.redis.xlen(pipeline.keys.entries)
  if (entries > 0) found.push(`${entries} entries are left in the stream`)
  for (const line of pipeline.logLines(/unhandled|TypeError|ReferenceError/i).slice(0, 3)) {
    found.push(`in the log: ${line.slice(0, 200)}`)
  }
  return found
}

function pipelineOptions(
  fault: Fault,
  own: OwnServers | null,
  services: Addresses,
): PipelineOptions {
  const { topic, args, environment, spinUs } = fault.setting ?? {}
  return {
    label: fault.id,
    job: join(import.meta.dir, 'jobs', 'students.ts'),
    services,
    ...(own ? { direct: own.direct } : {}),
    topic: { partitions: 4, ...topic },
    ...(args ? { args } : {}),
    environment: {
      ...(spinUs ? { MILLRACE_TEST_SPIN_US: String(spinUs) } : {}),
      ...environment,
    },
  }
}
