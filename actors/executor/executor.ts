/**
 * The executor: entries in, commits out.
 *
 *   read → decode → parse → validate → filter → fold → commit → read …
 *
 * Two loops share a queue: one reads ahead, as much as some milliseconds of work; the other folds
 * and hands over batches, of which one is being committed while the next is folded. Guarantees: a
 * record's effect on its windows happens once, by the commit function; nothing is acknowledged
 * before it has happened. Drains: no new entries, finish what is in hand, commit, leave.
 */
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Lifecycle } from '../lifecycle.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import type { Trace } from '../trace/trace.ts'
import { Batch, type FoldContext } from './batch.ts'
import { Committer } from './committer.ts'
import type { Hand } from './hand.ts'
import { type Entry, Inbox } from './inbox.ts'
import { Patience } from './patience.ts'
import { Queue } from './queue.ts'
import type { Stats } from './stats.ts'
import { inTurn, type Turns } from './turns.ts'

export interface ExecutorOptions {
  job: Job
  keys: Keys
  /** Connections: one that blocks on reads, one for everything else. */
  reader: Store
  writer: Store
  clock: Clock
  log: Log
  life: Lifecycle
  stats: Stats
  /** Where a supervisor looks for what was in hand at our death. */
  hand?: Hand | null
  trace?: Trace | null
  /** Shared by those of one process that work on several shards. */
  turns?: Turns | null
}

export class Executor {
  readonly #options: ExecutorOptions
  readonly #inbox: Inbox
  readonly #context: FoldContext
  readonly #queue = new Queue()
  readonly #patience: Patience
  readonly #committer: Committer
  #readEnded = false
  /** When we last compared what Redis counts as ours with what we hold. */
  #comparedAt = -Infinity

  constructor(options: ExecutorOptions) {
    const { reader, writer, keys, life, job, clock, stats, hand = null } = options
    this.#options = options
    this.#patience = new Patience(options)
    this.#committer = new Committer(options, this.#queue, this.#patience)
    this.#inbox = new Inbox(reader, writer, keys, life.id, job.topic)
    const mark = (entry: Entry, offset: number) => this.#mark(entry, offset)
    const moved = () => stats.moved()
    this.#context = { job, clock, hand, mark, moved, now: () => life.now() }
    life.draining.addEventListener('abort', () => this.#startDraining())
  }

  /** Runs until it has drained; rejects on a bug or a refusal, never on an outage. */
  async run(): Promise<void> {
    const { life } = this.#options
    const named = await this.#patience.throughOutages(async () => {
      const opening = [this.#committer.open(), this.#findTopic(), this.#inbox.open()] as const
      const [, found] = await Promise.all(opening)
      return found
    })
    if (life.state === 'starting') life.to('running')
    if (!named) await this.#untilNamed()
    // Said at once, beside the work: the next heartbeat would tell of it a second late.
    await Promise.all([life.beatQuietly(), this.#readLoop(), this.#workLoop()])
  }

  #findTopic(): Promise<boolean> {
    return this.#inbox.findTopic(this.#options.job.topics !== null)
  }

  /** Waits for a bridge where entries would be of a topic that nobody can name yet. */
  async #untilNamed(): Promise<void> {
    const { clock, life, stats } = this.#options
    while (!this.#draining && !(await this.#patience.throughOutages(() => this.#findTopic()))) {
      stats.moved()
      await clock.sleep(bounds.heartbeatMs, life.draining)
    }
  }

