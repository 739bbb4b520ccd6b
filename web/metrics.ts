/**
 * GET /metrics: the status in Prometheus's text format. Each scrape builds its own registry from one
 * status, so a series is there exactly when its number is known; what is unknown is left out, not 0.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import type { CostReport } from '../supervisor/cost.ts'
import { boundsSeconds, type Histogram } from '../supervisor/histogram.ts'
import type { LoopAccount } from '../supervisor/loop.ts'
import type { ActorReport, StatusReport } from '../supervisor/status.ts'

export interface MetricsSource {
  /** All null while Redis is away. */
  status: StatusReport | null
  executors: readonly ActorReport[]
  cost: CostReport | null
  /** Null where no supervisor has told yet too. */
  loop: LoopAccount | null
  leader: string | null
}

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

export async function metricsText(source: MetricsSource): Promise<string> {
  const registry = new Registry()
  const add = seriesIn(registry)
  add.gauge('redis_up', 'Whether Redis answers.', source.status ? 1 : 0)
  const { status, cost, loop } = source
  if (status) {
    add.gauge('leader_up', 'Whether a supervisor leads.', source.leader ? 1 : 0)
    addBacklog(add, status)
    addTotals(add, status)
    addFleet(add, status, source.executors)
    addTimes(add, status)
  }
  if (cost) {
    add.counter(
      'executor_seconds_total',
      'Time in which executors ran, summed.',
      cost.executorSeconds,
    )
    add.counter(
      'static_executor_seconds_total',
      'What a fleet that is always at its maximum would have run.',
      cost.staticExecutorSeconds,
    )
  }
  if (loop) addLoop(add, loop)
  return (await registry.metrics()) + (loop ? loopHistograms(loop) : '')
}

type Series = ReturnType<typeof seriesIn>

function addBacklog(add: Series, { backlog }: StatusReport): void {
  add.gauge('backlog_records', 'Records in the stream, not committed.', backlog.records)
  add.gauge('backlog_entries', 'Entries in the stream.', backlog.entries)
  add.gauge('pending_entries', 'Entries that an executor holds.', backlog.pending)
  add.gauge('kafka_lag_records', 'Records in Kafka that are not fetched.', backlog.kafkaLag)
}

function addTotals(add: Series, { totals }: StatusReport): void {
  add.counter('records_appended_total', 'Records that came into the stream.', totals.appended)
  const committed = new Counter({
    name: 'millrace_records_committed_total',
    help: 'Records that are done, by what became of them.',
    labelNames: ['outcome'],
    registers: [add.registry],
  })
  for (const outcome of ['counted', 'filtered', 'late', 'rejected'] as const) {
    committed.inc({ outcome }, totals[outcome])
  }
  add.counter(
    'records_lost_total',
    'Records that Kafka deleted before they were read, given up with --accept-loss.',
    totals.lost,
  )
  add.gauge(
    'records_unaccounted',
    'Appended less committed less waiting; anything but 0 is a bug.',
    totals.unaccounted,
  )
}

function addFleet(add: Series, status: StatusReport, executors: readonly ActorReport[]): void {
  add.gauge('executors', 'Executors that live.', status.executors.count)
  add.gauge('executors_min', 'The least that may run.', status.executors.min)
  add.gauge('executors_max', 'The most that may run.', status.executors.max)
  const living = executors.filter(({ busy }) => busy !== null)
  const busy = living.reduce((sum, executor) => sum + (executor.busy ?? 0), 0)
  add.gauge('executors_busy', 'Executors, each weighed by its busy share.', busy)
  const rss = living.reduce((sum, executor) => sum + executor.rssBytes, 0)
  add.gauge('executors_resident_memory_bytes', 'Resident memory of the executors, summed.', rss)
  const state = new Gauge({
    name: 'millrace_state',
    help: 'The state of the job: 1 for the one it is in.',
    labelNames: ['state'],
    registers: [add.registry],
  })
  for (const each of ['running', 'degraded', 'paused', 'stopped'] as const) {
    state.set({ state: each }, status.state === each ? 1 : 0)
  }
}

function addTimes(add: Series, status: StatusReport): void {
  const watermark = status.watermark === null ? null : Date.parse(status.watermark)
  add.gauge('watermark_timestamp_seconds', 'The watermark, in event time.', seconds(watermark))
  const { p50, p99 } = status.latencyMs
  add.gauge('latency_p50_seconds', 'Half of the records took less, Kafka to commit.', seconds(p50))
  add.gauge('latency_p99_seconds', '99 % of the records took less.', seconds(p99))
}

/** Counters begin again with each supervisor, as Prometheus expects of a process. */
function addLoop(add: Series, { looks, failed, at }: LoopAccount): void {
  add.counter('supervisor_looks_total', 'Looks of the leading supervisor.', looks)
  const unknown = 'Measurements that failed, so that what waits was unknown.'
  add.counter('supervisor_measurements_failed_total', unknown, failed)
  const told = 'When the leading supervisor last told of its loop.'
  add.gauge('supervisor_told_timestamp_seconds', told, seconds(at))
}

function loopHistograms({ lateness, look, age, out, in: inwards }: LoopAccount): string {
  const late = 'How much later than planned looks began.'
  const old = 'How old the measurement was when it was decided upon.'
  const effect = 'From a decision until as many executors were running, or no more were left.'
  return [
    histogramText('supervisor_look_lateness_seconds', late, { '': lateness }),
    histogramText('supervisor_look_seconds', 'How long looks took.', { '': look }),
    histogramText('supervisor_measurement_age_seconds', old, { '': age }),
    histogramText('supervisor_decision_effect_seconds', effect, {
      'direction="out"': out,
      'direction="in"': inwards,
    }),
  ].join('')
}

/** By hand, as prom-client's can't be given what was counted elsewhere. */
function histogramText(name: string, help: string, series: Record<string, Histogram>): string {
  const full = `millrace_${name}`
  const lines = [`# HELP ${full} ${help}`, `# TYPE ${full} histogram`]
  for (const [label, { count, sum, buckets }] of Object.entries(series)) {
    const comma = label === '' ? '' : ','
    const braces = label === '' ? '' : `{${label}}`
    let below = 0
    boundsSeconds.forEach((bound, k) => {
      below += buckets[k]!
      lines.push(`${full}_bucket{${label}${comma}le="${bound}"} ${below}`)
    })
    lines.push(`${full}_bucket{${label}${comma}le="+Inf"} ${count}`)
    lines.push(`${full}_sum${braces} ${sum}`, `${full}_count${braces} ${count}`)
  }
  return `${lines.join('\n')}\n`
}

const seconds = (ms: number | null) => (ms === null ? null : ms / 1_000)

function seriesIn(registry: Registry) {
  const registers = [registry]
  return {
    registry,
    gauge(name: string, help: string, value: number | null) {
      if (value !== null) new Gauge({ name: `millrace_${name}`, help, registers }).set(value)
    },
    counter(name: string, help: string, value: number) {
      new Counter({ name: `millrace_${name}`, help, registers }).inc(value)
    },
  }
}
