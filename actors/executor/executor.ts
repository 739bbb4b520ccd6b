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
import { backoffDelayMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import { messageOf, RefusalError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Lifecycle } from '../lifecycle.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import { Batch, commitArguments, type FoldContext } from './batch.ts'
import type { Hand } from './hand.ts'
import { type Entry, Inbox } from './inbox.ts'
import { type LateSessions, moreLate } from './sessions.ts'
import { RecordCursor } from './records.ts'
import type { Trace } from '../trace/trace.ts'
import { boundField } from '../windows/revisions.ts'
import type { Turns } from './turns.ts'
import type { Stats } from './stats.ts'

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

interface Held {
  entry: Entry
  cursor: RecordCursor
}

export class Executor {
  readonly #options: ExecutorOptions
  readonly #inbox: Inbox
  readonly #context: FoldContext
  readonly #queue: Held[] = []
  /** Ids of entries from their arrival until their commit is through. */
  readonly #held = new Set<string>()
  /** Entries that are not ours any more as we hold them; what was folded of them is void. */
  readonly #gone = new WeakSet<Entry>()
  readonly #full = new Map<number, Set<string>>()
  /** Windows up to here take no records any more; null while none is closed. */
  #closedTo: number | null = null
  #arrival = signal()
  #space = signal()
  #committing: Promise<void> = Promise.resolve()
  #failure: { error: unknown } | null = null
  #readEnded = false
  #drainDeadline = Infinity
  /** When we last compared what Redis counts as ours with what we hold. */
  #comparedAt = -Infinity
  /** Records of the entry that came last: what the next one will be like. */
  #recordsPerEntry = 1

  constructor(options: ExecutorOptions) {
    const { reader, writer, keys, life, job, clock, stats, hand = null } = options
    this.#options = options
    this.#inbox = new Inbox(reader, writer, keys, life.id, job.topic)
    const mark = (entry: Entry, offset: number) => this.#mark(entry, offset)
    const moved = () => stats.moved()
    this.#context = { job, clock, hand, mark, moved, now: () => life.now() }
    life.draining.addEventListener('abort', () => this.#startDraining())
  }

  /** Runs until it has drained; rejects on a bug or a refusal, never on an outage. */
  async run(): Promise<void> {
    const named = await this.#throughOutages(async () => {
      const { writer, keys, job } = this.#options
      const reading = writer.redis.hget(keys.clock, boundField(job))
      const asking = this.#findTopic()
      const [closedTo, found] = await Promise.all([reading, asking, this.#inbox.open()])
      this.#closedTo = closedTo === null ? null : Number(closedTo)
      return found
    })
    const { life } = this.#options
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
    while (!this.#draining && !(await this.#throughOutages(() => this.#findTopic()))) {
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
    this.#arrival.fire()
    // Told at once, so that nobody asks again and another one can begin in its place.
    await this.#options.life.beatQuietly()
  }

  async #claim(): Promise<void> {
    await this.#throughOutages(async () => {
      try {
        this.#accept(await this.#inbox.claim())
      } catch (error) {
        // They may be ours now, and their reply lost.
        this.#comparedAt = -Infinity
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
        const room = this.#room()
        if (room > 0) await this.#read(room)
        else await this.#space.next()
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
    if (now - this.#comparedAt < bounds.readBlockMs) return
    this.#comparedAt = now
    this.#accept(await this.#inbox.own(this.#held))
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
    await this.#throughOutages(async () => {
      await this.#inbox.open()
      this.#accept(await this.#inbox.own(this.#held))
    })
  }

  /** Entries that may be read now, so that a little work is ahead and not more. */
  #room(): number {
    const costMs = this.#options.stats.costMs
    const bytes = this.#queue.reduce((sum, { entry }) => sum + entry.bytes, 0)
    if (bytes >= bounds.readAheadBytesMax) return 0
    if (costMs === null) return this.#queue.length === 0 ? 1 : 0
    const perEntryMs = costMs * this.#recordsPerEntry
    const wanted = Math.floor(bounds.readAheadMs / perEntryMs)
    const target = Math.min(Math.max(wanted, 1), bounds.readAheadEntriesMax)
    return Math.max(target - this.#queue.length, 0)
  }

  #accept(entries: Entry[]): void {
    for (const entry of entries) {
      if (this.#held.has(entry.id)) continue
      this.#held.add(entry.id)
      this.#recordsPerEntry = Math.max(entry.announced, 1)
      const cursor = new RecordCursor(entry.payload, entry.cursor, entry.to)
      this.#queue.push({ entry, cursor })
    }
    if (entries.length === 0) return
    this.#options.stats.moved()
    this.#arrival.fire()
  }

  async #workLoop(): Promise<void> {
    const { trace } = this.#options
    let batch = this.#newBatch()
    for (;;) {
      if (this.#failure) throw this.#failure.error
      const held = this.#queue[0]
      if (held && !this.#overdue) {
        const since = trace?.now() ?? 0
        const slice = await this.#inTurn(() =>
          batch.take(held.entry, held.cursor, () => this.#overdue),
        )
        trace?.folded(slice, since)
        this.#options.stats.moved()
        if (slice.done) this.#finish(held)
      }
      const idle = this.#queue.length === 0 || this.#overdue
      if (batch.full || (idle && batch.slices.length > 0)) {
        await this.#submit(batch)
        batch = this.#newBatch()
      } else if (idle) {
        // Until reading has ended, a last read may still bring entries.
        if (this.#draining && this.#readEnded) break
        await this.#arrival.next()
      }
      // Folding keeps the thread; reads and commits move on only when it is given back.
      await this.#options.clock.turn()
    }
    await this.#committing
  }

  /** An entry was folded to its end. It may have been dropped from the queue meanwhile. */
  #finish(held: Held): void {
    const place = this.#queue.indexOf(held)
    if (place >= 0) this.#queue.splice(place, 1)
    this.#space.fire()
  }

  /** Draining takes too long: what is left is handed back as it is. */
  get #overdue(): boolean {
    return this.#options.clock.elapsed() > this.#drainDeadline
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const { turns } = this.#options
    return turns ? turns.take(work) : work()
  }

  #newBatch(): Batch {
    return new Batch(this.#context, { closedTo: this.#closedTo, full: this.#full })
  }

  /** Waits for the commit before, then starts this one: one is under way while the next is folded. */
  async #submit(batch: Batch): Promise<void> {
    await this.#committing
    this.#committing = this.#commit(batch)
    // Thrown by the work loop, which may be waiting for entries that never come.
    this.#committing.catch((error: unknown) => {
      this.#failure = { error }
      this.#arrival.fire()
    })
  }

  async #commit(first: Batch): Promise<void> {
    const { writer, keys, life, job, clock, trace } = this.#options
    const since = trace?.now() ?? 0
    let late: LateSessions = new Map()
    const again = (batch: Batch) =>
      this.#inTurn(() =>
        batch.again({ closedTo: this.#closedTo, full: this.#full, late }, this.#gone),
      )
    const stale = first.slices.some(({ entry }) => this.#gone.has(entry))
    let batch: Batch = stale ? await again(first) : first
    while (batch.slices.length > 0) {
      const args = commitArguments(batch, life.id, job)
      const reply = await this.#throughOutages(() => writer.call('commit', keys.base, args))
      this.#options.stats.moved()
      const [outcome, ...details] = (reply ?? ['given up']) as [string, ...string[]]
      switch (outcome) {
        case 'ok':
          this.#settle(batch)
          // A group has room again when its sessions close, which nobody tells.
          if (job.gapMs !== null) this.#full.clear()
          trace?.committed(batch.slices, since)
          return
        case 'lost':
          this.#drop(batch, new Set(details))
          break
        case 'closed':
          this.#closedTo = details[0] === '' ? null : Number(details[0])
          break
        case 'late':
          late = moreLate(late, details)
          break
        case 'full':
          this.#addFull(Number(details[0]), details.slice(1))
          break
        case 'closing':
          // Whoever closes windows may be gone for good.
          if (this.#overdue) return
          await clock.sleep(5)
          continue
        case 'shape':
          throw new RefusalError(
            `the open windows of job ${job.name} were made with other aggregates; run it under another name`,
          )
        default:
          return
      }
      batch = await again(batch)
    }
  }

  #settle(batch: Batch): void {
    const { stats, clock, writer, job } = this.#options
    // The job's own code may hold on to what it was given of them.
    const keepsBytes = job.decode !== null || job.usesMeta
    const now = clock.now()
    let entries = 0
    for (const { entry, done, stamps, eventTimes } of batch.slices) {
      for (const [timestamp, records] of stamps) stats.delayed(now - timestamp, records)
      for (const eventTime of eventTimes) stats.aged(now - eventTime)
      if (!done) continue
      entries++
      this.#held.delete(entry.id)
      if (!keepsBytes) writer.giveBack(entry.payload)
    }
    stats.worked(batch.busyMs, batch.fold.records)
    stats.committed(batch.fold.records, entries)
  }

  /**
   * Entries that are not ours any more, or are further than we knew: another executor has them, or
   * the reply to a commit of ours was lost. What is still ours comes back by the next comparison.
   */
  #drop(batch: Batch, lost: ReadonlySet<string>): void {
    for (const { entry } of batch.slices) {
      if (!lost.has(entry.id)) continue
      this.#gone.add(entry)
      this.#held.delete(entry.id)
    }
    const kept = this.#queue.filter(({ entry }) => !this.#gone.has(entry))
    this.#queue.splice(0, this.#queue.length, ...kept)
    this.#options.log.warn('entries were taken over, or are further than known', {
      entries: lost.size,
    })
    this.#comparedAt = -Infinity
    this.#space.fire()
  }

  #addFull(pane: number, groups: string[]): void {
    const known = this.#full.get(pane) ?? new Set()
    for (const group of groups) known.add(group)
    this.#full.set(pane, known)
    // Panes that closed since need no memory of what did not fit.
    for (const start of this.#full.keys()) {
      if (this.#closedTo !== null && start + this.#options.job.windowSizeMs <= this.#closedTo) {
        this.#full.delete(start)
      }
    }
  }

  async #mark(entry: Entry, offset: number): Promise<void> {
    const { writer, keys, life } = this.#options
    await this.#throughOutages(() => writer.call('mark', keys.base, [life.id, entry.id, offset]))
  }

  #startDraining(): void {
    this.#drainDeadline = this.#options.clock.elapsed() + bounds.drainGraceMs / 2
    this.#space.fire()
    this.#arrival.fire()
    this.#inbox.wake().catch(() => {})
  }

  /**
   * Runs an action that is safe to repeat until no outage stops it; undefined where draining did
   * not leave the time for that.
   */
  async #throughOutages<T>(action: () => Promise<T>): Promise<T | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await action()
      } catch (error) {
        if (!isOutage(error)) throw error
        if (this.#overdue) return undefined
        const { clock, log, stats } = this.#options
        stats.moved()
        log.debug('Redis did not answer', { attempt, error: messageOf(error) })
        const backoff = { baseMs: 20, capMs: bounds.redisRetryCapMs }
        await clock.sleep(backoffDelayMs(backoff, attempt, clock.random()))
      }
    }
  }
}

/** A stream or group was removed under a blocked read. */
const isGone = (error: unknown): boolean =>
  error instanceof Error && /^(NOGROUP|UNBLOCKED)/.test(error.message)

/** Wakes one waiter; a firing with nobody waiting is kept for the next. */
function signal() {
  let fired = false
  let wake: (() => void) | null = null
  return {
    fire() {
      fired = true
      wake?.()
    },
    async next() {
      if (!fired) await new Promise<void>((resolve) => (wake = resolve))
      fired = false
      wake = null
    },
  }
}
