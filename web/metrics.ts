/**
 * GET /metrics: the status in Prometheus's text format. Each scrape builds its own registry from one
 * status, so a series is there exactly when its number is known; what is unknown is left out, not 0.
 * deploy/prometheus has alerts on these names, deploy/grafana a dashboard.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { rejectReasons } from '../actors/executor/reasons.ts'
import { actorKinds, actorStates } from '../actors/messages.ts'
import type { SinkReport } from '../actors/sinks/accounts.ts'
import manifest from '../package.json' with { type: 'json' }
import type { CostReport } from '../supervisor/cost.ts'
import type { LoopAccount } from '../supervisor/loop.ts'
import type { ActorReport, PartitionReport, StatusReport } from '../supervisor/status.ts'
import type { Tallies } from '../supervisor/tallies.ts'
import { histogramText, ofDelays, ofLoop } from './histograms.ts'

export interface MetricsSource {
  /** All null, or empty, while Redis is away. */
  status: StatusReport | null
  actors: readonly ActorReport[]
  partitions: readonly PartitionReport[]
  sinks: readonly SinkReport[]
  tallies: Tallies | null
  cost: CostReport | null
  /** Null where no supervisor has told yet too. */
  loop: LoopAccount | null
  leader: string | null
}

/** A supervisor tells once a second; a second one takes over within 3. */
const WANTED_KEPT_MS = 15_000

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

export async function metricsText(source: MetricsSource): Promise<string> {
  const add = seriesIn(new Registry())
  const { status, actors, partitions, sinks, tallies, cost, loop } = source
  const build = { version: manifest.version, bun: Bun.version }
  add.gauges('build_info', 'The version that serves this; always 1.', [[build, 1]])
  add.gauge('redis_up', 'Whether Redis answers.', status ? 1 : 0)
  if (status) {
    add.gauge('leader_up', 'Whether a supervisor leads.', source.leader ? 1 : 0)
    addJob(add, status)
    addBacklog(add, status)
    addShards(add, status)
    addPartitions(add, partitions)
    addTotals(add, status)
    addFleet(add, status)
    addWanted(add, status, loop)
    addQuota(add, status)
    addActors(add, actors)
    addTimes(add, status)
    addSinks(add, sinks)
  }
  if (tallies) {
    const died = 'Executors that ended without taking their leave: killed, crashed or hung.'
    add.counter('executor_deaths_total', died, tallies.deaths)
  }
  if (cost) addCost(add, cost)
  if (loop) addLoop(add, loop)
  const histograms = (tallies ? delayHistograms(tallies) : '') + (loop ? loopHistograms(loop) : '')
  return (await add.registry.metrics()) + histograms
}

type Series = ReturnType<typeof seriesIn>
type Labels = Record<string, string | number>

function addJob(add: Series, { job, topic, state }: StatusReport): void {
  // Not `job`: that label is the scrape's.
  add.gauges('job_info', 'The job and the topic it reads; always 1.', [[{ name: job, topic }, 1]])
  add.gauges(
    'state',
    'The state of the job: 1 for the one it is in.',
    (['running', 'degraded', 'paused', 'stopped'] as const).map((each) => [
      { state: each },
      state === each ? 1 : 0,
    ]),
  )
}

function addBacklog(add: Series, { backlog }: StatusReport): void {
  add.gauge('backlog_records', 'Records in the stream, not committed.', backlog.records)
  add.gauge('backlog_entries', 'Entries in the stream.', backlog.entries)
  add.gauge('pending_entries', 'Entries that an executor holds.', backlog.pending)
  add.gauge('kafka_lag_records', 'Records in Kafka that are not fetched.', backlog.kafkaLag)
}

/** Absent where the job is not divided: there the backlog is the same. */
function addShards(add: Series, { shards }: StatusReport): void {
  if (shards.length === 1) return
  const gauge = add.gaugesOf(shards, ({ shard }) => ({ shard }))
  const records = 'Records in the stream of a shard, not committed.'
  gauge('shard_backlog_records', records, (one) => one.records)
  const bytes = 'Payload bytes in the stream of a shard, which is bounded in them.'
  gauge('shard_backlog_bytes', bytes, (one) => one.bytes)
  const closed = 'Up to where a shard has closed its part of the windows, in event time.'
  gauge('shard_closed_timestamp_seconds', closed, (one) => secondsAt(one.closedTo))
}

/** A topic of several is named. */
const labelsOf = ({ topic, partition }: PartitionReport): Labels =>
  topic === null ? { partition } : { topic, partition }

function addPartitions(add: Series, partitions: readonly PartitionReport[]): void {
  const gauge = add.gaugesOf(partitions, labelsOf)
  const lag = 'Records in Kafka that are not fetched, by partition.'
  gauge('partition_lag_records', lag, (one) => one.lag)
  const open = 'Offsets that are fetched and not in the finished prefix, by partition.'
  gauge('partition_unfinished_records', open, (one) => one.unfinished)
  const newest =
    'Highest event time of the finished prefix, by partition; the least is the watermark.'
  gauge('partition_event_timestamp_seconds', newest, (one) => seconds(one.maxEventTime))
}

