/**
 * Waits until the pipeline has processed all that Kafka holds.
 */
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import { type PipelineState, readState } from './pipeline.ts'
import { endsOf, type TopicEnd } from './topics.ts'
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
    const state = await readState(store, keys)
    const ends = await endsOf(kafka, job, state)
    const behind = behindOf(job, state, ends)
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
export function recordsBehind(
  { partitions }: Pick<PipelineState, 'partitions'>,
  ends: readonly TopicEnd[],
): number {
  return ends.reduce((sum, { number, low, high }) => {
    const known = partitions.find((one) => one.partition === number)
    return sum + Math.max(0, high - (known?.frontier ?? low))
  }, 0)
}

function behindOf(job: Job, state: PipelineState, ends: readonly TopicEnd[]): string[] {
  return ends.flatMap(({ topic, partition, number, high }) => {
    const known = state.partitions.find((one) => one.partition === number)
    if (known && known.frontier >= high) return []
    const place = job.topics ? `${topic}, partition ${partition}` : `partition ${partition}`
    return [`${place} at ${known?.frontier ?? 'no offset'} of ${high}`]
  })
}
