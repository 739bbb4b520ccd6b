/**
 * How far either side is: Kafka's ends go to Redis, for the watermark and the lag; the executors'
 * finished frontiers go to Kafka, for its own tools. Where to go on is never read from there, but
 * origin.ts knows by it that a job without a ledger has been at work.
 */
import { messageOf, RefusalError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { TopicReader } from '../kafka.ts'
import { isKafkaOutage } from '../kafka-client.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'
import { type KnownTopic, placeText } from '../topics.ts'
import { unknownPartition } from './listing.ts'
import { Stale } from './session.ts'

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
  /** Why Kafka did not take them, as was said last; '' where it does. */
  #refused = ''

  constructor(options: FrontiersOptions) {
    this.#options = options
  }

  /**
   * `high`: partition → the end of what can be read. Answers with what the ledger says is next.
   * Rejects while either server is away.
   */
  async exchange(
    kafka: TopicReader,
    high: Map<number, number>,
    known: readonly KnownTopic[],
  ): Promise<Map<number, number>> {
    const { store, keys } = this.#options
    const reply = (await store.call('seen', keys.base, [...high].flat())) as (string | null)[]
    if (reply[0] === 'vanished') {
      throw new RefusalError(entriesVanished(this.#options.job, Number(reply[1])))
    }
    const frontiers = new Map<number, number>()
    const next = new Map<number, number>()
    for (let i = 0; i < reply.length; i += 3) {
      const frontier = reply[i + 1]
      // Kafka keeps what it was told last: the next bridge knows by it that the job was at work.
      if (frontier === null) throw new Stale(unknownPartition(placeText(Number(reply[i]), known)))
      frontiers.set(Number(reply[i]), Number(frontier))
      next.set(Number(reply[i]), Number(reply[i + 2]))
    }
    await this.#tellKafka(kafka, frontiers)
    return next
  }

  async #tellKafka(kafka: TopicReader, frontiers: Map<number, number>): Promise<void> {
    const { job, log } = this.#options
    const state = JSON.stringify([...frontiers])
    if (state === this.#told) return
    try {
      await kafka.commitOffsets(groupIdOf(job), frontiers)
      this.#told = state
      if (this.#refused !== '') log.info('Kafka takes the group offsets again')
      this.#refused = ''
    } catch (error) {
      // A coordinator that is still loading: nobody of ours waits for it, the next look asks again.
      if (isKafkaOutage(error) && isAnswer(error)) return
      if (isKafkaOutage(error)) throw error
      this.#told = state
      const refusal = refusalOf(error, groupIdOf(job))
      if (refusal !== this.#refused) log.warn(refusal)
      this.#refused = refusal
    }
  }
}

/** Nothing of ours depends on these offsets, so it is said, and the work goes on. */
function refusalOf(error: unknown, group: string): string {
  const what = `Kafka's tools can't tell how far the job is`
  const { type } = error as { type?: string }
  if (type !== 'UNKNOWN_MEMBER_ID' && type !== 'REBALANCE_IN_PROGRESS') {
    return `${what}: Kafka did not take the offsets of group ${group}: ${messageOf(error)}`
  }
  return `${what}: a consumer that is not ours is in group ${group}; give it a group of its own`
}

/** Whether Kafka itself said so, over a connection that works. */
function isAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'KafkaJSProtocolError' || isAnswer(error.cause)
}

export const entriesVanished = (job: Pick<Job, 'name'>, entries: number): string =>
  `${entries} entries of job ${job.name} were deleted from its stream in Redis before they were processed: their records would be missing; give Redis its data back, or delete what it holds of the job and start once with --fresh --from earliest`

export const ledgerGone = (job: Pick<Job, 'name'>): string =>
  `the ledger of job ${job.name} is gone: Redis was emptied while the job ran, and windows are lost with it; give Redis its data back, or start once with --fresh to begin anew`

/** The consumer group under which Kafka's tools see a job. */
export const groupIdOf = (job: Job): string => `millrace-${job.name}`
