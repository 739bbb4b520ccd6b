/**
 * The bridge: Kafka's record batches in, stream entries and the ledger's offsets out, in one atomic
 * call each. Guarantees: each offset is appended once, whoever else appends and whoever dies,
 * because an append counts only if the ledger still says what the bridge believes.
 *
 * It reads its share of the partitions (share.ts), in sessions. A session asks the ledger where each
 * partition stands (opening.ts), then pumps: one loop for each leading broker, the next fetch under way
 * while the last one is appended (appender.ts). Whatever fails ends the session; the next one asks the
 * ledger again, so an unknown outcome needs no special case.
 * Back-pressure: while the stream is full nothing is fetched, and Kafka is the buffer.
 */
import { backoffDelayMs } from '../backoff.ts'
import { type Clock, untilTick } from '../clock.ts'
import { bounds } from '../config.ts'
import type { Job } from '../job.ts'
import type { FetchedPartition } from '../fetched.ts'
import type { TopicReader } from '../kafka.ts'
import { isKafkaOutage, kafkaMessage } from '../kafka-client.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import { placeText } from '../topics.ts'
import type { Trace } from '../trace/trace.ts'
import { Appender } from './appender.ts'
import { isCompressible } from './compress.ts'
import type { From } from './from.ts'
import { Frontiers } from './frontiers.ts'
import { overtaken } from './listing.ts'
import { changeOf, Opening, topicCheckMs } from './opening.ts'
import { answered, type Positions, type Session, Stale } from './session.ts'
import type { Share } from './share.ts'

export interface BridgeOptions {
  job: Job
  /** Of the shard whose partitions it reads, and of the first one. */
  keys: Keys
  first: Keys
  store: Store
  /** A client of its own for each session: what is left of a broken connection goes with it. */
  connect: () => TopicReader
  /** Where to begin a partition that the ledger does not know, and Kafka's address for messages. */
  from: From
  address: string
  /** Go on past records that Kafka deleted before they were read, instead of stopping. */
  acceptLoss: boolean
  /** Begin anew where Redis has lost what the job had read, instead of stopping. */
  fresh: boolean
  /** Who started us has seen the job's ledger, so that it must not be missing. */
  begun?: boolean
  trace?: Trace | null
  clock: Clock
  log: Log
  life: Voice
}

/** What a bridge says of itself. */
export interface Voice {
  /** It reads from now on. */
  begin(): void
  /** Why it does not get on; null takes it back. */
  explain(reason: string | null): void
}

const closeMs = 1_000

export class Bridge {
  readonly #options: BridgeOptions
  readonly #opening: Opening
  readonly #appender: Appender
  readonly #frontiers: Frontiers
  /** Partitions that Kafka did not give out when it was asked last. */
  readonly #troubled = new Set<number>()

  constructor(options: BridgeOptions) {
    this.#options = options
    this.#opening = new Opening(options)
    this.#appender = new Appender(options)
    this.#frontiers = new Frontiers(options)
  }

  /** What it has appended since its start. */
  get done(): Appender['done'] {
    return this.#appender.done
  }

  /**
   * Reads these partitions (null for all that there are) until the signal, when we drain or have another
   * share; rejects where going on would lose or repeat records.
   */
  async run(share: Share['partitions'], signal: AbortSignal): Promise<void> {
    const { life, clock, log } = this.#options
    life.begin()
    // What Kafka does not give out is its next reader's to tell.
    this.#troubled.clear()
    let told = ''
    for (let failures = 0; !signal.aborted; ) {
      const started = clock.elapsed()
      try {
        await this.#session(share, signal)
      } catch (error) {
        if (!(error instanceof Stale)) this.#endure(error, failures === 0)
        else if (error.message !== told) log.info((told = error.message))
        failures = clock.elapsed() - started > 10_000 ? 1 : failures + 1
        const backoff = { baseMs: 50, capMs: bounds.redisRetryCapMs }
        await clock.sleep(backoffDelayMs(backoff, failures, clock.random()), signal)
      }
    }
  }

