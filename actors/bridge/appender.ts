/**
 * What was fetched goes into the stream: packed into entries, and appended in calls of bounded size, each
 * of which moves the partition's next offset and counts only if the ledger still says what we believe.
 *
 *   fetched partition → plan → entries → append ×n → the ledger's next offset
 *
 * The reply of an append tells how full the stream is, what a record costs the executors and whether a
 * quota holds the job: by them the next entries are cut, and the next append waits.
 */
import { bounds } from '../config.ts'
import type { FetchedPartition } from '../fetched.ts'
import { placeText, topicOf } from '../topics.ts'
import type { BridgeOptions } from './bridge.ts'
import { Cost } from './cost.ts'
import { overtaken } from './listing.ts'
import { Pace } from './pace.ts'
import { callLength, isLarge, pack, type PackedEntry } from './pack.ts'
import { type Session, Stale } from './session.ts'

/** What one fetched partition adds: entries over [from, next). */
export interface Plan {
  partition: number
  from: number
  next: number
  high: number
  entries: PackedEntry[]
  /** When it was fetched, where that is traced. */
  since: number
}

const fullPollMs = 20

export class Appender {
  readonly #options: BridgeOptions
  readonly #cost: Cost
  readonly #pace: Pace
  #waiting = { records: 0, bytes: 0 }
  /** What was appended since our start. */
  readonly done = { records: 0, entries: 0 }

  constructor(options: BridgeOptions) {
    this.#options = options
    this.#cost = new Cost(options.job.work !== null)
    this.#pace = new Pace(options)
  }

  /** What a session begins with. */
  async look(): Promise<void> {
    await this.#pace.look()
  }

  /** Whether a quota lets nothing be appended at this moment. */
  get holds(): boolean {
    return this.#pace.holds
  }

  /** What one fetched partition adds, from the session's position on. */
  plan({ partition, batches, high, next }: FetchedPartition, from: number): Plan {
    const records = Math.min(this.#cost.recordsPerEntry, this.#pace.recordsMax)
    const limits = { bytes: bounds.entryBytes, records }
    const since = this.#options.trace?.now() ?? 0
    return { partition, from, next, high, entries: pack(from, batches, limits), since }
  }

  /** A batch that is split goes into every part, so that a plan may be far more than was fetched. */
  async append(plan: Plan, session: Session, signal: AbortSignal): Promise<void> {
    const { partition, entries } = plan
    const { appended } = session.positions
    let from = plan.from
    for (let first = 0; first < entries.length; ) {
      if (first > 0 && !this.hasRoom()) await this.untilRoom(signal)
      if (first > 0 && signal.aborted) return
      const count = this.#pace.cut(entries, first, callLength(entries, first))
      const part = entries.slice(first, first + count)
      first += count
      const to = first === entries.length ? plan.next : part.at(-1)!.to
      // The last entry takes in what follows it without records for us, so that entries tile.
      const last = part.at(-1)!
      part[part.length - 1] = { ...last, to }
      const send = () => this.#send(plan, from, to, part, session)
      if (!(await this.#pace.inTurn(send, signal))) return
      const topic = topicOf(partition, session.known, this.#options.job)
      this.#options.trace?.appended({ topic, partition }, part, plan.since)
      appended.set(partition, to)
      from = to
    }
    if (entries.length === 0 && plan.next > from) {
      await this.#send(plan, from, plan.next, [], session)
      appended.set(partition, plan.next)
    }
  }

  async #send(
    { partition, high }: Plan,
    expected: number,
    next: number,
    entries: PackedEntry[],
    { known }: Session,
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
    const place = placeText(partition, known)
    if (reply[0] === 2) throw new Stale(`a payload of ${place} expired; reading again`)
    if (reply[0] !== 1) throw overtaken(place, expected, String(reply[1]))
    const [, records, bytes, busyUs, committed, waitMs, rate] = reply.map(Number)
    this.#waiting = { records: records!, bytes: bytes! }
    this.#cost.learn(busyUs!, committed!, clock.elapsed())
    this.#pace.heed(waitMs, rate)
    this.done.entries += entries.length
    this.done.records += entries.reduce((sum, entry) => sum + entry.records, 0)
  }

  /** Whether the stream takes more, as its last reply has it. */
  hasRoom(): boolean {
    const { records, bytes } = this.#waiting
    return records < bounds.streamRecordsMax && bytes < bounds.streamBytesMax
  }

  /** Past the high-water mark: waits for the low-water mark, half of it. */
  async untilRoom(signal: AbortSignal): Promise<void> {
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
}