  get #draining(): boolean {
    return this.#options.life.draining.aborted
  }

  async #readLoop(): Promise<void> {
    // Beside the first read: whoever starts because a record came finds mostly nothing to claim.
    await Promise.all([this.#draining ? undefined : this.#claim(), this.#readOn()])
    this.#readEnded = true
    this.#queue.arrival.fire()
    // Told at once, so that nobody asks again and another one can begin in its place.
    await this.#options.life.beatQuietly()
  }

  async #claim(): Promise<void> {
    await this.#patience.throughOutages(async () => {
      try {
        this.#accept(await this.#inbox.claim())
      } catch (error) {
        // They may be ours now, and their reply lost.
        this.#queue.isInDoubt = true
        throw error
      }
    })
  }

  async #readOn(): Promise<void> {
    // A consumer that is new has nothing pending.
    this.#comparedAt = this.#options.clock.elapsed()
    while (!this.#draining) {
      try {
        await this.#compare()
        const room = this.#queue.room(this.#options.stats.costMs)
        if (room > 0) await this.#read(room)
        else await this.#queue.space.next()
      } catch (error) {
        if (!isOutage(error) && !isGone(error)) throw error
        await this.#recover()
      }
    }
  }

  /**
   * Takes in entries that Redis counts as ours and that never reached us, or whose part was
   * committed by a call that we know no reply of: nobody else would ever take them.
   */
  async #compare(): Promise<void> {
    const now = this.#options.clock.elapsed()
    if (!this.#queue.isInDoubt && now - this.#comparedAt < bounds.readBlockMs) return
    this.#queue.isInDoubt = false
    this.#comparedAt = now
    this.#accept(await this.#inbox.own(this.#queue.ids))
  }

  async #read(room: number): Promise<void> {
    const { entries, messages } = await this.#inbox.read(room, bounds.readBlockMs)
    let claim = entries.length === 0 && messages.length === 0
    // First of all: fetching payloads can fail, and messages come only once.
    for (const message of messages) {
      if (message.kind === 'drain') this.#options.life.drain(message.reason, { asked: true })
      if (message.kind === 'claim') claim = true
    }
    this.#accept(await this.#inbox.filled(entries))
    if (claim && !this.#draining) this.#accept(await this.#inbox.claim())
  }

  /** After an outage: groups may be gone, and replies with entries for us may have been lost. */
  async #recover(): Promise<void> {
    await this.#options.clock.sleep(50, this.#options.life.draining)
    await this.#patience.throughOutages(async () => {
      await this.#inbox.open()
      this.#accept(await this.#inbox.own(this.#queue.ids))
    })
  }

  #accept(entries: Entry[]): void {
    if (entries.length === 0) return
    this.#queue.accept(entries)
    this.#options.stats.moved()
  }

  async #workLoop(): Promise<void> {
    const { trace, turns } = this.#options
    let batch = this.#newBatch()
    for (;;) {
      this.#committer.assertWell()
      const held = this.#queue.first
      if (held && !this.#patience.isOver) {
        const since = trace?.now() ?? 0
        const slice = await inTurn(turns, () =>
          batch.take(held.entry, held.cursor, () => this.#patience.isOver),
        )
        trace?.folded(slice, since)
        this.#options.stats.moved()
        if (slice.done) this.#queue.finish(held)
      }
      const idle = !this.#queue.first || this.#patience.isOver
      if (batch.full || (idle && batch.slices.length > 0)) {
        await this.#committer.submit(batch)
        batch = this.#newBatch()
      } else if (idle) {
        // Until reading has ended, a last read may still bring entries.
        if (this.#draining && this.#readEnded) break
        await this.#queue.arrival.next()
      }
      // Folding keeps the thread; reads and commits move on only when it is given back.
      await this.#options.clock.turn()
    }
    await this.#committer.end()
  }

  #newBatch(): Batch {
    return new Batch(this.#context, this.#committer.verdict)
  }

  async #mark(entry: Entry, offset: number): Promise<void> {
    const { writer, keys, life } = this.#options
    await this.#patience.throughOutages(() =>
      writer.call('mark', keys.base, [life.id, entry.id, offset]),
    )
  }

  #startDraining(): void {
    this.#patience.limit()
    this.#queue.stir()
    this.#inbox.wake().catch(() => {})
  }
}

/** A stream or group was removed under a blocked read. */
const isGone = (error: unknown): boolean =>
  error instanceof Error && /^(NOGROUP|UNBLOCKED)/.test(error.message)
