/**
 * Closed windows on their way to one sink of a job.
 *
 *   lease → open → position → whole windows behind it → write → position → …
 *
 * Who runs it: the process `sinks` (main.ts), a child of the supervisor where the job declares sinks, or
 * `bun run sinks jobs/file.ts` by hand. It has one delivery a sink, each with its own place, lease and
 * troubles, so that a sink that is down holds its own place and nobody else's.
 *
 * Where a sink is, is kept with its rows where it has transactions (PostgreSQL, Kafka, Redis): a window
 * is there once, whatever is killed and whenever, and of two processes at once one is refused by the
 * sink itself. Files are whole by their name and written again as the same. Elsewhere (webhook, console)
 * the position is in the job's Redis and is moved behind the write, so a window can come again; a webhook
 * carries a key by which its receiver can tell. The job's Redis has every position beside, for the lag,
 * and to keep what is not taken yet (windows/advance.lua).
 *
 * A sink that does not answer is asked again, with growing pauses, without end. One that refuses a window
 * for good is offered it alone; then it is waited for, or passed over where the job says so. Windows that
 * were cut away before they were taken are counted as lost. All of it is in the sink's account, and makes
 * the job degraded.
 *
 * A version that takes the place of another (versions/cutover.ts) finds the other's position in the sink,
 * or left for it in Redis, and goes on with what ends after that.
 *
 * A Redis that is taken back in time may close windows again, which then come again, with new numbers and
 * perhaps other rows: sinks that write by key hold the newest.
 */
import { backoffDelayMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { causesOf, messageOf } from '../errors.ts'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import { sinkField, type Succession, successionOf } from '../lineage.ts'
import type { Log } from '../log.ts'
import { isOutage, type Store } from '../redis.ts'
import { SinkError, within } from './bounded.ts'
import { readAccount, type SinkAccount, type SinkState } from './accounts.ts'
import { Gap } from './gap.ts'
import { SinkLease } from './lease.ts'
import {
  beginning,
  isBefore,
  parsePosition,
  placeName,
  type Position,
  windowName,
} from './position.ts'
import {
  type Batch,
  type ClosedWindow,
  type Environment,
  type Sink,
  type SinkConnection,
  SinkFenced,
  SinkRefusal,
} from './sink.ts'
import { placeIn } from './succeed.ts'
import {
  beyond,
  closedCount,
  newestPosition,
  newestUpdate,
  type Read,
  readClosed,
} from './stream.ts'

export interface DeliveryOptions {
  sink: Sink
  job: Job
  store: Store
  keys: Keys
  environment: Environment
  clock: Clock
  log: Log
  /** Who we are, unique to this process. */
  who: string
  /** Of a version that goes on from others: whose positions it understands; its own by default. */
  succession?: Succession
  /** What is wrong with the sink has changed. */
  onComplaint: () => void
}

const times = {
  /** Between two looks for new windows. */
  lookMs: 250,
  /** Between two accounts, each of which renews the lease. */
  tellMs: 1_500,
  closeMs: 1_000,
} as const

const nothing: Read = { windows: [], lost: 0 }

const retries = { baseMs: 200, capMs: 10_000 }
/** Redis is waited for more closely: nothing can be done without it. */
const outages = { baseMs: 100, capMs: 1_000 }

export class Delivery {
  readonly #options: DeliveryOptions
  readonly #lease: SinkLease
  readonly #gap: Gap
  readonly #address: string
  readonly #succession: Succession
  /** As sinks know it, by the name of the first of its versions. */
  readonly #job: Job
  #connection: SinkConnection | null = null
  #account: SinkAccount
  /** Where the sink is, and the text by which it knows that. */
  #place: Position = beginning
  #stored: string | null = null
  /** The sink has what ended by then, from a version before us; nothing of that is written again. */
  #hasTo = -Infinity
  #attempt = 0
  /** After a refusal so many windows are offered one by one, to find the one. */
  #singly = 0
  /** What a write waits for is aborted when the lease is lost. */
  #writing = new AbortController()

  constructor(options: DeliveryOptions) {
    const { sink, job, environment, clock, succession = successionOf(job.name, null) } = options
    this.#options = options
    this.#succession = succession
    this.#job = { ...job, name: succession.owner }
    this.#lease = new SinkLease({ ...options, sink: sink.name })
    this.#gap = new Gap(options)
    this.#address = sink.address(this.#job, environment)
    this.#account = {
      kind: sink.kind,
      address: this.#address,
      state: 'starting',
      reason: null,
      at: clock.now(),
      windows: 0,
      rows: 0,
      lost: 0,
      skipped: 0,
      writtenAt: null,
    }
  }

  /** What is wrong with the sink, in one sentence; null for nothing. */
  get complaint(): string | null {
    const { state, reason, lost } = this.#account
    const isWrong = state === 'down' || state === 'refused'
    const wrong = isWrong ? `sink ${this.#options.sink.name}: ${reason}` : null
    const told = [wrong, this.#gap.complaint(lost)].filter((one) => one !== null)
    return told.length > 0 ? told.join('; ') : null
  }

  /** Runs until the signal; a write that is under way is finished. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const telling = this.#keepTelling(signal)
    while (!signal.aborted) {
      try {
        if (await this.#lease.take()) await this.#deliver(signal)
        else await clock.sleep(times.tellMs, signal)
      } catch (error) {
        await this.#close()
        await clock.sleep(await this.#failed(error), signal)
      }
    }
    await this.#close()
    await telling
    await this.#giveBack()
  }

  async #deliver(signal: AbortSignal): Promise<void> {
    const { sink, store, keys, job } = this.#options
    await this.#open()
    // The first look does not go by the count: Redis may have been away, and come back an older one.
    for (let first = true; !signal.aborted && this.#lease.held; first = false) {
      const count = await closedCount(store, keys)
      if (count < this.#place.number) await this.#goBack(count)
      const most = this.#singly > 0 ? 1 : sink.windowsMax
      // Open windows are not counted.
      const same = count === this.#place.number && !first && !sink.updates
      const wanted = { most, updates: sink.updates }
      const read = same ? nothing : await readClosed(store, keys, job, this.#place, wanted)
      const windows = read.windows.flatMap((window) => beyond(window, this.#hasTo) ?? [])
      if (windows.length > 0) await this.#offer({ ...read, windows })
      else if (read.windows.length > 0) this.#place = parsePosition(read.windows.at(-1)!.position)
      else await this.#idle(signal)
    }
    await this.#close()
  }

  async #idle(signal: AbortSignal): Promise<void> {
    if (this.#account.state !== 'running') this.#enter('running')
    await this.#options.clock.sleep(times.lookMs, signal)
  }

  async #open(): Promise<void> {
    const { sink, store, keys, environment, clock, log } = this.#options
    const before = await readAccount(store, keys, sink.name)
    const { windows, rows, lost, skipped, writtenAt } = before
    this.#account = { ...this.#account, windows, rows, lost, skipped, writtenAt }
    const own = await store.redis.hget(keys.taken, sink.name)
    const kept = own ?? (await store.redis.hget(keys.version, sinkField(sink.name)))
    const { stored } = await this.#within('open', async () => {
      const job = this.#job
      this.#connection = await sink.open({ job, environment, clock, log, store, kept })
      const { position } = this.#connection
      return { stored: position ? await position() : kept }
    })
    this.#stored = stored
    const position = stored === null ? null : parsePosition(stored)
    const { place, hasTo } = await placeIn(store, keys, this.#succession, position)
    this.#place = place
    this.#hasTo = hasTo
    if (stored !== own && stored !== null && place === position) await this.#tell(stored)
  }

  /**
   * Redis is older than what the sink has. What is closed from then on is new to the sink, and lies behind
   * its place, but where the clock was set back too. Of numbers nothing follows until the next window.
   */
  async #goBack(count: number): Promise<void> {
    const { store, keys, sink, log } = this.#options
    const newest = await newestPosition(store, keys, this.#succession.version)
    log.warn(`sink ${sink.name}: Redis was taken back in time; closed windows may come again`, {
      had: this.#place.number,
      has: count,
    })
    const { id } = isBefore(newest.id, this.#place.id) ? newest : this.#place
    this.#place = { ...this.#place, id, number: 0 }
    const { updatesId } = this.#place
    if (updatesId === undefined) return
    const newer = await newestUpdate(store, keys)
    if (isBefore(newer, updatesId)) this.#place = { ...this.#place, updatesId: newer }
  }

  async #offer({ windows, lost }: Read): Promise<void> {
    if (lost > 0) this.#gap.tell(this.#place, lost, windows[0]!.end)
    const last = windows.at(-1)!
    const batch: Batch = { expected: this.#stored, position: last.position, windows }
    try {
      await this.#write(batch)
    } catch (error) {
      if (!(error instanceof SinkRefusal)) throw error
      const found = windows.length === 1
      this.#singly = Math.max(this.#singly, windows.length)
      if (!found) return await this.#reopen()
      if (this.#options.sink.onRefusal === 'hold') throw error
      await this.#skip(last, lost, error)
      return
    }
    const rows = windows.reduce((sum, window) => sum + window.rows.length, 0)
    await this.#took(last, { windows: windows.length, rows, skipped: 0, lost })
  }

  /** A connection is not used again after an error. */
  async #reopen(): Promise<void> {
    await this.#close()
    await this.#open()
  }

  async #skip(window: ClosedWindow, lost: number, error: unknown): Promise<void> {
    const { sink, log } = this.#options
    await this.#reopen()
    await this.#write({ expected: this.#stored, position: window.position, windows: [] })
    log.error(`sink ${sink.name}: ${windowName(window)} is passed over, as it is refused`, {
      error: causesOf(error),
    })
    await this.#took(window, { windows: 0, rows: 0, skipped: 1, lost })
  }

  async #write(batch: Batch): Promise<void> {
    await this.#within('write', (signal) => this.#connection!.write(batch, signal))
  }

  /** Bounded in time, and by the lease; what hangs is left behind with its connection. */
  #within<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#writing = new AbortController()
    return within(this.#options.clock, what, this.#writing, work)
  }

  async #took(
    last: ClosedWindow,
    more: Pick<SinkAccount, 'windows' | 'rows' | 'skipped' | 'lost'>,
  ): Promise<void> {
    const { clock } = this.#options
    const { windows, rows, skipped, lost } = this.#account
    this.#stored = last.position
    this.#place = parsePosition(last.position)
    this.#account = {
      ...this.#account,
      windows: windows + more.windows,
      rows: rows + more.rows,
      skipped: skipped + more.skipped,
      lost: lost + more.lost,
      writtenAt: clock.now(),
    }
    this.#gap.pass(more.lost)
    this.#attempt = 0
    this.#singly = Math.max(0, this.#singly - 1)
    this.#enter('running')
    await this.#tell(last.position)
  }

  #enter(state: SinkState, reason: string | null = null): void {
    const { sink, log } = this.#options
    const before = this.#account
    this.#account = { ...before, state, reason }
    if (before.state === state && before.reason === reason) return
    if (state === 'running') log.info(`sink ${sink.name} at ${this.#address} takes windows`)
    else log.error(`sink ${sink.name} ${reason}`)
    this.#options.onComplaint()
  }

  /** Says what went wrong; answers how long to wait, in ms. */
  async #failed(error: unknown): Promise<number> {
    const { clock, sink, log } = this.#options
    this.#attempt++
    if (error instanceof SinkFenced) {
      log.warn(`sink ${sink.name}: ${error.message}; looking where it is`)
      return retries.baseMs
    }
    const ours = error instanceof SinkError || error instanceof SinkRefusal
    // Redis's own connection says when it is away.
    if (!ours && isOutage(error)) return backoffDelayMs(outages, this.#attempt, clock.random())
    if (error instanceof SinkRefusal) {
      const what = `at ${this.#address} refuses the window after ${placeName(this.#place)}`
      const todo = 'put it right, or let it be passed over with onRefusal'
      this.#enter('refused', `${what}: ${messageOf(error)}; ${todo}`)
    } else {
      this.#enter('down', `at ${this.#address} is down; trying again: ${messageOf(error)}`)
    }
    await this.#gap.look(this.#place)
    await this.#tellQuietly()
    return backoffDelayMs(retries, this.#attempt, clock.random())
  }

  async #tell(position = ''): Promise<void> {
    this.#account = { ...this.#account, at: this.#options.clock.now() }
    const ours = await this.#lease.tell(this.#account, position)
    if (!ours) this.#writing.abort(new SinkFenced('another process has the sink'))
  }

  async #tellQuietly(): Promise<void> {
    try {
      await this.#tell()
    } catch (error) {
      if (!isOutage(error)) throw error
      if (!this.#lease.held) this.#writing.abort(new SinkFenced('Redis is away: the lease is over'))
    }
  }

  /** Beside the writes, which may take long. */
  async #keepTelling(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      await clock.sleep(times.tellMs, signal)
      if (this.#lease.held) await this.#tellQuietly()
      this.#options.onComplaint()
    }
  }

  async #close(): Promise<void> {
    const connection = this.#connection
    this.#connection = null
    if (!connection) return
    const { clock, log, sink } = this.#options
    const over = new AbortController()
    const closing = connection.close().catch((error: unknown) => {
      log.debug(`sink ${sink.name} did not close`, { error: messageOf(error) })
    })
    await Promise.race([closing, clock.sleep(times.closeMs, over.signal)])
    over.abort()
  }

  async #giveBack(): Promise<void> {
    try {
      if (this.#lease.held) await this.#lease.giveBack()
    } catch (error) {
      if (!isOutage(error)) throw error
    }
  }
}
