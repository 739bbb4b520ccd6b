/**
 * Watches a pipeline while something is done to it: what must never happen at any moment, and not
 * only at the end. Ledger and watermark never go back; there are never more executors at work than
 * allowed; no record is unaccounted for.
 */
import { systemClock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import type { Snapshot } from '../actors/measure.ts'
import { isOutage } from '../actors/redis.ts'
import type { Pipeline } from './pipeline.ts'

const EVERY_MS = 40
/** Not with every look: a look must not become the load that it watches. */
const KEPT_MAX = 20

export interface Monitor {
  /** Ends the watch; throws what was seen. */
  end(): Promise<void>
}

export interface MonitorOptions {
  executorsMax: number
  /** Redis is taken back to an earlier state: everything may go back then. */
  mayGoBack?: boolean
}

export function watch(pipeline: Pipeline, options: MonitorOptions): Monitor {
  const seen: string[] = []
  const ended = new AbortController()
  const watching = (async () => {
    let last: Snapshot | null = null
    let looks = 0
    while (!ended.signal.aborted) {
      try {
        const snapshot = await pipeline.snapshot()
        looks++
        seen.push(...oddities(last, snapshot, options))
        last = snapshot
      } catch (error) {
        if (!isOutage(error)) seen.push(messageOf(error))
      }
      if (seen.length > KEPT_MAX) break
      await systemClock.sleep(EVERY_MS, ended.signal)
    }
    return looks
  })()
  return {
    async end() {
      ended.abort()
      const looks = await watching
      if (looks === 0) throw new Error('the pipeline was never seen')
      if (seen.length > 0) throw new Error(`seen while it ran: ${seen.join('; ')}`)
    },
  }
}

function oddities(last: Snapshot | null, now: Snapshot, options: MonitorOptions): string[] {
  const found: string[] = []
  const { appended, committed, waiting } = now.totals
  const unaccounted = appended - committed - waiting
  if (unaccounted !== 0) found.push(`${unaccounted} records unaccounted`)
  const working = now.actors.filter(
    ({ kind, alive, state }) =>
      kind === 'executor' && alive && (state === 'running' || state === 'starting'),
  )
  if (working.length > options.executorsMax) found.push(`${working.length} executors at work`)
  if (!last || options.mayGoBack) return found
  const fell = (name: string, before: number | null, after: number | null) => {
    if (before !== null && (after === null || after < before)) {
      found.push(`${name} went from ${before} back to ${after}`)
    }
  }
  fell('the watermark', last.watermark, now.watermark)
  fell('closedTo', last.closedTo, now.closedTo)
  fell('committed', last.totals.committed, now.totals.committed)
  for (const before of last.partitions) {
    const after = now.partitions.find(({ partition }) => partition === before.partition)
    fell(`the ledger of partition ${before.partition}`, before.next, after?.next ?? null)
    fell(`the frontier of partition ${before.partition}`, before.frontier, after?.frontier ?? null)
  }
  return found
}
