/**
 * One run of a setting: CPU of a record, by process, while the pipeline is at work. Its start is left
 * out: of a filled topic what lies behind its first fifth counts (as `warm` in bench/round.ts), up to
 * the last commit and the last window that closes; of an offered rate a span behind a warm-up.
 */
import { systemClock } from '../../actors/clock.ts'
import { RefusalError } from '../../actors/errors.ts'
import type { Snapshot } from '../../actors/measure.ts'
import type { Own } from '../own.ts'
import {
  type Pipeline,
  startLoad,
  startPipeline,
  untilCaughtUp,
  untilRunning,
} from '../pipeline.ts'
import { WARM_FROM } from '../round.ts'
import { Usage } from '../usage.ts'
import { type Setting, topicOf } from './series.ts'

export interface Run {
  recordsPerSecond: number
  /** Microseconds of CPU a record, by process. */
  cpuMicros: Record<string, number>
}

/** A moment of a run; CPU in µs since the servers were first looked at, by process. */
interface Sample {
  atMs: number
  appended: number
  committed: number
  micros: Record<string, number>
}

const LOOK_EVERY_MS = 20
const TIMEOUT_MS = 10 * 60_000
const WARM_UP_MS = 5_000
const WATERMARK_DELAY_MS = 5_000

/** Over a topic that holds `count` records; `beside` is done to the pipeline when it has begun. */
export function playFilled(
  own: Own,
  setting: Setting,
  count: number,
  beside: (pipeline: Pipeline) => void = () => {},
): Promise<Run> {
  return withPipeline(own, setting, async (pipeline, usage) => {
    beside(pipeline)
    const deadline = systemClock.elapsed() + TIMEOUT_MS
    let warm: Sample | undefined
    let last = { atMs: 0, committed: 0 }
    for (;;) {
      const snapshot = await pipeline.snapshot()
      const { committed } = snapshot.totals
      if (committed > last.committed) last = { atMs: systemClock.elapsed(), committed }
      if (committed >= count * WARM_FROM) warm ??= sampleOf(snapshot, usage)
      if (committed >= count && (await isClosed(pipeline, snapshot, setting))) {
        return between(measurable(warm!, count), sampleOf(snapshot, usage), last.atMs)
      }
      if (systemClock.elapsed() > deadline) throw tooLong(snapshot, count)
      await systemClock.sleep(LOOK_EVERY_MS)
    }
  })
}

/** Beside a producer that offers `rate` records a second. */
export function playOffered(
  own: Own,
  setting: Setting & { rate: number },
  seconds: number,
): Promise<Run> {
  return withPipeline(own, setting, async (pipeline, usage) => {
    await untilRunning(pipeline, setting.executors)
    const { rate, partitions } = setting
    const load = startLoad(own, { topic: topicOf(setting), rate, partitions })
    await systemClock.sleep(WARM_UP_MS)
    const before = sampleOf(await pipeline.snapshot(), usage)
    await systemClock.sleep(seconds * 1_000)
    const after = sampleOf(await pipeline.snapshot(), usage)
    await load.end()
    await untilCaughtUp(pipeline, TIMEOUT_MS)
    return between(before, after, after.atMs)
  })
}

async function withPipeline(
  own: Own,
  setting: Setting,
  work: (pipeline: Pipeline, usage: Usage) => Promise<Run>,
): Promise<Run> {
  const { kafka, redis } = own.services
  const usage = new Usage({ kafka: kafka.pid, redis: redis.pid })
  const pipeline = await startPipeline(own, {
    job: { file: fileOf(setting), name: 'growth' },
    executors: setting.executors,
    from: 'earliest',
    environment: { BENCH_TOPIC: topicOf(setting), BENCH_SLIDE_MS: String(setting.slideMs) },
  })
  usage.follow('supervisor', pipeline.supervisor.pid)
  try {
    const run = await work(pipeline, usage)
    refuseUncounted(await pipeline.snapshot())
    return run
  } finally {
    await pipeline.end()
  }
}

const fileOf = ({ recordBytes }: Setting): string =>
  `bench/jobs/${recordBytes === null ? 'growth' : 'padded'}.ts`

/** Whoever counts nothing is cheap. */
function refuseUncounted({ totals }: Snapshot): void {
  const { late, rejected, filtered } = totals
  if (late + rejected + filtered === 0) return
  throw new RefusalError(`${late} records were late, ${rejected} rejected, ${filtered} filtered`)
}

function tooLong({ totals }: Snapshot, count: number): RefusalError {
  const minutes = TIMEOUT_MS / 60_000
  return new RefusalError(`only ${totals.committed} of ${count} records after ${minutes} minutes`)
}

function sampleOf({ totals }: Snapshot, usage: Usage): Sample {
  const atMs = systemClock.elapsed()
  return {
    atMs,
    appended: totals.appended,
    committed: totals.committed,
    micros: usage.microsPer(1),
  }
}

/** No window is left that the records' watermark has passed. */
async function isClosed(
  { store, keys }: Pipeline,
  { partitions, closedTo }: Snapshot,
  { slideMs }: Setting,
): Promise<boolean> {
  const newest = partitions.map(({ maxEventTime }) => maxEventTime ?? 0)
  const watermark = Math.min(...newest) - WATERMARK_DELAY_MS
  const due = Math.floor(watermark / slideMs) * slideMs
  if (closedTo === null || closedTo < due) return false
  return (await store.redis.hexists(keys.clock, 'closing')) === 0
}

function measurable(warm: Sample, count: number): Sample {
  if (warm.appended < count * (1 - WARM_FROM)) return warm
  throw new RefusalError(
    `${count} records were in Redis before ${WARM_FROM * 100} % were committed: too few to be measured`,
  )
}

/** The pace is that of the commits, the last at `lastAtMs`: what closes windows behind it counts as CPU alone. */
function between(before: Sample, after: Sample, lastAtMs: number): Run {
  const committed = after.committed - before.committed
  const appended = after.appended - before.appended
  const records = (name: string) => recordsOf(name, appended, committed)
  return {
    recordsPerSecond: (committed * 1_000) / (lastAtMs - before.atMs),
    cpuMicros: Object.fromEntries(
      Object.entries(after.micros).map(([name, micros]) => [
        name,
        (micros - (before.micros[name] ?? 0)) / records(name),
      ]),
    ),
  }
}

/** The bridge runs ahead of the executors: of a span it has had fewer records to do than they. */
function recordsOf(name: string, appended: number, committed: number): number {
  switch (name) {
    case 'bridge':
    case 'kafka':
      return appended
    case 'redis':
      return (appended + committed) / 2
    default:
      return committed
  }
}
