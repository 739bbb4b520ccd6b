/**
 * Where a job stands in a partition against what Kafka holds of it: retention may have deleted what was
 * not read yet, and a topic that was emptied or replaced ends before what was read. Pure.
 */
import { RefusalError } from '../errors.ts'
import type { Job } from '../job.ts'

export interface Stand {
  job: Pick<Job, 'name' | 'topic'>
  partition: number
  /** Offsets: the job's next one, Kafka's first, Kafka's end. */
  position: number
  first: number
  last: number
}

/**
 * What to say of the records that Kafka has deleted before the job read them; null where there are none.
 * @throws RefusalError where Kafka holds less than the job has read
 */
export function lostBefore({ job, partition, position, first, last }: Stand): string | null {
  const place = `partition ${partition} of topic ${job.topic}`
  if (position > last) {
    throw new RefusalError(
      `${place} ends at offset ${last}, but job ${job.name} has read up to ${position}: the topic was emptied or replaced; run the job under another name to begin anew`,
    )
  }
  if (position >= first) return null
  return `records ${position} to ${first - 1} of ${place} were deleted by retention before they were read`
}
