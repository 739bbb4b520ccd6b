/**
 * A user's own job as the ladder plays it: the file, its names, and records to feed it with.
 */
import { readConfig } from '../actors/config.ts'
import { UsageError } from '../actors/errors.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { loadJob } from '../actors/load.ts'
import { registerCodecs } from '../verify/codecs.ts'
import { sampleOfFile, sampleOfTopic } from './sample.ts'
import type { OwnJob } from './world.ts'

export interface OwnJobOptions {
  file: string
  /** A file with a record a line; without it the newest `count` are copied out of the job's topic. */
  records: string | undefined
  count: number
}

/** @throws UsageError or RefusalError in one line */
export async function ownJob({ file, records, count }: OwnJobOptions): Promise<OwnJob> {
  const job = await loadJob(file)
  const names = { job: job.name, topic: job.topic }
  if (records !== undefined) return { file, names, sample: sampleOfFile(records) }
  registerCodecs()
  const config = readConfig()
  const sample = await sampleOfTopic(kafkaClient(config, 'millrace-faults'), job.topic, count)
  if (sample.records.length < 100) {
    throw new UsageError(
      `topic ${job.topic} holds ${sample.records.length} records; at least 100 are needed to see anything`,
    )
  }
  return { file, names, sample }
}
