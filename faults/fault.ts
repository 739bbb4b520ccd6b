/**
 * What a fault is: something that happens to a pipeline at work, in a setting of its own, after which
 * everything that Millrace promises must still be true. A scenario file holds a few of them; the list
 * of all is faults/list.ts.
 */
import type { PipelineOptions } from './pipeline.ts'
import type { World } from './world.ts'

/** Of a setting that says nothing else: what a supervisor has where nobody says otherwise. */
export const EXECUTORS_MAX = 4

export interface Fault {
  /** F01 and so on; a letter behind it where one fault has several faces. */
  id: string
  /** What is done, as a person would say it. */
  title: string
  /** What must hold, beyond the checks that every fault ends with. */
  holds: string
  /** Belongs to the selection that `bun run check` plays. */
  smoke?: boolean
  /** Depends on records of the shipped job's form, so it can't be played with another job. */
  shippedJobOnly?: boolean
  /** Looks at processes by /proc, or limits what they may do: on Linux only. */
  linuxOnly?: boolean
  setting?: Setting
  /** A line of the log that tells a person that this happened. */
  shows?: RegExp
  happens(world: World): Promise<void>
}

export interface Setting extends Pick<PipelineOptions, 'topic' | 'args' | 'environment'> {
  /**
   * `shared` servers stay untouched (the default); its `own` can be stopped and damaged; through
   * `proxied` ones the pipeline alone is led through proxies that disturb its connections.
   */
  servers?: 'shared' | 'own' | 'proxied'
  /** Of own or proxied servers only Redis is this world's: a Kafka takes seconds of a core to start. */
  sharesKafka?: boolean
  redisSettings?: Record<string, string>
  kafkaSettings?: Record<string, string>
  /** A job of faults/jobs, by its file's name. Makes the fault one of the shipped job only. */
  job?: 'students' | 'poison' | 'trapped'
  /** Records a second from the beginning until the fault is over; 0 for none. Default 2,000. */
  rate?: number
  /** Records that are there before the pipeline starts. Default 0. */
  backlog?: number
  /** Microseconds of processor time that each record costs. Shipped job only. */
  spinUs?: number
  /** Redis is taken back to an earlier state: ledger, watermark and counters may go back then. */
  mayGoBack?: boolean
  /** The supervisor is not started: the fault does it. */
  unstarted?: boolean
  /** The pipeline can't end in order and complete: the fault itself says what must be true. */
  ends?: 'exact' | 'by itself'
  executorsMax?: number
  /** Lines of the log that look like bugs and are part of this fault. */
  foreseen?: RegExp[]
}

/** What a recovery took: how long work needed to go on, by what was waited for. */
export interface Recovery {
  what: string
  ms: number
  withinMs: number
}

/** The greatest sizes that were seen, in MB, by kind of process; `redis` is what the job added to it. */
export type Peaks = Record<string, number>

export interface Outcome {
  id: string
  title: string
  ok: boolean
  /** What was wrong, a line each; empty when ok. */
  findings: string[]
  seconds: number
  /** Records that the reference counted; null where it was not asked. */
  records: number | null
  recoveries: Recovery[]
  notes: string[]
  peaksMb: Peaks
  /** Where the pipeline's log is kept, for one that failed. */
  log: string | null
}
