/**
 * One rate at one number of executors:
 *
 *   (once: warmUp) load and probes start → warm-up → measured → (MONITOR on) the way, stage by stage → load ends
 *
 * The probes count to the rate. What MONITOR costs Redis is in no figure but the stages' own.
 */
import { loadavg } from 'node:os'
import { systemClock } from '../../actors/clock.ts'
import { delaysBetween, delayQuantile } from '../../supervisor/latency.ts'
import studentsJob from '../../jobs/students.ts'
import { watchRedis } from '../monitor.ts'
import type { Own } from '../own.ts'
import { percentilesOf, type Percentiles } from '../percentiles.ts'
import { type Pipeline, startLoad, untilCaughtUp } from '../pipeline.ts'
import { stolenMicros, Usage } from '../usage.ts'
import { delayOf, isSeen, type Probe, type Probes, readBackOf } from './probes.ts'
import type { Options } from './options.ts'
import { type Played, type StageSpan, stageSpans } from './played.ts'
import { Ways } from './way.ts'

/** Probes a second at the most: enough for a 99.9th percentile of a minute, few beside any load. */
const PROBES_PER_SECOND_MAX = 50
/** MONITOR tells every command with its bytes: beyond this it is most of what Redis does. */
const STAGES_RATE_MAX = 1_000
const WARM_UP_RATE = 10_000
const CATCH_UP_MS = 120_000

export interface Course {
  own: Own
  pipeline: Pipeline
  probes: Probes
  executors: number
  options: Options
}

/** Kafka and the pipeline compile themselves: at a few records a second that would take minutes. */
export async function warmUp(course: Course): Promise<void> {
  const { own, pipeline, probes, options } = course
  const load = startLoad(own, { ...loadOf(options), rate: WARM_UP_RATE })
  await probes.run(PROBES_PER_SECOND_MAX, options.warmUpSeconds)
  await load.end()
  await untilCaughtUp(pipeline, CATCH_UP_MS)
}

export async function playRate(course: Course, rate: number): Promise<Played> {
  const { own, pipeline, probes, options } = course
  const probesPerSecond = Math.min(PROBES_PER_SECOND_MAX, rate)
  const rest = rate - probesPerSecond
  // At the lowest rates the probes are the load.
  const load = rest > 0 ? startLoad(own, { ...loadOf(options), rate: rest }) : null
  try {
    await probes.run(probesPerSecond, options.warmUpSeconds)
    const measured = await measureSpan(course, probesPerSecond, load?.pid)
    const stages =
      options.stageSeconds > 0 && rate <= STAGES_RATE_MAX
        ? await stagesOf(course, probesPerSecond)
        : null
    return { rate, executors: course.executors, ...measured, stages }
  } finally {
    await load?.end()
    await untilCaughtUp(pipeline, CATCH_UP_MS)
  }
}

const loadOf = ({ partitions }: Options) => ({ topic: studentsJob.topic, partitions })

async function measureSpan(course: Course, probesPerSecond: number, loadPid: number | undefined) {
  const { own, pipeline, probes, options } = course
  const { kafka, redis } = own.services
  const usage = new Usage({ kafka: kafka.pid, redis: redis.pid, load: loadPid, bench: process.pid })
  usage.follow('supervisor', pipeline.supervisor.pid)
  const begin = await account(pipeline, usage)
  const sending = probes.run(probesPerSecond, options.seconds)
  await systemClock.sleep(options.seconds * 1_000)
  const end = await account(pipeline, usage)
  const sent = await sending
  const now = systemClock.elapsed()
  const seconds = (end.at - begin.at) / 1_000
  return {
    committedPerSecond: (end.totals.committed - begin.totals.committed) / seconds,
    probes: sent.length,
    unseen: sent.filter((probe) => !isSeen(probe)).length,
    delayMs: percentilesOf(sent.map((probe) => delayOf(probe, now))),
    readBackMs: percentilesOf(sent.map((probe) => readBackOf(probe, now))),
    apiMs: apiOf(delaysBetween(begin.actors, end.actors)),
    cpuPercent: percentOf(begin.micros, end.micros, seconds),
    load: loadavg()[0] ?? 0,
  }
}

/** What Redis says of the pipeline, and the CPU used until now, in µs. */
async function account(pipeline: Pipeline, usage: Usage) {
  const snapshot = await pipeline.snapshot()
  return { ...snapshot, micros: { ...usage.microsPer(1), stolen: stolenMicros() } }
}

function apiOf(delays: number[]): Played['apiMs'] {
  return {
    p50: delayQuantile(delays, 0.5),
    p99: delayQuantile(delays, 0.99),
    p999: delayQuantile(delays, 0.999),
    max: delayQuantile(delays, 1),
  }
}

function percentOf(
  before: Record<string, number>,
  after: Record<string, number>,
  seconds: number,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([name, micros]) => [
      name,
      (micros - (before[name] ?? 0)) / (seconds * 10_000),
    ]),
  )
}

async function stagesOf(course: Course, probesPerSecond: number): Promise<Played['stages']> {
  const { own, pipeline, probes, options } = course
  const ways = new Ways(pipeline.keys)
  const close = await watchRedis(own.services.redisUrl, (line) => ways.see(line))
  const aheadMs = await redisAheadMs(pipeline)
  try {
    const sent = await probes.run(probesPerSecond, options.stageSeconds)
    // MONITOR's last lines may still be on their way; the answer to this comes after them.
    await pipeline.snapshot()
    return spansOf(sent, ways, aheadMs)
  } finally {
    close()
  }
}

/** Redis's clock in epoch ms against ours since `timeOrigin`, by the quickest of some answers. */
async function redisAheadMs({ store }: Pipeline): Promise<number> {
  let best = { tookMs: Infinity, aheadMs: 0 }
  for (let i = 0; i < 50; i++) {
    const asked = systemClock.elapsed()
    const [seconds, micros] = await store.redis.time()
    const answered = systemClock.elapsed()
    const redisMs = Number(seconds) * 1_000 + Number(micros) / 1_000
    const tookMs = answered - asked
    if (tookMs < best.tookMs) best = { tookMs, aheadMs: redisMs - (asked + answered) / 2 }
  }
  return best.aheadMs
}

function spansOf(sent: Probe[], ways: Ways, aheadMs: number): Record<StageSpan, Percentiles> {
  const spans = sent.flatMap((probe) => {
    const way = ways.of(probe.partition, probe.offset)
    if (!way || !isSeen(probe)) return []
    const produced = probe.producedAt + aheadMs
    const visible = probe.visibleAt + aheadMs
    return [
      {
        'produced → acknowledged': probe.acknowledgedAt - probe.producedAt,
        'produced → appended': way.appended - produced,
        'appended → read': way.read - way.appended,
        'read → commit called': way.called - way.read,
        'commit called → committed': way.committed - way.called,
        'committed → visible': visible - way.committed,
        'produced → visible': visible - produced,
      },
    ]
  })
  const percentiles = stageSpans.map((span) => {
    const known = spans.map((one) => one[span]).filter((ms) => !Number.isNaN(ms))
    return [span, percentilesOf(known)]
  })
  return Object.fromEntries(percentiles) as Record<StageSpan, Percentiles>
}
