/**
 * Records into Kafka at a pace: due → made → sent → acknowledged, until the count is reached or the
 * signal comes.
 */
import type { Clock } from '../clock.ts'
import type { Pace } from './pace.ts'
import type { MakeRecord, ProducedRecord } from './records.ts'

/** Records of one request. kafkajs copies a partition's list for each record, so more is slower. */
const BATCH_MAX = 1000
/** At high rates records that are due meanwhile are sent together. */
const TICK_MS = 5

export interface Production {
  clock: Clock
  pace: Pace
  make: MakeRecord
  /** Resolves when more can be sent. */
  send(records: ProducedRecord[]): Promise<void>
  /** Records in all; Infinity for no end. */
  count: number
  signal: AbortSignal
}

/** Resolves with how many records were handed to `send`. */
export async function produce(production: Production): Promise<number> {
  const { clock, pace, make, count, signal } = production
  const startedAt = clock.elapsed()
  let sent = 0
  while (sent < count && !signal.aborted) {
    const elapsedMs = clock.elapsed() - startedAt
    const due = pace.take(elapsedMs, Math.min(BATCH_MAX, count - sent))
    if (due === 0) {
      await clock.sleep(Math.max(pace.nextMs() - elapsedMs, TICK_MS), signal)
      continue
    }
    const now = clock.now()
    await production.send(Array.from({ length: due }, () => make(now)))
    sent += due
  }
  return sent
}
