/**
 * How far either side is: Kafka's ends go to Redis, for the watermark and the lag; the executors'
 * finished frontiers go to Kafka, for its own tools. Nothing of ours reads the latter back.
 */
import { messageOf, RefusalError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { TopicReader } from '../kafka.ts'
import { isKafkaOutage } from '../kafka-client.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'

export interface FrontiersOptions {
  job: Job
  keys: Keys
  store: Store
  log: Log
}

export class Frontiers {
  readonly #options: FrontiersOptions
  /** What Kafka was told last, so that it is told only what is new. */
  #told = ''

  constructor(options: FrontiersOptions) {
    this.#options = options
  }

  /** `high`: partition → the end of what can be read. Rejects while either server is away. */
  async exchange(kafka: TopicReader, high: Map<number, number>): Promise<void> {
    const { store, keys } = this.#options
    const reply = (await store.call('seen', keys.base, [...high].flat())) as (string | null)[]
    const frontiers = new Map<number, number>()
    for (let i = 0; i < reply.length; i += 2) {
      const frontier = reply[i + 1]
      // Kafka keeps what it was told last: the next bridge knows by it that the job was at work.
      if (frontier === null) throw new RefusalError(ledgerGone(this.#options.job))
      frontiers.set(Number(reply[i]), Number(frontier))
    }
    await this.#tellKafka(kafka, frontiers)
  }

  async #tellKafka(kafka: TopicReader, frontiers: Map<number, number>): Promise<void> {
    const { job, log } = this.#options
    const state = JSON.stringify([...frontiers])
    if (state === this.#told) return
    try {
      await kafka.commitOffsets(groupIdOf(job), frontiers)
      this.#told = state
    } catch (error) {
      // A coordinator that is still loading: nobody of ours waits for it, the next look asks again.
      if (isKafkaOutage(error) && isAnswer(error)) return
      if (isKafkaOutage(error)) throw error
      log.warn('Kafka did not take the group offsets', { error: messageOf(error) })
      this.#told = state
    }
  }
}

/** Whether Kafka itself said so, over a connection that works. */
function isAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'KafkaJSProtocolError' || isAnswer(error.cause)
}

export const ledgerGone = (job: Pick<Job, 'name'>): string =>
  `the ledger of job ${job.name} is gone: Redis was emptied while the job ran`

/** The consumer group under which Kafka's tools see a job. */
export const groupIdOf = (job: Job): string => `millrace-${job.name}`
