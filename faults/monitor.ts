/**
 * Watches a pipeline while something is done to it: what must never happen at any moment, and not
 * only at the end. Ledger and watermark never go back; there are never more executors at work than
 * allowed; no record is unaccounted for; nothing grows without bound.
 */
import { systemClock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { messageOf } from '../actors/errors.ts'
import type { Snapshot } from '../actors/measure.ts'
import { isOutage } from '../actors/redis.ts'
import {
  backpressured,
  bounded,
  conserved,
  type Finding,
  findingText,
  monotone,
  staffed,
} from '../verify/checks.ts'
import type { Peaks } from './fault.ts'
import type { Pipeline } from './pipeline.ts'

const EVERY_MS = 40
/** Asking Redis for its memory costs more than a look. */
const MEMORY_EVERY_MS = 500
/** Not with every look: a look must not become the load that it watches. */
const KEPT_MAX = 20
const MB = 1024 * 1024

/**
 * Resident memory of one process of a kind, and what a job may add to Redis: the stream at its mark
 * (48 MB), as much again while a large append is under way, and the windows.
 */
const memoryMaxMb: Peaks = {
  executor: 500,
  bridge: 500,
  supervisor: 350,
  web: 350,
  redis: 200,
}

/** What one append may put on top of the marks. */
const margin = { records: 4 * bounds.entryRecordsMax * 64, bytes: 4 * bounds.fetchBytesMax }

export interface Monitor {
  /** The greatest sizes until now. */
  readonly peaksMb: Peaks
  /** Redis was taken back to an earlier state: what was seen before does not bind any more. */
  forget(): void
  /** Ends the watch; throws what was seen. */
  end(): Promise<void>
}

export interface MonitorOptions {
  executorsMax: number
  /** Redis is taken back to an earlier state: everything may go back then. */
  mayGoBack?: boolean
}

export function watch(pipeline: Pipeline, options: MonitorOptions): Monitor {
  const seen = new Set<string>()
  const ended = new AbortController()
  const peaksMb: Peaks = {}
  const memory = memoryOf(pipeline, peaksMb)
  let last: Snapshot | null = null
  const watching = (async () => {
    let looks = 0
    while (!ended.signal.aborted) {
      try {
        const snapshot = await pipeline.snapshot()
        looks++
        for (const finding of oddities(last, snapshot, options)) seen.add(findingText(finding))
        last = snapshot
        await memory(snapshot)
      } catch (error) {
        if (!isOutage(error)) seen.add(messageOf(error))
      }
      if (seen.size > KEPT_MAX) break
      await systemClock.sleep(EVERY_MS, ended.signal)
    }
    return looks
  })()
  return {
    peaksMb,
    forget() {
      last = null
    },
    async end() {
      ended.abort()
      const looks = await watching
      if (looks === 0) throw new Error('the pipeline was never seen')
      for (const finding of bounded(againstBounds(peaksMb))) seen.add(findingText(finding))
      if (seen.size > 0) throw new Error(`seen while it ran: ${[...seen].join('; ')}`)
    },
  }
}

function oddities(last: Snapshot | null, now: Snapshot, options: MonitorOptions): Finding[] {
  const limits = { min: 0, max: options.executorsMax }
  return [
    ...conserved(now.totals),
    ...monotone(last, now, { rolledBack: options.mayGoBack ?? false }),
    ...staffed(now.actors, limits),
    ...backpressured(now.totals, bounds, margin),
  ]
}

const againstBounds = (peaksMb: Peaks) =>
  Object.entries(peaksMb).map(([name, value]) => ({
    name: `memory of ${name} in MB`,
    value,
    max: memoryMaxMb[name] ?? Infinity,
  }))

/** Keeps the greatest sizes: of processes by their heartbeats, of Redis beyond what it held at first. */
function memoryOf(pipeline: Pipeline, peaksMb: Peaks): (snapshot: Snapshot) => Promise<void> {
  const keep = (name: string, bytes: number) => {
    peaksMb[name] = Math.max(peaksMb[name] ?? 0, Math.round(bytes / MB))
  }
  let first: number | null = null
  let askedAt = -Infinity
  return async (snapshot) => {
    for (const { kind, rssBytes, alive } of snapshot.actors) if (alive) keep(kind, rssBytes)
    const now = systemClock.elapsed()
    if (now - askedAt < MEMORY_EVERY_MS) return
    askedAt = now
    const info = await pipeline.store.redis.info('memory')
    const used = Number(/^used_memory:(\d+)/m.exec(info)?.[1])
    first ??= used
    keep('redis', used - first)
  }
}
