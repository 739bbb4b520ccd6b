/**
 * GET /api/history: what the supervisor measured, over time, as points for charts.
 *
 *   stream `measurements` → samples of a span → one point a step → page
 *
 * A step's peaks stay: backlog, lag, executors and p99 are the highest of its samples, medians their
 * mean, rates what was counted in it. Where nothing was measured there is no point.
 */
import type { Clock } from '../actors/clock.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { readSamples, type Sample } from '../supervisor/measurements.ts'
import type { HistoryPoint, HistoryReport } from './schemas.ts'

/** Reading a day takes a fraction of a second: whoever asks for the same shares it for so long. */
const keptMs = 2_000
/** A sample before the span, so that its first rates are known. */
const leadMs = 2_000

export interface HistoryQuery {
  spanMs: number
  limit: number
}

/** Reads histories; the same question within two seconds is answered once. */
export function historyReader(
  store: Store,
  keys: Keys,
  clock: Clock,
): (query: HistoryQuery) => Promise<HistoryReport> {
  const answers = new Map<string, { at: number; report: Promise<HistoryReport> }>()
  return ({ spanMs, limit }) => {
    const now = clock.elapsed()
    for (const [name, { at }] of answers) if (now - at > keptMs) answers.delete(name)
    const name = `${spanMs} ${limit}`
    const known = answers.get(name)
    if (known) return known.report
    const report = read(store, keys, spanMs, limit)
    answers.set(name, { at: now, report })
    report.catch(() => answers.delete(name))
    return report
  }
}

async function read(
  store: Store,
  keys: Keys,
  spanMs: number,
  limit: number,
): Promise<HistoryReport> {
  const [seconds, microseconds] = await store.redis.time()
  const to = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
  const from = to - spanMs
  const stepMs = Math.max(1_000, Math.ceil(spanMs / limit / 1_000) * 1_000)
  const samples = await readSamples(store, keys, from - leadMs)
  return { from: iso(from), to: iso(to), stepMs, points: pointsOf(samples, from, stepMs) }
}

/** One point for each step in which something was measured; samples oldest first. Pure. */
export function pointsOf(samples: readonly Sample[], from: number, stepMs: number): HistoryPoint[] {
  const points: HistoryPoint[] = []
  let step: Sample[] = []
  let before: Sample | null = null
  const end = () => {
    const last = step.at(-1)
    if (last && last.at >= from) points.push(pointOf(step, before))
    before = last ?? before
    step = []
  }
  for (const sample of samples) {
    if (step[0] && stepNumber(sample.at, stepMs) !== stepNumber(step[0].at, stepMs)) end()
    step.push(sample)
  }
  end()
  return points
}

const stepNumber = (at: number, stepMs: number) => Math.floor(at / stepMs)

function pointOf(step: readonly Sample[], before: Sample | null): HistoryPoint {
  const last = step.at(-1)!
  const seconds = before ? (last.at - before.at) / 1_000 : 0
  const rate = (name: 'arrived' | 'committed') => {
    const [first, count] = [before?.[name] ?? null, last[name]]
    if (first === null || count === null || seconds <= 0 || count < first) return null
    return rounded((count - first) / seconds)
  }
  return {
    at: iso(last.at),
    backlog: highest(step, 'waiting')!,
    kafkaLag: highest(step, 'kafkaLag'),
    arrivedPerSecond: rate('arrived'),
    committedPerSecond: rate('committed'),
    executors: highest(step, 'running')!,
    target: highest(step, 'target')!,
    max: highest(step, 'max')!,
    latencyMs: { p50: mean(step, 'resultP50'), p99: highest(step, 'resultP99') },
    eventDelayMs: { p50: mean(step, 'eventP50'), p99: highest(step, 'eventP99') },
    watermarkDelayMs: last.watermark === null ? null : last.at - last.watermark,
  }
}

type Measure = Exclude<keyof Sample, 'policy'>

const known = (step: readonly Sample[], name: Measure): number[] =>
  step.flatMap((sample) => sample[name] ?? [])

function highest(step: readonly Sample[], name: Measure): number | null {
  const values = known(step, name)
  return values.length === 0 ? null : Math.max(...values)
}

function mean(step: readonly Sample[], name: Measure): number | null {
  const values = known(step, name)
  if (values.length === 0) return null
  return rounded(values.reduce((sum, value) => sum + value, 0) / values.length)
}

const rounded = (value: number) => Math.round(value * 10) / 10

const iso = (ms: number) => new Date(ms).toISOString()
