/**
 * Waits until the pipeline has processed all that Kafka holds.
 */
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { type PipelineState, readState } from './pipeline.ts'
import { type PartitionOffsets, topicOffsets } from './topic.ts'
import type { Verification } from './verify.ts'

const LOOK_EVERY_MS = 250

/**
 * @param onLook takes how many records are not processed yet, at each look
 * @throws RefusalError that says where it stands, when the time is up
 */
export async function catchUp(
  { job, kafka, store, keys }: Verification,
  timeoutMs: number,
  onLook: (records: number) => void = () => {},
): Promise<void> {
  const deadline = systemClock.elapsed() + timeoutMs
  for (;;) {
    const ends = await topicOffsets(kafka, job.topic)
    const state = await readState(store, keys)
    const behind = behindOf(state, ends)
    onLook(recordsBehind(state, ends))
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

/** As offsets count them, which may be more than there are. */
function recordsBehind(state: PipelineState, ends: PartitionOffsets[]): number {
  return ends.reduce((sum, { partition, low, high }) => {
    const known = state.partitions.find((one) => one.partition === partition)
    return sum + Math.max(0, high - (known?.frontier ?? low))
  }, 0)
}

function behindOf(state: PipelineState, ends: PartitionOffsets[]): string[] {
  return ends.flatMap(({ partition, high }) => {
    const known = state.partitions.find((one) => one.partition === partition)
    if (known && known.frontier >= high) return []
    return [`partition ${partition} at ${known?.frontier ?? 'no offset'} of ${high}`]
  })
}
