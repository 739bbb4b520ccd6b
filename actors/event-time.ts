/**
 * When a record happened: by the job's own function, or by Kafka's timestamp.
 */
import type { Job, Meta } from './job.ts'
import { JobError } from './job-error.ts'

/** Marks Kafka's time. Of the whole process, as a compiled actor and the job's file have a copy each. */
const KAFKA_TIME = Symbol.for('millrace.kafkaTime')

/** Kafka's own timestamp; no number where there is none. */
export const kafkaTime = Object.assign(
  (_: unknown, { timestamp }: Pick<Meta, 'timestamp'>): number =>
    timestamp < 0 ? Number.NaN : timestamp,
  { [KAFKA_TIME]: true },
)

/** Whether a job's event time is that of Kafka, which is at hand for every record. */
export const isKafkaTime = (eventTime: Job['eventTime']): boolean => KAFKA_TIME in eventTime

/** @throws JobError */
export function eventTimeOf(value: unknown): Job['eventTime'] {
  if (value === 'kafka') return kafkaTime
  if (typeof value === 'function') return value as Job['eventTime']
  throw new JobError("eventTime must be a function of a record, or 'kafka'")
}
