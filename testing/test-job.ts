/**
 * A job without Kafka and Redis, for its tests: records with times of one's choosing in, windows, late
 * ones and rejects out, in milliseconds.
 *
 *   const test = testJob(job, { now: '2024-05-01T12:00:00Z' })
 *   await test.feed({ at: '2024-05-01T11:59:58Z', site: 'mill', celsius: 20 })
 *   await test.advance('2 minutes')
 *   expect(await test.windows()).toEqual([…])
 *
 * What runs is what ships: the executors' folding and commit arguments, and the Lua functions that
 * append, commit and close, in a Redis in memory. Of what it is not: processes, batches of many records,
 * faults. The clock stands still but for `advance`; a `work` that waits does so in real time.
 */
import { systemClock, type Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { parseDuration } from '../actors/duration.ts'
import { Batch, commitArguments, type FoldContext } from '../actors/executor/batch.ts'
import { type Entry, Inbox } from '../actors/executor/inbox.ts'
import { RecordCursor } from '../actors/executor/records.ts'
import { type LateSessions, moreLate } from '../actors/executor/sessions.ts'
import type { Duration, Job } from '../actors/job.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { isAskedFor, numberOf, topicText } from '../actors/topics.ts'
import { advance } from '../supervisor/closing.ts'
import { bytesOf, type FedMeta, FedJob, timeOf } from './account.ts'
import { memoryStore } from './memory.ts'
import { recordBatch } from './record-batch.ts'

export interface TestJobOptions {
  /** What the clock says: epoch ms or ISO 8601. By default the time at which the test runs. */
  now?: number | string
  /** Partitions of each topic. Default 1. */
  partitions?: number
}

export type { FedMeta, TestReject, TestTotals, Telling } from './account.ts'
export { FedJob } from './account.ts'

const ME = 'test'
/** Event time looks at the partitions this often; as a bridge does, and more often than it must. */
const LOOK_EVERY_MS = 5_000

export const testJob = (job: Job, options: TestJobOptions = {}): TestJob =>
  new TestJob(job, options)

export class TestJob extends FedJob {
  protected readonly job: Job
  protected readonly keys: Keys
  protected readonly store: Store
  readonly #inbox: Inbox
  readonly #context: FoldContext
  readonly #partitions: number
  /** Topics in the order in which they came; next offset by the number of a partition. */
  readonly #topics: string[] = []
  readonly #ends = new Map<number, number>()
  #now: number
  #closedTo: number | null = null
  readonly #full = new Map<number, Set<string>>()
  #opened = false

  constructor(job: Job, { now, partitions = 1 }: TestJobOptions) {
    super()
    this.job = job
    this.keys = keysOf(job.name)
    this.#now = now === undefined ? systemClock.now() : timeOf('now', now)
    this.store = memoryStore(() => this.#now)
    this.#inbox = new Inbox(this.store, this.store, this.keys, ME, job.topic)
    this.#partitions = partitions
    const clock: Clock = { ...systemClock, now: () => this.#now }
    this.#context = { job, clock, mark: () => Promise.resolve() }
  }

  get now(): number {
    return this.#now
  }

  async feed(value: unknown, meta: FedMeta = {}): Promise<void> {
    const { partition = 0 } = meta
    if (!Number.isInteger(partition) || partition < 0 || partition >= this.#partitions) {
      throw new RangeError(`partition must be less than ${this.#partitions}, not ${partition}`)
    }
    await this.open()
    const number = numberOf(await this.#topicIndex(meta.topic), partition)
    const offset = this.#ends.get(number)!
    const payload = recordBatch({
      offset,
      timestamp: meta.timestamp === undefined ? this.#now : timeOf('timestamp', meta.timestamp),
      key: meta.key ?? null,
      headers: meta.headers ?? {},
      value: bytesOf(value),
    })
    const next = offset + 1
    this.#ends.set(number, next)
    const entry = [1, offset, next, 1, payload]
    await this.#call('append', [number, offset, next, next, ...entry])
    await this.#work()
    await this.#look()
  }

  /** Moves the clock. Partitions that have brought nothing for 30 s are idle, and windows close. */
  async advance(duration: Duration): Promise<void> {
    const ms = parseDuration(duration)
    if (ms === null || ms < 0) throw new RangeError(`not a duration: ${JSON.stringify(duration)}`)
    await this.open()
    const end = this.#now + ms
    while (this.#now < end) {
      this.#now = Math.min(this.#now + LOOK_EVERY_MS, end)
      await this.#look()
    }
  }

  protected async open(): Promise<void> {
    if (this.#opened) return
    this.#opened = true
    const { topic, topics } = this.job
    // Those of a pattern come when they are fed.
    for (const name of topics instanceof RegExp ? [] : (topics ?? [topic])) await this.#add(name)
    await this.#inbox.open()
  }

  async #topicIndex(given: string | undefined): Promise<number> {
    const name = given ?? this.#topics[0]
    if (name === undefined) throw new RangeError('say the topic: the job reads all that match')
    if (!isAskedFor(this.job, name)) {
      throw new RangeError(`topic must be one that the job reads, not ${JSON.stringify(name)}`)
    }
    if (!this.#topics.includes(name)) await this.#add(name)
    return this.#topics.indexOf(name)
  }

  /** What a bridge does where it sees a topic for the first time. */
  async #add(name: string): Promise<void> {
    const index = this.#topics.push(name) - 1
    if (this.job.topics !== null) {
      await this.#call('list', [index, '', topicText({ name, id: 'test', left: false })])
    }
    const numbers = Array.from({ length: this.#partitions }, (_, p) => numberOf(index, p))
    for (const number of numbers) this.#ends.set(number, 0)
    await this.#call('open', ['', 'test', ...numbers.flatMap((number) => [number, 0, 0])])
  }

  /** What an executor does with the entries that wait. */
  async #work(): Promise<void> {
    const { entries } = await this.#inbox.read(bounds.commitEntriesMax, 1)
    for (const entry of await this.#inbox.filled(entries)) await this.#process(entry)
  }

  async #process(entry: Entry): Promise<void> {
    const cursor = new RecordCursor(entry.payload, entry.cursor, entry.to)
    for (let done = false; !done; ) {
      const batch = new Batch(this.#context, this.#verdict)
      done = (await batch.take(entry, cursor, () => false)).done
      await this.#commit(batch)
    }
  }

  async #commit(first: Batch): Promise<void> {
    let late: LateSessions = new Map()
    for (let batch = first; ; ) {
      const args = commitArguments(batch, ME, this.job)
      const [outcome, ...details] = (await this.#call('commit', args)) as [string, ...string[]]
      if (outcome === 'ok') return
      if (outcome === 'closed') this.#closedTo = details[0] === '' ? null : Number(details[0])
      else if (outcome === 'late') late = moreLate(late, details)
      else if (outcome === 'full') this.#full.set(Number(details[0]), new Set(details.slice(1)))
      else throw new Error(`a commit was answered with ${outcome}`)
      batch = await batch.again({ ...this.#verdict, late }, new WeakSet())
    }
  }

  get #verdict() {
    return { closedTo: this.#closedTo, full: this.#full }
  }

  /** What a bridge at Kafka's end says, and what the supervisor does after it. */
  async #look(): Promise<void> {
    await this.#call('seen', [...this.#ends].flat())
    while (await advance(this.store, this.keys, this.job));
  }

  #call(name: Parameters<Store['call']>[0], args: (string | number | Buffer)[]): Promise<unknown> {
    return this.store.call(name, this.keys.base, args)
  }
}
