/**
 * The simulated topics and a client of them, as the bridge reads one (actors/kafka.ts): fetches that wait
 * for records, batches whole also where a fetch begins inside of one, leaders that change, a broker
 * that is away or does not answer, partitions that are added.
 */
import type { FetchedPartition } from '../../actors/fetched.ts'
import type { TopicReader } from '../../actors/kafka.ts'
import { type Listed, partitionOf, type TopicInfo, topicIndexOf } from '../../actors/topics.ts'
import type { Chance } from './chance.ts'
import type { Process } from './processes.ts'
import type { SimBatch } from './records.ts'
import type { Time } from './time.ts'

export interface SimPartition {
  /** Its number (actors/topics.ts). */
  partition: number
  batches: SimBatch[]
  /** When it is added to the topic. */
  bornUs: number
}

export class Topic {
  readonly committed = new Map<number, number>()
  /** Until then the broker is away: connections are refused, or nothing is answered. */
  awayUntilUs = 0
  mute = false
  /** Changes move partitions between two nodes. */
  leaderEpoch = 0
  readonly #time: Time
  readonly #byNumber: ReadonlyMap<number, SimPartition>

  constructor(
    time: Time,
    readonly partitions: SimPartition[],
    readonly chance: Chance,
    /** By the topic's index. */
    readonly nameOf: (index: number) => string,
  ) {
    this.#time = time
    this.#byNumber = new Map(partitions.map((one) => [one.partition, one]))
  }

  get away(): boolean {
    return this.#time.nowUs < this.awayUntilUs
  }

