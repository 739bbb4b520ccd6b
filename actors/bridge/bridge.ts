/**
 * The bridge: Kafka's record batches in, stream entries and the ledger's offsets out, in one atomic
 * call each. Guarantees: each offset is appended once, whoever else appends and whoever dies,
 * because an append counts only if the ledger still says what the bridge believes.
 *
 * It reads its share of the partitions (share.ts), in sessions. A session asks the ledger where each
 * partition stands, then pumps: one loop for each leading broker, the next fetch under way while the
 * last one is appended. Whatever fails ends the session; the next one asks the ledger again, so an
 * unknown outcome needs no special case.
 * Back-pressure: while the stream is full nothing is fetched, and Kafka is the buffer.
 */
import { backoffDelayMs } from '../backoff.ts'
import { type Clock, untilTick } from '../clock.ts'
import { bounds } from '../config.ts'
import { RefusalError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { FetchedPartition } from '../fetched.ts'
import type { TopicReader } from '../kafka.ts'
import { isKafkaOutage, kafkaMessage } from '../kafka-client.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import { agreedShape } from '../agree.ts'
import { Cost } from './cost.ts'
import type { From } from './from.ts'
import { Frontiers, ledgerGone } from './frontiers.ts'
import { enlist, leaveGone, listTopicsOf, overtaken } from './listing.ts'
import { passLoss } from './loss.ts'
import { absentTopics, changeOf, numbersOf, refuseUnopened, startsOf } from './opening.ts'
import { beginOrRefuse } from './origin.ts'
import { callLength, isLarge, pack, type PackedEntry } from './pack.ts'
import { answered, Stale } from './session.ts'
import {
  type KnownTopic,
  knownTopics,
  type Listed,
  placeText,
  type TopicInfo,
  topicOf,
} from '../topics.ts'
import type { Trace } from '../trace/trace.ts'
import { Pace } from './pace.ts'
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

/** The next offsets of our partitions as this session knows them, and their ends in Kafka. */
interface Positions {
  next: Map<number, number>
  high: Map<number, number>
  /** Up to where appends are known to have happened. */
  appended: Map<number, number>
}

/** Partitions go by their numbers (topics.ts). */
interface Session {
  topics: readonly Listed[]
  positions: Positions
  /** Topics that match seem to be gone: that has to be looked at again. */
  isInDoubt: boolean
}

/** What one fetched partition adds: entries over [from, next). */
interface Plan {
  partition: number
  from: number
  next: number
  high: number
  entries: PackedEntry[]
  /** When it was fetched, where that is traced. */
  since: number
}

const topicCheckMs = 5_000
const closeMs = 1_000
const fullPollMs = 20

export class Bridge {
  readonly #options: BridgeOptions
  readonly #cost: Cost
  readonly #pace: Pace
  #waiting = { records: 0, bytes: 0 }
  readonly #frontiers: Frontiers
  /** We waited for these topics to be made: whatever they hold came after our start. */
  readonly #awaited = new Set<string>()
  /** Index of a topic that matches → since when it is not there, by the monotonic clock. */
  readonly #missing = new Map<number, number>()
  /** The topics of this session's ledger, for messages. */
  #known: readonly KnownTopic[] = []
  /** There was a ledger: from then on it must not be missing, whatever the operator allows. */
  #begun: boolean
  /** Partitions that Kafka did not give out when it was asked last. */
  readonly #troubled = new Set<number>()
  /** What this bridge has appended since its start. */
  readonly #done = { records: 0, entries: 0 }
  /** The partitions that are ours; null for all that there are. */
  #share: Share['partitions'] = null
  /** Ends our work: we are draining, or have another share. */
  #signal = AbortSignal.abort()

  constructor(options: BridgeOptions) {
    this.#options = options
    this.#begun = options.begun ?? false
    this.#cost = new Cost(options.job.work !== null)
    this.#frontiers = new Frontiers(options)
    this.#pace = new Pace(options)
  }

  get done(): { records: number; entries: number } {
    return this.#done
  }

  /**
   * Reads these partitions (null for all that there are) until the signal; rejects where going on would
   * lose or repeat records.
   */
  async run(share: Share['partitions'], signal: AbortSignal): Promise<void> {
    const { life, clock, log } = this.#options
    life.begin()
    this.#share = share
    this.#signal = signal
    // What Kafka does not give out is its next reader's to tell.
    this.#troubled.clear()
    let told = ''
    for (let failures = 0; !signal.aborted; ) {
      const started = clock.elapsed()
      try {
        await this.#session()
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

  async #session(): Promise<void> {
    const kafka = this.#options.connect()
    try {
      await this.#work(kafka)
    } finally {
      // A connection that hangs would never be done closing.
      await Promise.race([kafka.close().catch(() => {}), this.#options.clock.sleep(closeMs)])
    }
  }

  async #work(kafka: TopicReader): Promise<void> {
    const { life } = this.#options
    const session = await this.#begin(kafka)
    const { positions } = session
    // What is not ours any more, or not there, is no trouble of ours.
    for (const p of this.#troubled) if (!positions.next.has(p)) this.#troubled.delete(p)
    await this.#pace.look()
    if (this.#troubled.size === 0) life.explain(null)
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, this.#signal])
    const pumps = [...kafka.leaders([...positions.next.keys()])].map(([node, partitions]) =>
      this.#pump(kafka, node, partitions, positions, signal),
    )
    const watch = this.#watch(kafka, session, signal)
    try {
      await Promise.race([...pumps, watch])
    } finally {
      ended.abort()
      await Promise.allSettled([...pumps, watch])
    }
  }

  /** Connects, and learns of the topics and where they stand. */
  async #begin(kafka: TopicReader): Promise<Session> {
    const { store, keys, job, life, clock } = this.#options
    try {
      const found = await kafka.connect()
      const ledger = await store.redis.hgetall(keys.ledger)
      const absent = absentTopics(job, found, knownTopics(ledger))
      if (!absent) return await this.#open(kafka, found, ledger)
      // What comes to the others meanwhile must not lie before their beginning.
      if (found.length > 0) await this.#open(kafka, found, ledger)
      for (const name of absent.names) this.#awaited.add(name)
      life.explain(absent.text)
      await clock.sleep(500, this.#signal)
      throw new Stale(`${absent.text}; waiting for it`)
    } catch (error) {
      if ((error as { type?: string }).type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      throw new Stale(`${job.topic} changes just now; looking again`, { cause: error })
    }
  }

  /**
   * Registers all partitions, since one without a reader must hold the watermark, and learns where ours
   * stand; refuses where that can't be right.
   */
  async #open(
    kafka: TopicReader,
    found: TopicInfo[],
    ledger: Record<string, string>,
  ): Promise<Session> {
    const { store, keys, job, from } = this.#options
    const isKnown = ledger.topicId !== undefined
    const shape = await agreedShape(store, keys, job)
    if (!isKnown && this.#begun) throw new RefusalError(ledgerGone(job))
    // One bridge begins a job, and that one has all of it.
    if (!isKnown && this.#share) throw new Stale(`job ${job.name} has no ledger; looking again`)
    const before = knownTopics(ledger)
    const listing = await listTopicsOf(this.#options, found, ledger)
    const { topics, known } = listing
    kafka.assign(topics)
    const numbers = numbersOf(topics)
    const earliest = await kafka.offsets('earliest', numbers)
    const latest = await kafka.offsets('latest', numbers)
    if (!isKnown) await beginOrRefuse(this.#options, kafka, latest, known)
    const isAwaited = (name: string) => this.#awaited.has(name) || this.#awaited.has(job.topic)
    const beginning = { job, from, known: isKnown, isAwaited }
    const start = await startsOf(beginning, kafka, topics, { earliest, latest })
    await enlist(this.#options, before, known)
    // A list waits for what it names.
    const gone = job.topics instanceof RegExp ? this.#goneFor(topicCheckMs, listing.gone) : []
    await leaveGone(this.#options, ledger, { ...listing, gone })
    const reply = (await store.call('open', keys.base, [
      topics.find(({ index }) => index === 0)?.id ?? '',
      shape,
      // Only its reader says where a partition ends.
      ...numbers.flatMap((p) => [
        p,
        start.get(p) ?? 0,
        this.#isOurs(p) ? (latest.get(p) ?? 0) : '',
      ]),
    ])) as string[]
    refuseUnopened(job, reply)
    this.#begun = true
    this.#known = known
    const next = new Map<number, number>()
    for (let i = 1; i < reply.length; i += 2) {
      const partition = Number(reply[i])
      if (this.#isOurs(partition)) next.set(partition, Number(reply[i + 1]))
    }
    const high = new Map([...latest].filter(([partition]) => next.has(partition)))
    for (const partition of next.keys()) {
      await passLoss(this.#options, kafka, partition, { next, first: earliest, last: high }, known)
    }
    const isInDoubt = this.#missing.size > gone.length
    return { topics, positions: { next, high, appended: new Map(next) }, isInDoubt }
  }

  /** A broker that has just started may not know of all topics yet: one look proves nothing. */
  #goneFor(ms: number, indexes: readonly number[]): number[] {
    const now = this.#options.clock.elapsed()
    for (const index of this.#missing.keys()) {
      if (!indexes.includes(index)) this.#missing.delete(index)
    }
    for (const index of indexes) if (!this.#missing.has(index)) this.#missing.set(index, now)
    return indexes.filter((index) => now - this.#missing.get(index)! >= ms)
  }

  #isOurs(partition: number): boolean {
    return this.#share === null || this.#share.has(partition)
  }

  /** Fetches from one leader and appends, until the signal; the next fetch overlaps the append. */
  async #pump(
    kafka: TopicReader,
    node: string,
    partitions: number[],
    positions: Positions,
    signal: AbortSignal,
  ): Promise<void> {
    // Kafka gives a batch beyond the fetch's bounds only to the first partition that has any: by turns,
    // so that a large record is not kept waiting for as long as others bring something.
    let turn = 0
    const fetch = () => {
      const first = turn++ % partitions.length
      const order = [...partitions.slice(first), ...partitions.slice(0, first)]
      const from = order.map((partition) => ({ partition, offset: positions.next.get(partition)! }))
      const fetching = kafka.fetch(node, from, bounds.fetchWaitMs)
      // It may fail while an append still waits: nobody listens to it until that is done.
      fetching.catch(() => {})
      return fetching
    }
    let fetching = fetch()
    while (!signal.aborted) {
      const fetched = await answered(fetching, this.#options.clock, signal)
      if (!fetched) break
      const work = fetched.map((one) => this.#plan(one, positions))
      const overlap = this.#hasRoom()
      if (overlap && !signal.aborted) fetching = fetch()
      await Promise.all(work.map((one) => this.#appendAll(one, positions, signal)))
      // Redis has answered each append, so it has all their bytes. After an error one may still be on
      // its way, and nobody gives back what it lies in.
      kafka.release(fetched)
      if (overlap) continue
      await this.#untilRoom(signal)
      fetching = fetch()
    }
  }

  /** What one fetched partition adds; moves the session's position past it. */
  #plan(fetched: FetchedPartition, positions: Positions): Plan {
    const { partition, error, batches, high, next } = fetched
    if (error) throw this.#refused(partition, positions.next.get(partition)!, error)
    if (this.#troubled.delete(partition) && this.#troubled.size === 0) {
      this.#options.life.explain(null)
    }
    const from = positions.next.get(partition)!
    positions.next.set(partition, next)
    positions.high.set(partition, Math.max(high, next))
    const records = Math.min(this.#cost.recordsPerEntry, this.#pace.recordsMax)
    const limits = { bytes: bounds.entryBytes, records }
    const since = this.#options.trace?.now() ?? 0
    return { partition, from, next, high, entries: pack(from, batches, limits), since }
  }

  /** Mostly a leader that moved; what stays so, such as a damaged log, must not go on unseen. */
  #refused(partition: number, offset: number, error: string): Stale {
    const place = placeText(partition, this.#known)
    const message = `Kafka says ${error} for ${place} at offset ${offset}`
    this.#troubled.add(partition)
    this.#options.life.explain(message)
    return new Stale(message)
  }

  /** A batch that is split goes into every part, so that a plan may be far more than was fetched. */
  async #appendAll(plan: Plan, { appended }: Positions, signal: AbortSignal): Promise<void> {
    const { partition, entries, high } = plan
    let from = plan.from
    for (let first = 0; first < entries.length; ) {
      if (first > 0 && !this.#hasRoom()) await this.#untilRoom(signal)
      if (first > 0 && signal.aborted) return
      const count = this.#pace.cut(entries, first, callLength(entries, first))
      const part = entries.slice(first, first + count)
      first += count
      const to = first === entries.length ? plan.next : part.at(-1)!.to
      // The last entry takes in what follows it without records for us, so that entries tile.
      const last = part.at(-1)!
      part[part.length - 1] = { ...last, to }
      const send = () => this.#append(partition, from, to, high, part)
      if (!(await this.#pace.inTurn(send, signal))) return
      const topic = topicOf(partition, this.#known, this.#options.job)
      this.#options.trace?.appended({ topic, partition }, part, plan.since)
      appended.set(partition, to)
      from = to
    }
    if (entries.length === 0 && plan.next > from) {
      await this.#append(partition, from, plan.next, high, [])
      appended.set(partition, plan.next)
    }
  }

  async #append(
    partition: number,
    expected: number,
    next: number,
    high: number,
    entries: PackedEntry[],
  ): Promise<void> {
    const { store, keys, clock } = this.#options
    // Sent together: Redis takes commands of one connection in their order.
    const asides = entries.filter(isLarge).map(({ from, to, payload }) =>
      // Only where there is none: one that waits under this key already must not begin to expire.
      store.setNew(keys.payload(partition, from, to), payload, bounds.payloadExpiryMs),
    )
    const args = entries.flatMap((entry) => [
      entry.from,
      entry.to,
      entry.records,
      isLarge(entry) ? '' : entry.payload,
    ])
    const appended = store.call('append', keys.base, [partition, expected, next, high, ...args])
    await Promise.all([...asides, appended])
    const reply = (await appended) as [number, ...(number | string)[]]
    const place = placeText(partition, this.#known)
    if (reply[0] === 2) throw new Stale(`a payload of ${place} expired; reading again`)
    if (reply[0] === 1) {
      const [, records, bytes, busyUs, committed, waitMs, rate] = reply.map(Number)
      this.#waiting = { records: records!, bytes: bytes! }
      this.#cost.learn(busyUs!, committed!, clock.elapsed())
      this.#pace.heed(waitMs, rate)
      this.#done.entries += entries.length
      this.#done.records += entries.reduce((sum, entry) => sum + entry.records, 0)
      return
    }
    throw overtaken(place, expected, String(reply[1]))
  }

  #hasRoom(): boolean {
    const { records, bytes } = this.#waiting
    return records < bounds.streamRecordsMax && bytes < bounds.streamBytesMax
  }

  /** Past the high-water mark: waits for the low-water mark, half of it. */
  async #untilRoom(signal: AbortSignal): Promise<void> {
    const { store, keys, clock } = this.#options
    while (!signal.aborted) {
      const [records, bytes] = await store.redis.hmget(keys.totals, 'waiting', 'waitingBytes')
      this.#waiting = { records: Number(records), bytes: Number(bytes) }
      const low =
        this.#waiting.records <= bounds.streamRecordsMax / 2 &&
        this.#waiting.bytes <= bounds.streamBytesMax / 2
      if (low) return
      await clock.sleep(fullPollMs, signal)
    }
  }

  /**
   * While nothing comes there is nothing to append, and nothing else would tell that Redis came back
   * older: what it lost has to be read again now, not with the partition's next record.
   */
  async #exchange(kafka: TopicReader, positions: Positions): Promise<void> {
    if (this.#pace.holds) await this.#sight(kafka, positions)
    const appended = [...positions.appended]
    const held = await this.#frontiers.exchange(kafka, positions.high, this.#known)
    for (const [partition, next] of appended) {
      const now = held.get(partition)!
      if (now < next) throw overtaken(placeText(partition, this.#known), next, String(now))
    }
  }

  /** Nothing is fetched while a quota holds us, and nothing else tells how far Kafka has come. */
  async #sight(kafka: TopicReader, { high }: Positions): Promise<void> {
    for (const [partition, end] of await kafka.offsets('latest', [...high.keys()])) {
      high.set(partition, Math.max(end, high.get(partition)!))
    }
  }

  /** Beside the pumps: exchanges ends, and looks whether these are still the topics we began with. */
  async #watch(
    kafka: TopicReader,
    { topics, positions, isInDoubt }: Session,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, job } = this.#options
    let checkedAt = clock.elapsed()
    while (!signal.aborted) {
      await this.#exchange(kafka, positions)
      if (clock.elapsed() - checkedAt > topicCheckMs) {
        checkedAt = clock.elapsed()
        const change = changeOf(job, topics, await kafka.topics())
        if (change !== null) throw new Stale(change)
        if (isInDoubt) throw new Stale('looking again whether topics are gone')
      }
      await clock.sleep(untilTick(clock, bounds.heartbeatMs), signal)
    }
    // What was finished since, for who looks with Kafka's tools after we are gone.
    await this.#exchange(kafka, positions)
  }
}