  /** Passes on an error that is no outage; says an outage once. */
  #endure(error: unknown, first: boolean): void {
    const { address, life, log } = this.#options
    const kafka = isKafkaOutage(error)
    if (!kafka && !isOutage(error)) throw error
    if (kafka && first) {
      log.warn(`Kafka at ${address} does not answer; trying again`, { error: kafkaMessage(error) })
    }
    life.explain(kafka ? `Kafka at ${address} does not answer` : 'Redis does not answer')
  }

  async #session(share: Share['partitions'], stopped: AbortSignal): Promise<void> {
    const kafka = this.#options.connect()
    try {
      await this.#work(kafka, share, stopped)
    } finally {
      // A connection that hangs would never be done closing.
      await Promise.race([kafka.close().catch(() => {}), this.#options.clock.sleep(closeMs)])
    }
  }

  async #work(kafka: TopicReader, share: Share['partitions'], stopped: AbortSignal): Promise<void> {
    const { life } = this.#options
    const session = await this.#opening.session(kafka, share, stopped)
    const { next } = session.positions
    // What is not ours any more, or not there, is no trouble of ours.
    for (const p of this.#troubled) if (!next.has(p)) this.#troubled.delete(p)
    await this.#appender.look()
    if (this.#troubled.size === 0) life.explain(null)
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, stopped])
    const pumps = [...kafka.leaders([...next.keys()])].map(([node, partitions]) =>
      this.#pump(kafka, node, partitions, session, signal),
    )
    const watch = this.#watch(kafka, session, signal)
    try {
      await Promise.race([...pumps, watch])
    } finally {
      ended.abort()
      await Promise.allSettled([...pumps, watch])
    }
  }

  /** Fetches from one leader and appends, until the signal; meanwhile the next fetch is under way. */
  async #pump(
    kafka: TopicReader,
    node: string,
    partitions: number[],
    session: Session,
    signal: AbortSignal,
  ): Promise<void> {
    const { next } = session.positions
    // Kafka gives a batch beyond the fetch's bounds only to the first partition that has any: by turns,
    // so that a large record is not kept waiting for as long as others bring something.
    let turn = 0
    const fetch = () => {
      const first = turn++ % partitions.length
      const order = [...partitions.slice(first), ...partitions.slice(0, first)]
      const from = order.map((partition) => ({ partition, offset: next.get(partition)! }))
      const fetching = kafka.fetch(node, from, bounds.fetchWaitMs)
      // It may fail while an append still waits: nobody listens to it until that is done.
      fetching.catch(() => {})
      return fetching
    }
    let fetching = fetch()
    while (!signal.aborted) {
      const fetched = await answered(fetching, this.#options.clock, signal)
      if (!fetched) break
      const begun = fetched.map((one) => this.#take(one, session))
      const overlap = this.#appender.hasRoom()
      if (overlap && !signal.aborted) {
        fetching = fetch()
        // It goes out now, so that Kafka answers while we compress.
        if (fetched.some(({ batches }) => batches.some(isCompressible))) {
          await this.#options.clock.turn()
        }
      }
      const parts = fetched
        .map((one, i) => this.#appender.plan(one, begun[i]!))
        .filter((part) => part !== null)
      await this.#appender.append(parts, session, signal)
      // Redis has answered each append, so it has all their bytes. After an error one may still be on
      // its way, and nobody gives back what it lies in.
      kafka.release(fetched)
      if (overlap) continue
      await this.#appender.untilRoom(signal)
      fetching = fetch()
    }
  }

  /** Moves the session's position past what was fetched of a partition; answers with where it was. */
  #take(fetched: FetchedPartition, { positions, known }: Session): number {
    const { life } = this.#options
    const { partition, error, high, next } = fetched
    const from = positions.next.get(partition)!
    // Mostly a leader that moved; what stays so, such as a damaged log, must not go on unseen.
    if (error) {
      const message = `Kafka says ${error} for ${placeText(partition, known)} at offset ${from}`
      this.#troubled.add(partition)
      life.explain(message)
      throw new Stale(message)
    }
    if (this.#troubled.delete(partition) && this.#troubled.size === 0) life.explain(null)
    positions.next.set(partition, next)
    positions.high.set(partition, Math.max(high, next))
    return from
  }

  /**
   * While nothing comes there is nothing to append, and nothing else would tell that Redis came back
   * older: what it lost has to be read again now, not with the partition's next record.
   */
  async #exchange(kafka: TopicReader, { positions, known }: Session): Promise<void> {
    if (this.#appender.holds) await this.#sight(kafka, positions)
    const appended = [...positions.appended]
    const held = await this.#frontiers.exchange(kafka, positions.high, known)
    for (const [partition, next] of appended) {
      const now = held.get(partition)!
      if (now < next) throw overtaken(placeText(partition, known), next, String(now))
    }
  }

  /** Nothing is fetched while a quota holds us, and nothing else tells how far Kafka has come. */
  async #sight(kafka: TopicReader, { high }: Positions): Promise<void> {
    for (const [partition, end] of await kafka.offsets('latest', [...high.keys()])) {
      high.set(partition, Math.max(end, high.get(partition)!))
    }
  }

  /** Beside the pumps: exchanges ends, and looks whether these are still the topics we began with. */
  async #watch(kafka: TopicReader, session: Session, signal: AbortSignal): Promise<void> {
    const { clock, job } = this.#options
    const { topics, isInDoubt } = session
    let checkedAt = clock.elapsed()
    while (!signal.aborted) {
      await this.#exchange(kafka, session)
      if (clock.elapsed() - checkedAt > topicCheckMs) {
        checkedAt = clock.elapsed()
        const change = changeOf(job, topics, await kafka.topics())
        if (change !== null) throw new Stale(change)
        if (isInDoubt) throw new Stale('looking again whether topics are gone')
      }
      await clock.sleep(untilTick(clock, bounds.heartbeatMs), signal)
    }
    // What was finished since, for who looks with Kafka's tools after we are gone.
    await this.#exchange(kafka, session)
  }
}
