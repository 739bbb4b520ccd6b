/**
 * Commits: a batch in, its effects in Redis and its entries settled. One is under way while the next is
 * folded. What a commit is refused for, the batch is folded again by, and tried again:
 *
 *   submit ──► commit ──ok──► settle
 *                ▲  │ lost · closed · late · full
 *                └──┘ again
 *
 * What was told of closed windows and full panes is kept for the batches after it.
 */
import { RefusalError } from '../errors.ts'
import { boundField } from '../windows/revisions.ts'
import { type Batch, commitArguments } from './batch.ts'
import type { ExecutorOptions } from './executor.ts'
import type { Verdict } from './fold.ts'
import type { Patience } from './patience.ts'
import type { Queue } from './queue.ts'
import { type LateSessions, moreLate } from './sessions.ts'
import { inTurn } from './turns.ts'

export class Committer {
  readonly #options: ExecutorOptions
  readonly #queue: Queue
  readonly #patience: Patience
  /** Groups that found no place: pane → their keys. */
  readonly #full = new Map<number, Set<string>>()
  /** Windows up to here take no records any more; null while none is closed. */
  #closedTo: number | null = null
  #underWay: Promise<void> = Promise.resolve()
  #failure: { error: unknown } | null = null

  constructor(options: ExecutorOptions, queue: Queue, patience: Patience) {
    this.#options = options
    this.#queue = queue
    this.#patience = patience
  }

  /** Learns what is closed already. */
  async open(): Promise<void> {
    const { writer, keys, job } = this.#options
    const closedTo = await writer.redis.hget(keys.clock, boundField(job))
    this.#closedTo = closedTo === null ? null : Number(closedTo)
  }

  /** What the next batch is folded by. */
  get verdict(): Verdict {
    return { closedTo: this.#closedTo, full: this.#full }
  }

  /** Waits for the commit before, then starts this one. */
  async submit(batch: Batch): Promise<void> {
    await this.#underWay
    this.#underWay = this.#commit(batch)
    // Thrown by the work loop, which may be waiting for entries that never come.
    this.#underWay.catch((error: unknown) => {
      this.#failure = { error }
      this.#queue.arrival.fire()
    })
  }

  /** @throws what the last commit has failed of */
  assertWell(): void {
    if (this.#failure) throw this.#failure.error
  }

  /** Waits for what is under way. */
  async end(): Promise<void> {
    await this.#underWay
  }

  async #commit(first: Batch): Promise<void> {
    const { writer, keys, life, job, clock, stats, trace } = this.#options
    const since = trace?.now() ?? 0
    let late: LateSessions = new Map()
    const stale = first.slices.some(({ entry }) => this.#queue.gone.has(entry))
    let batch: Batch = stale ? await this.#again(first, late) : first
    while (batch.slices.length > 0) {
      const args = commitArguments(batch, life.id, job)
      const commit = () => writer.call('commit', keys.base, args)
      const reply = await this.#patience.throughOutages(commit)
      stats.moved()
      const [outcome, ...details] = (reply ?? ['given up']) as [string, ...string[]]
      switch (outcome) {
        case 'ok':
          this.#settle(batch)
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
          if (this.#patience.isOver) return
          await clock.sleep(5)
          continue
        case 'shape':
          throw new RefusalError(
            `the open windows of job ${job.name} were made with other aggregates; run it under another name`,
          )
        default:
          return
      }
      batch = await this.#again(batch, late)
    }
  }

  #again(batch: Batch, late: LateSessions): Promise<Batch> {
    const fold = () => batch.again({ ...this.verdict, late }, this.#queue.gone)
    return inTurn(this.#options.turns, fold)
  }

  #settle(batch: Batch): void {
    const { job, stats, clock } = this.#options
    const now = clock.now()
    let entries = 0
    for (const { entry, done, stamps, eventTimes } of batch.slices) {
      for (const [timestamp, records] of stamps) stats.delayed(now - timestamp, records)
      for (const eventTime of eventTimes) stats.aged(now - eventTime)
      if (!done) continue
      entries++
      this.#queue.settle(entry)
    }
    stats.worked(batch.busyMs, batch.fold.records)
    stats.committed(batch.fold.records, entries)
    // A group has room again when its sessions close, which nobody tells.
    if (job.gapMs !== null) this.#full.clear()
  }

  #drop(batch: Batch, lost: ReadonlySet<string>): void {
    this.#queue.drop(batch.slices.map(({ entry }) => entry).filter(({ id }) => lost.has(id)))
    this.#options.log.warn('entries were taken over, or are further than known', {
      entries: lost.size,
    })
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
}
