/**
 * How far either side is: Kafka's ends go to Redis, for the watermark and the lag; the executors'
 * finished frontiers go to Kafka, for its own tools. Nothing of ours reads the latter back.
 */
import { messageOf } from '../errors.ts'
import type { Job } from '../job.ts'
import type { RawKafka } from '../kafka.ts'
import { isKafkaOutage } from '../kafka-client.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'

export interface FrontiersOptions {
  job: Job
  keys: Keys
  store: Store
  kafka: RawKafka
  log: Log
}

export class Frontiers {
  readonly #options: FrontiersOptions
  /** What Kafka was told last, so that it is told only what is new. */
  #told = ''

  constructor(options: FrontiersOptions) {
    this.#options = options
  }

  /** `high`: partition → the end of what can be read. Rejects while Redis is away. */
  async exchange(high: Map<number, number>): Promise<void> {
    const { store, keys } = this.#options
    const reply = (await store.call('seen', keys.base, [...high].flat())) as string[]
    const frontiers = new Map<number, number>()
    for (let i = 0; i < reply.length; i += 2) frontiers.set(Number(reply[i]), Number(reply[i + 1]))
    await this.#tellKafka(frontiers)
  }

  async #tellKafka(frontiers: Map<number, number>): Promise<void> {
    const { kafka, job, log } = this.#options
    const state = JSON.stringify([...frontiers])
    if (state === this.#told) return
    try {
      await kafka.commitOffsets(groupIdOf(job), frontiers)
      this.#told = state
    } catch (error) {
      // Nobody of ours waits for it; an outage is told by the fetches, and the next look asks again.
      if (isKafkaOutage(error)) return
      log.warn('Kafka did not take the group offsets', { error: messageOf(error) })
      this.#told = state
    }
  }
}

/** The consumer group under which Kafka's tools see a job. */
export const groupIdOf = (job: Job): string => `millrace-${job.name}`
