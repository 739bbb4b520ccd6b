/**
 * What Prometheus scrapes of a job, in promtool's notation (`start+step x times`), 15 s apart for 45
 * minutes; time begins at 0, and sample 176 is the one after which it is asked what fires. For each alert what makes it fire, and what looks alike and must not.
 */

export type Series = Record<string, string>

const TIMES = 180
const still = (value: number) => `${value}x${TIMES}`
const by = (step: number, from = 0) => `${from}${step < 0 ? '' : '+'}${step}x${TIMES}`
/** A gap: the series is not told any more. */
const ends = (value: number) => `${value}x20 stale _x${TIMES - 21}`

/** A thousand records a second, 1 in 1,000 rejected, half of the results within 16 ms. */
export const healthy: Series = {
  up: still(1),
  millrace_redis_up: still(1),
  millrace_leader_up: still(1),
  millrace_backlog_records: `0 500x${TIMES - 1}`,
  millrace_kafka_lag_records: still(100),
  millrace_records_unaccounted: still(0),
  millrace_records_lost_total: still(7),
  'millrace_records_committed_total{outcome="counted"}': by(14_985),
  'millrace_records_committed_total{outcome="rejected"}': by(15),
  'millrace_records_committed_total{outcome="late"}': still(100_000),
  millrace_executors: still(2),
  millrace_executors_max: still(4),
  millrace_executor_deaths_total: `0x100 1x${TIMES - 100}`,
  'millrace_actors{kind="executor",state="running"}': still(2),
  'millrace_actors{kind="executor",state="failed"}': still(0),
  'millrace_state{state="paused"}': still(0),
  'millrace_state{state="degraded"}': still(0),
  millrace_watermark_timestamp_seconds: by(15),
  millrace_result_delay_target_seconds: still(2),
  'millrace_result_delay_seconds_bucket{le="0.016"}': by(7_500),
  'millrace_result_delay_seconds_bucket{le="1.024"}': by(15_000),
  'millrace_result_delay_seconds_bucket{le="16.38"}': by(15_000),
  'millrace_result_delay_seconds_bucket{le="+Inf"}': by(15_000),
  millrace_supervisor_told_timestamp_seconds: by(15),
  millrace_supervisor_looks_total: by(60),
  millrace_supervisor_measurements_failed_total: by(0.1),
  'millrace_quota_held{quota="rate"}': still(0),
  'millrace_quota_held{quota="memory"}': still(0),
  'millrace_sink_up{sink="warehouse"}': still(1),
  'millrace_sink_windows_total{outcome="lost"}': still(3),
  'millrace_sink_windows_total{outcome="written"}': by(3),
}

export interface AlertCase {
  alert: string
  bad: Series
  /** Others that fire rightly on the same. */
  also?: string[]
  /** Why not → what. */
  good?: Record<string, Series>
}

const paused = { 'millrace_state{state="paused"}': still(1) }
const full = { millrace_executors: still(4) }

export const cases: AlertCase[] = [
  { alert: 'MillraceDown', bad: { up: still(0) }, good: { 'one scrape': { up: '1x174 0x1 1x3' } } },
  {
    alert: 'MillraceRedisDown',
    bad: { millrace_redis_up: still(0) },
    good: { 'for half a minute': { millrace_redis_up: '1x174 0x5' } },
  },
  {
    alert: 'MillraceNoLeader',
    bad: { millrace_leader_up: still(0) },
    good: { 'another takes over': { millrace_leader_up: '1x174 0x5' } },
  },
  {
    alert: 'MillraceSupervisorSilent',
    bad: { millrace_supervisor_told_timestamp_seconds: still(0) },
    good: {
      'one that told before the clock of the other': {
        millrace_supervisor_told_timestamp_seconds: by(15, -20),
      },
    },
  },
  {
    alert: 'MillraceActorFailed',
    bad: { 'millrace_actors{kind="executor",state="failed"}': still(1) },
  },
  {
    alert: 'MillraceExecutorsDying',
    bad: { millrace_executor_deaths_total: by(0.1) },
    good: { 'two of them': { millrace_executor_deaths_total: '0x160 1x5 2x15' } },
  },
  {
    alert: 'MillraceUnaccounted',
    bad: { millrace_records_unaccounted: still(-3) },
    good: { 'for one scrape': { millrace_records_unaccounted: '0x174 5x1 0x3' } },
  },
  { alert: 'MillraceRecordsLost', bad: { millrace_records_lost_total: '7x100 57x80' } },
  {
    alert: 'MillraceBacklogGrowing',
    bad: { ...full, millrace_kafka_lag_records: by(500) },
    good: {
      'there are executors to come': { millrace_kafka_lag_records: by(500) },
      'it is paused': { ...full, ...paused, millrace_kafka_lag_records: by(500) },
      'it gets less': { ...full, millrace_kafka_lag_records: by(-500, 200_000) },
      'it stays': { ...full, millrace_kafka_lag_records: still(200_000) },
    },
  },
  {
    alert: 'MillraceKafkaLagUnknown',
    bad: { millrace_kafka_lag_records: ends(5) },
    good: {
      'it is unknown for a minute': { millrace_kafka_lag_records: '5x174 stale _ _ 5x3' },
    },
  },
  {
    alert: 'MillraceWatermarkStuck',
    bad: { millrace_watermark_timestamp_seconds: still(500) },
    good: {
      'it is paused': { ...paused, millrace_watermark_timestamp_seconds: still(500) },
      'it moves now and then': { millrace_watermark_timestamp_seconds: '0x50 500x50 900x80' },
      'nothing was read yet': { millrace_watermark_timestamp_seconds: `_x${TIMES}` },
    },
  },
  {
    alert: 'MillraceResultsLate',
    bad: { 'millrace_result_delay_seconds_bucket{le="1.024"}': by(14_000) },
    good: {
      'a thousandth is': { 'millrace_result_delay_seconds_bucket{le="1.024"}': by(14_990) },
      'more was asked for': {
        'millrace_result_delay_seconds_bucket{le="1.024"}': by(14_000),
        millrace_result_delay_target_seconds: still(30),
      },
    },
  },
  {
    alert: 'MillraceRejectsMany',
    bad: { 'millrace_records_committed_total{outcome="late"}': by(1_000) },
  },
  {
    alert: 'MillraceMeasurementsFailing',
    bad: { millrace_supervisor_measurements_failed_total: by(10) },
  },
  {
    alert: 'MillraceDegraded',
    bad: { 'millrace_state{state="degraded"}': still(1) },
    good: {
      'for two minutes': { 'millrace_state{state="degraded"}': '0x171 1x8' },
    },
  },
  {
    alert: 'MillraceHeldByQuota',
    bad: { 'millrace_quota_held{quota="memory"}': still(1) },
    good: {
      'its pace is even now and then': { 'millrace_quota_held{quota="rate"}': '1x100 0x20 1x59' },
    },
  },
  {
    alert: 'MillraceSinkDown',
    bad: { 'millrace_sink_up{sink="warehouse"}': still(0) },
    good: { 'for two minutes': { 'millrace_sink_up{sink="warehouse"}': '1x171 0x8' } },
  },
  {
    alert: 'MillraceSinkLost',
    bad: { 'millrace_sink_windows_total{outcome="lost"}': '3x100 8x80' },
  },
]
