/**
 * Waits until the pipeline has processed all that Kafka holds.
 */
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { type PipelineState, readState } from './pipeline.ts'
import { type PartitionOffsets, topicOffsets } from './topic.ts'
import type { Verification } from './verify.ts'

const LOOK_EVERY_MS = 250

/** @throws RefusalError that says where it stands, when the time is up */
export async function catchUp(
  { job, kafka, store, keys }: Verification,
  timeoutMs: number,
): Promise<void> {
  const deadline = systemClock.elapsed() + timeoutMs
  for (;;) {
    const ends = await topicOffsets(kafka, job.topic)
    const state = await readState(store, keys)
    const behind = behindOf(state, ends)
    if (behind.length === 0 && state.totals.waiting === 0) return
    if (systemClock.elapsed() >= deadline) {
      const waiting = `${state.totals.waiting} records wait`
      throw new RefusalError(
        `not caught up after ${timeoutMs / 1_000} s: ${[...behind, waiting].join(', ')}`,
      )
    }
    await systemClock.sleep(LOOK_EVERY_MS)
  }
}

function behindOf(state: PipelineState, ends: PartitionOffsets[]): string[] {
  return ends.flatMap(({ partition, high }) => {
    const known = state.partitions.find((one) => one.partition === partition)
    if (known && known.frontier >= high) return []
    return [`partition ${partition} at ${known?.frontier ?? 'no offset'} of ${high}`]
  })
}
