/**
 * What was fetched goes into the stream: packed into entries, and appended in calls of bounded size, each
 * of which moves its partitions' next offsets and counts only if the ledger still says what we believe.
 *
 *   fetched partitions → parts → calls (calls.ts) → append ×n → the ledger's next offsets
 *
 * The reply of an append tells how full the stream is, what a record costs the executors and whether a
 * quota holds the job: by them the next entries are cut, and the next append waits.
 */
import { bounds } from '../config.ts'
import type { FetchedPartition } from '../fetched.ts'
import { placeText, topicOf } from '../topics.ts'
import type { BridgeOptions } from './bridge.ts'
import { firstCall, type Part, together } from './calls.ts'
import { Compressor } from './compress.ts'
import { Cost } from './cost.ts'
import { overtaken } from './listing.ts'
import { Pace } from './pace.ts'
import { isLarge, pack } from './pack.ts'
import { type Session, Stale } from './session.ts'

const fullPollMs = 20

export class Appender {
  readonly #options: BridgeOptions
  readonly #cost: Cost
  readonly #pace: Pace
  readonly #compressor = new Compressor()
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

  /** What one fetched partition adds, from the session's position on; null for nothing. */
  plan({ partition, batches, high, next }: FetchedPartition, from: number): Part | null {
    if (next === from && batches.length === 0) return null
    const records = Math.min(this.#cost.recordsPerEntry, this.#pace.recordsMax)
    const entries = pack(from, this.#compressor.compress(partition, batches), {
      bytes: bounds.entryBytes,
      records,
    })
    // The last one takes in what follows it without records for us, so that entries tile.
    const last = entries.at(-1)
    if (last) last.to = next
    return { partition, from, next, high, entries, since: this.#options.trace?.now() ?? 0 }
  }

  /** Resolves when all is appended, or the signal has come. */
  async append(parts: readonly Part[], session: Session, signal: AbortSignal): Promise<void> {
    await Promise.all(together(parts).map((list) => this.#appendInTurn(list, session, signal)))
  }

  /** A batch that is split goes into every entry, so that a part may be far more than was fetched. */
  async #appendInTurn(parts: Part[], session: Session, signal: AbortSignal): Promise<void> {
    const { appended } = session.positions
    for (let left = parts, isFirst = true; left.length > 0; isFirst = false) {
      if (!isFirst && !this.hasRoom()) await this.untilRoom(signal)
      if (!isFirst && signal.aborted) return
      const { call, rest } = firstCall(left, this.#pace.recordsMax)
      if (!(await this.#pace.inTurn(() => this.#send(call, session), signal))) return
      for (const { partition, next, entries, since } of call) {
        appended.set(partition, next)
        const topic = topicOf(partition, session.known, this.#options.job)
        this.#options.trace?.appended({ topic, partition }, entries, since)
      }
      left = rest
    }
  }

  async #send(parts: readonly Part[], { known }: Session): Promise<void> {
    const { store, keys, clock } = this.#options
    // Sent together: Redis takes commands of one connection in their order.
    const asides = parts.flatMap(({ partition, entries }) =>
      entries.filter(isLarge).map(({ from, to, payload }) =>
        // Only where there is none: one that waits under this key already must not begin to expire.
        store.setNew(keys.payload(partition, from, to), payload, bounds.payloadExpiryMs),
      ),
    )
    const appended = store.call('append', keys.base, parts.flatMap(argsOf))
    await Promise.all([...asides, appended])
    const reply = (await appended) as [number, ...(number | string)[]]
    if (reply[0] === 2) throw new Stale(`payload ${reply[1]} expired; reading again`)
    if (reply[0] !== 1) {
      const part = parts.find(({ partition }) => partition === Number(reply[2]))!
      throw overtaken(placeText(part.partition, known), part.from, String(reply[1]))
    }
    const [, records, bytes, busyUs, committed, waitMs, rate] = reply.map(Number)
    this.#waiting = { records: records!, bytes: bytes! }
    this.#cost.learn(busyUs!, committed!, clock.elapsed())
    this.#pace.heed(waitMs, rate)
    for (const { entries } of parts) {
      this.done.entries += entries.length
      this.done.records += entries.reduce((sum, entry) => sum + entry.records, 0)
    }
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

/** A part as the append function takes it. */
function argsOf({ partition, from, next, high, entries }: Part): (number | string | Buffer)[] {
  const fields = entries.flatMap((entry) => [
    entry.from,
    entry.to,
    entry.records,
    isLarge(entry) ? '' : entry.payload,
  ])
  return [partition, from, next, high, entries.length, ...fields]
}