function addTotals(add: Series, { totals, rejects }: StatusReport): void {
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
  const refused = new Counter({
    name: 'millrace_rejects_total',
    help: 'Records that do not count because they are late or rejected, by reason.',
    labelNames: ['reason'],
    registers: [add.registry],
  })
  // Also those of which there were none yet: rates need a 0 to begin at.
  for (const reason of Object.values(rejectReasons)) refused.inc({ reason }, rejects[reason] ?? 0)
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

function addFleet(add: Series, { executors }: StatusReport): void {
  add.gauge('executors', 'Executors that live.', executors.count)
  add.gauge('executors_min', 'The least that may run.', executors.min)
  add.gauge('executors_max', 'The most that may run.', executors.max)
  const target = 'How old a result may be, which the fleet is scaled for.'
  add.gauge('result_delay_target_seconds', target, seconds(executors.maxResultDelayMs))
}

/** Another scales by it (KEDA), so an old one is none: unknown holds. */
function addWanted(add: Series, { at }: StatusReport, loop: LoopAccount | null): void {
  const fresh = loop !== null && Date.parse(at) - loop.at < WANTED_KEPT_MS
  const wanted = 'Executors that the last decision wants.'
  add.gauge('executors_wanted', wanted, fresh ? (loop.decision?.to ?? null) : null)
}

/** Absent where the job has no quota of the kind. */
function addQuota(add: Series, { quota }: StatusReport): void {
  const { recordsPerSecond, memoryBytes, usedBytes, heldBy } = quota
  add.gauge('quota_records_per_second', 'Records a second that the job may read.', recordsPerSecond)
  add.gauge('quota_memory_bytes', 'Bytes of Redis that the job may have.', memoryBytes)
  add.gauge('quota_memory_used_bytes', 'Bytes of Redis that the job has, estimated.', usedBytes)
  add.gauges('quota_held', 'Whether the bridge waits because of the quota; 1 or 0.', [
    [{ quota: 'rate' }, recordsPerSecond === null ? null : Number(heldBy === 'rate')],
    [{ quota: 'memory' }, memoryBytes === null ? null : Number(heldBy === 'memory')],
  ])
}

function addActors(add: Series, actors: readonly ActorReport[]): void {
  const known = 'Actors by kind and state; the stopped and the dead are listed for 10 minutes.'
  const pairs = actorKinds.flatMap((kind) => actorStates.map((state) => ({ kind, state })))
  const count = (kind: string, state: string) =>
    actors.filter((actor) => actor.kind === kind && actor.state === state).length
  add.gauges(
    'actors',
    known,
    pairs.map((pair) => [pair, count(pair.kind, pair.state)]),
  )
  const living = actors.filter(({ state }) => ['starting', 'running', 'draining'].includes(state))
  const executors = living.filter(({ kind }) => kind === 'executor')
  const busy = executors.reduce((sum, executor) => sum + (executor.busy ?? 0), 0)
  add.gauge('executors_busy', 'Executors, each weighed by its busy share.', busy)
  const rss = executors.reduce((sum, executor) => sum + executor.rssBytes, 0)
  add.gauge('executors_resident_memory_bytes', 'Resident memory of the executors, summed.', rss)
  add.gauges(
    'executor_busy_ratio',
    'Share of the last seconds with records in hand, 0 to 1.',
    executors.map(({ id, busy }) => [{ executor: id }, busy]),
  )
  add.gauges(
    'actor_resident_memory_bytes',
    'Resident memory of each process: bridge, executors, supervisor, web.',
    // 0 is what is said of one that has not spoken yet.
    living.map(({ kind, id, rssBytes }) => [{ kind, actor: id }, rssBytes || null]),
  )
}

function addTimes(add: Series, status: StatusReport): void {
  const watermark = 'The watermark, in event time.'
  add.gauge('watermark_timestamp_seconds', watermark, secondsAt(status.watermark))
  const { p50, p99 } = status.latencyMs
  add.gauge('latency_p50_seconds', 'Half of the records took less, Kafka to commit.', seconds(p50))
  add.gauge('latency_p99_seconds', '99 % of the records took less.', seconds(p99))
}

function addSinks(add: Series, sinks: readonly SinkReport[]): void {
  const gauge = add.gaugesOf(sinks, ({ name, kind }) => ({ sink: name, kind }))
  const up = 'Whether the sink takes windows.'
  gauge('sink_up', up, ({ state }) => (state === 'running' ? 1 : 0))
  const lag = 'Closed windows that the sink has not taken.'
  gauge('sink_lag_windows', lag, ({ lagWindows }) => lagWindows)
  const upTo = 'End of the newest window that the sink has, in event time.'
  gauge('sink_window_timestamp_seconds', upTo, (one) => secondsAt(one.upTo))
  add.counters(
    'sink_windows_total',
    'Windows by what became of them: written, skipped because the sink refused them, lost because they were cut away before.',
    sinks.flatMap(({ name: sink, kind, windows, skipped, lost }): [Labels, number][] => [
      [{ sink, kind, outcome: 'written' }, windows],
      [{ sink, kind, outcome: 'skipped' }, skipped],
      [{ sink, kind, outcome: 'lost' }, lost],
    ]),
  )
  const written = 'Rows that were written to the sink.'
  add.counters(
    'sink_rows_total',
    written,
    sinks.map(({ name: sink, kind, rows: count }): [Labels, number] => [{ sink, kind }, count]),
  )
}

function addCost(add: Series, cost: CostReport): void {
  const used = 'Time in which executors ran, summed.'
  add.counter('executor_seconds_total', used, cost.executorSeconds)
  const fixed = 'What a fleet that is always at its maximum would have run.'
  add.counter('static_executor_seconds_total', fixed, cost.staticExecutorSeconds)
  const price = 'Price of an executor for an hour, in the currency of whoever set it.'
  add.gauge('executor_hour_price', price, cost.pricePerExecutorHour)
}

/** Counters begin again with each supervisor, as Prometheus expects of a process. */
function addLoop(add: Series, { looks, failed, at }: LoopAccount): void {
  add.counter('supervisor_looks_total', 'Looks of the leading supervisor.', looks)
  const unknown = 'Measurements that failed, so that what waits was unknown.'
  add.counter('supervisor_measurements_failed_total', unknown, failed)
  const told = 'When the leading supervisor last told of its loop.'
  add.gauge('supervisor_told_timestamp_seconds', told, seconds(at))
}

function delayHistograms({ delays, eventDelays }: Tallies): string {
  const result =
    "Records by the time from Kafka's timestamp to their commit, of all executors that there ever were; the sum is off by up to 9 %."
  const event =
    'A sample of the records by the time from their event time to their commit, likewise.'
  return [
    histogramText('millrace_result_delay_seconds', result, { '': ofDelays(delays) }),
    histogramText('millrace_event_delay_seconds', event, { '': ofDelays(eventDelays) }),
  ].join('')
}

function loopHistograms({ lateness, look, age, out, in: inwards }: LoopAccount): string {
  const late = 'How much later than planned looks began.'
  const old = 'How old the measurement was when it was decided upon.'
  const effect = 'From a decision until as many executors were running, or no more were left.'
  const prefix = 'millrace_supervisor'
  return [
    histogramText(`${prefix}_look_lateness_seconds`, late, { '': ofLoop(lateness) }),
    histogramText(`${prefix}_look_seconds`, 'How long looks took.', { '': ofLoop(look) }),
    histogramText(`${prefix}_measurement_age_seconds`, old, { '': ofLoop(age) }),
    histogramText(`${prefix}_decision_effect_seconds`, effect, {
      'direction="out"': ofLoop(out),
      'direction="in"': ofLoop(inwards),
    }),
  ].join('')
}

const seconds = (ms: number | null) => (ms === null ? null : ms / 1_000)
const secondsAt = (at: string | null) => (at === null ? null : Date.parse(at) / 1_000)

function seriesIn(registry: Registry) {
  const registers = [registry]
  return {
    registry,
    gauge(name: string, help: string, value: number | null) {
      if (value !== null) new Gauge({ name: `millrace_${name}`, help, registers }).set(value)
    },
    /** One family with labels; absent where nothing of it is known. */
    gauges(name: string, help: string, rows: readonly [Labels, number | null][]) {
      const known = rows.flatMap(([labels, value]) => (value === null ? [] : [{ labels, value }]))
      if (known.length === 0) return
      const labelNames = Object.keys(known[0]!.labels)
      const gauge = new Gauge({ name: `millrace_${name}`, help, labelNames, registers })
      for (const { labels, value } of known) gauge.set(labels, value)
    },
    /** Families that have a row for each of these. */
    gaugesOf<T>(all: readonly T[], labels: (one: T) => Labels) {
      return (name: string, help: string, value: (one: T) => number | null) =>
        this.gauges(
          name,
          help,
          all.map((one) => [labels(one), value(one)]),
        )
    },
    /** Likewise; absent where there is nobody to count for. */
    counters(name: string, help: string, rows: readonly [Labels, number][]) {
      if (rows.length === 0) return
      const labelNames = Object.keys(rows[0]![0])
      const counter = new Counter({ name: `millrace_${name}`, help, labelNames, registers })
      for (const [labels, value] of rows) counter.inc(labels, value)
    },
    counter(name: string, help: string, value: number) {
      new Counter({ name: `millrace_${name}`, help, registers }).inc(value)
    },
  }
}