  born(): SimPartition[] {
    return this.partitions.filter(({ bornUs }) => bornUs <= this.#time.nowUs)
  }

  leader(partition: number): string {
    return String((partition + this.leaderEpoch) % 2)
  }

  /** End of what is in the log now. */
  high(partition: number): number {
    let end = 0
    for (const { atUs, to } of this.#byNumber.get(partition)!.batches) {
      if (atUs > this.#time.nowUs) break
      end = to
    }
    return end
  }

  fetch(partition: number, offset: number, batchesMax: number): FetchedPartition {
    const all = this.#byNumber.get(partition)!.batches
    const found = all.filter(({ atUs, to }) => atUs <= this.#time.nowUs && to > offset)
    const taken = found.slice(0, batchesMax)
    const batches = taken.map(({ from, to, records, bytes }) => ({
      from,
      to,
      records: records.length,
      // As from a network: memory of this answer's own, which its reader may give back.
      bytes: Buffer.from(bytes),
    }))
    const next = Math.max(offset, taken.at(-1)?.to ?? 0)
    return { partition, error: null, high: this.high(partition), logStart: 0, batches, next }
  }

  /** When the next batch of any of these partitions comes; Infinity for never. */
  nextAppendUs(partitions: readonly number[]): number {
    let soonest = Infinity
    for (const p of partitions) {
      const next = this.#byNumber.get(p)!.batches.find(({ atUs }) => atUs > this.#time.nowUs)
      if (next) soonest = Math.min(soonest, next.atUs)
    }
    return soonest
  }
}

export class SimKafka implements TopicReader {
  readonly #topic: Topic
  readonly #time: Time
  readonly #process: Process
  readonly #isWanted: (partition: number) => boolean

  /** A client that knows of no other partitions than those that it is to read. */
  constructor(
    topic: Topic,
    time: Time,
    process: Process,
    isWanted: (partition: number) => boolean = () => true,
  ) {
    this.#topic = topic
    this.#time = time
    this.#process = process
    this.#isWanted = isWanted
  }

  connect(): Promise<TopicInfo[]> {
    return this.topics()
  }

  /** They are made in the order of their indexes, so that the ledger has to give them the same. */
  assign(topics: readonly Pick<Listed, 'name' | 'index'>[]): void {
    for (const { name, index } of topics) {
      if (name !== this.#topic.nameOf(index)) throw new Error(`topic ${name} got index ${index}`)
    }
  }

  close(): Promise<void> {
    return this.#ask(() => {})
  }

  topics(): Promise<TopicInfo[]> {
    return this.#ask(() => {
      const topics = Map.groupBy(this.#topic.born(), ({ partition }) => topicIndexOf(partition))
      return Array.from(topics, ([index, born]) => ({
        name: this.#topic.nameOf(index),
        id: `id-${index}`,
        partitions: born.flatMap(({ partition }) =>
          this.#isWanted(partition) ? partitionOf(partition) : [],
        ),
      }))
    })
  }

  offsets(end: 'earliest' | 'latest', partitions: number[]): Promise<Map<number, number>> {
    const of = (p: number) => (end === 'earliest' ? 0 : this.#topic.high(p))
    return this.#ask(() => new Map(partitions.map((p) => [p, of(p)])))
  }

  /** Nobody asks for a time in a simulation. */
  offsetsFrom(): Promise<Map<number, number>> {
    return this.#ask(() => new Map())
  }

  leaders(partitions: number[]): Map<string, number[]> {
    const nodes = new Map<string, number[]>()
    for (const p of partitions) {
      const node = this.#topic.leader(p)
      nodes.set(node, [...(nodes.get(node) ?? []), p])
    }
    return nodes
  }

  fetch(
    nodeId: string,
    from: { partition: number; offset: number }[],
    waitMs: number,
  ): Promise<FetchedPartition[]> {
    return new Promise((resolve, reject) => {
      const until = this.#time.nowUs + waitMs * 1_000
      const look = () => {
        const topic = this.#topic
        if (topic.away) return this.#fail(reject)
        const moved = from.find(({ partition }) => topic.leader(partition) !== nodeId)
        const answer = from.map(({ partition, offset }) =>
          topic.fetch(partition, offset, topic.chance.whole(1, 4)),
        )
        if (moved) {
          const error = 'NOT_LEADER_FOR_PARTITION'
          this.#reply(() => resolve(answer.map((one) => ({ ...one, error, batches: [] }))))
        } else if (answer.some(({ batches }) => batches.length > 0) || this.#time.nowUs >= until) {
          this.#reply(() => resolve(answer))
        } else {
          const next = topic.nextAppendUs(from.map(({ partition }) => partition))
          // The broker waits, whatever happens to the one that asked.
          this.#time.after((Math.min(next, until) - this.#time.nowUs) / 1_000, null, look)
        }
      }
      this.#time.after(this.#latencyMs(), null, look)
    })
  }

  /** The next answer is in the same memory: what was not sent by then is lost. */
  release(fetched: FetchedPartition[]): void {
    for (const { batches } of fetched) for (const { bytes } of batches) bytes.fill(0xff)
  }

  commitOffsets(_: string, offsets: Map<number, number>): Promise<void> {
    return this.#ask(() => {
      for (const [p, offset] of offsets) this.#topic.committed.set(p, offset)
    })
  }

  committedOffsets(_: string, partitions: readonly number[]): Promise<Map<number, number>> {
    const of = ([partition]: readonly [number, number]) => partitions.includes(partition)
    return this.#ask(() => new Map([...this.#topic.committed].filter(of)))
  }

  #ask<T>(answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#time.after(this.#latencyMs(), null, () => {
        if (this.#topic.away) return this.#fail(reject)
        const value = answer()
        this.#reply(() => resolve(value))
      })
    })
  }

  #reply(act: () => void): void {
    this.#process.after(this.#latencyMs(), act)
  }

  /** Refused at once, or after a while without an answer. */
  #fail(reject: (error: Error) => void): void {
    const error = new Error('Connection error: connect ECONNREFUSED')
    error.name = 'KafkaJSConnectionError'
    this.#process.after(this.#topic.mute ? 3_000 : 1, () => reject(error))
  }

  #latencyMs(): number {
    return 0.2 + this.#topic.chance.next() * 0.8
  }
}
