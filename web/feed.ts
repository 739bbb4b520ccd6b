/**
 * GET /api/events: one loop looks at Redis for everybody who listens, and runs only while somebody
 * does. What changed since the last look goes out; whoever is new gets everything once.
 *
 *   reader, windows → look (twice a second) → status, executors, cost, decision, total, window → listeners
 *
 * Besides: `outage` while Redis is away, `heartbeat`. A listener that does not read is let go, so that
 * nothing piles up.
 */
import type { Clock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import type { Log } from '../actors/log.ts'
import { isOutage } from '../actors/redis.ts'
import type { ActorReport } from '../supervisor/status.ts'
import type { StatusReader } from '../supervisor/status-reader.ts'
import type { WindowReport, WindowTotalReport } from './window-schemas.ts'

export const LISTENERS_MOST = 32

/** Half a second and what a look takes: what was committed is on the page within one. */
const times = { heartbeatMs: 4_000, tickMs: 500, costEveryTicks: 10 }
/** Bytes that may wait for one listener: a first look with many windows, but no backlog of looks. */
const waitingBytesMost = 4 * 1024 * 1024
const decisionsShown = 30
/** Reading windows may take this share of the time at the most, however many groups they have. */
const windowsShare = 0.05

/** The windows as the feed looks at them; `version` changes whenever a row may have. */
export interface WindowsSource {
  version(): Promise<string>
  /** The newest rows, and the newest windows as one row each; newest first. */
  rows(): Promise<WindowReport[]>
  totals(): Promise<WindowTotalReport[]>
}

export interface FeedParts {
  reader: StatusReader
  windows: WindowsSource
  clock: Clock
  log: Log
  tickMs?: number
}

interface Listener {
  isNew: boolean
  send(bytes: Uint8Array<ArrayBuffer>): void
  end(): void
}

type EventName =
  | 'status'
  | 'executors'
  | 'cost'
  | 'decision'
  | 'total'
  | 'window'
  | 'outage'
  | 'heartbeat'

interface Look {
  /** Events for those who listened before, and for those who are new. */
  changes: string
  everything: () => string
}

export class Feed {
  private readonly parts: FeedParts
  private readonly listeners = new Set<Listener>()
  private readonly encoder = new TextEncoder()
  private loop: Promise<void> = Promise.resolve()
  private isLooping = false
  private pause = new AbortController()
  private ticks = 0
  private cost = ''
  private decisions = new Map<string, string>()
  private windowRows = new Map<string, string>()
  private windowTotals = new Map<string, string>()
  private windowVersion = ''
  private windowsNotBefore = 0

  constructor(parts: FeedParts) {
    this.parts = parts
  }

  get size(): number {
    return this.listeners.size
  }

  /** A stream of events; null where as many listen as may. Ends when the reader or `gone` does. */
  listen(gone: AbortSignal): ReadableStream<Uint8Array> | null {
    if (this.listeners.size >= LISTENERS_MOST) return null
    let listener: Listener | null = null
    const leave = () => {
      if (listener) this.listeners.delete(listener)
      if (this.listeners.size === 0) this.pause.abort()
    }
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          listener = this.listenerOf(controller, leave)
          gone.addEventListener('abort', leave, { once: true })
          this.join(listener)
        },
        cancel: leave,
      },
      { highWaterMark: waitingBytesMost, size: (chunk) => chunk?.byteLength ?? 0 },
    )
  }

  /** Ends every stream and waits for the loop; a second call is harmless. */
  async close(): Promise<void> {
    for (const listener of this.listeners) listener.end()
    this.pause.abort()
    await this.loop
  }

  private listenerOf(
    controller: ReadableStreamDefaultController<Uint8Array>,
    leave: () => void,
  ): Listener {
    const end = () => {
      leave()
      try {
        controller.close()
      } catch {
        // Already closed by the other side.
      }
    }
    const send = (bytes: Uint8Array<ArrayBuffer>) => {
      if ((controller.desiredSize ?? 0) <= 0) return end()
      try {
        controller.enqueue(bytes)
      } catch {
        leave()
      }
    }
    return { isNew: true, send, end }
  }

  private join(listener: Listener): void {
    this.listeners.add(listener)
    listener.send(this.encoder.encode(`retry: 1000\n\n${this.heartbeat()}`))
    // Wakes the loop, so that whoever is new does not wait for the next look.
    this.pause.abort()
    if (!this.isLooping) this.loop = this.run()
  }

  private async run(): Promise<void> {
    this.isLooping = true
    let beatAt = this.parts.clock.elapsed()
    while (this.listeners.size > 0) {
      this.pause = new AbortController()
      await this.tick()
      if (this.parts.clock.elapsed() - beatAt >= times.heartbeatMs - times.tickMs) {
        beatAt = this.parts.clock.elapsed()
        this.sendAll(this.heartbeat())
      }
      if (this.listeners.size > 0) {
        await this.parts.clock.sleep(this.parts.tickMs ?? times.tickMs, this.pause.signal)
      }
    }
    this.isLooping = false
  }

  private async tick(): Promise<void> {
    const beats = setInterval(() => this.sendAll(this.heartbeat()), times.heartbeatMs)
    try {
      const { changes, everything } = await this.look()
      const forAll = this.encoder.encode(changes)
      for (const listener of this.listeners) {
        listener.send(listener.isNew ? this.encoder.encode(everything()) : forAll)
        listener.isNew = false
      }
    } catch (error) {
      this.sendAll(this.outage(error))
    } finally {
      clearInterval(beats)
    }
  }

  private async look(): Promise<Look> {
    const { reader } = this.parts
    const [status, { executors }, { decisions }] = await Promise.all([
      reader.status(),
      reader.executors(),
      reader.decisions(decisionsShown),
    ])
    const costBefore = this.cost
    if (this.ticks++ % times.costEveryTicks === 0 || this.cost === '') {
      this.cost = eventText('cost', await reader.cost())
    }
    const cost = this.cost === costBefore ? '' : this.cost
    const windows = await this.lookAtWindows()
    const now =
      eventText('status', status) + eventText('executors', { executors: shown(executors) })
    const before = this.decisions
    this.decisions = decisionTexts(decisions)
    // A decision comes again when it has taken effect.
    const changed = [...this.decisions].filter(([id, text]) => before.get(id) !== text)
    return {
      changes: now + cost + changed.map(([, text]) => text).join('') + windows,
      everything: () =>
        [
          now,
          this.cost,
          ...this.decisions.values(),
          ...this.windowTotals.values(),
          ...this.windowRows.values(),
        ].join(''),
    }
  }

  /** Windows and rows that changed, as events; read only when a version says so. */
  private async lookAtWindows(): Promise<string> {
    const { clock, windows } = this.parts
    const version = await windows.version()
    const began = clock.elapsed()
    if (version === this.windowVersion || began < this.windowsNotBefore) return ''
    const totals = new Map<string, string>()
    for (const total of await windows.totals()) {
      totals.set(total.start, eventText('total', total))
    }
    const rows = new Map<string, string>()
    for (const row of await windows.rows()) {
      rows.set(`${row.start} ${JSON.stringify(row.key)}`, eventText('window', row))
    }
    const changed = changesOf(this.windowTotals, totals) + changesOf(this.windowRows, rows)
    this.windowTotals = totals
    this.windowRows = rows
    this.windowVersion = version
    this.windowsNotBefore = began + (clock.elapsed() - began) / windowsShare
    return changed
  }

  private outage(error: unknown): string {
    const isRedis = isOutage(error)
    if (!isRedis) this.parts.log.error('events: look failed', { error: messageOf(error) })
    return eventText('outage', {
      at: this.isoNow(),
      code: isRedis ? 'redis_unavailable' : 'internal',
      message: isRedis ? 'Redis does not answer' : 'the state could not be read',
    })
  }

  private heartbeat(): string {
    return eventText('heartbeat', { at: this.isoNow() })
  }

  private isoNow(): string {
    return new Date(this.parts.clock.now()).toISOString()
  }

  private sendAll(text: string): void {
    const bytes = this.encoder.encode(text)
    for (const listener of this.listeners) listener.send(bytes)
  }
}

/** Without what only programs read: hundreds of numbers an executor, each time. */
const shown = (executors: readonly ActorReport[]) =>
  executors.map(({ delays: _delays, eventDelays: _eventDelays, ...rest }) => rest)

const changesOf = (before: Map<string, string>, now: Map<string, string>): string =>
  [...now].flatMap(([key, text]) => (before.get(key) === text ? [] : [text])).join('')

/** Oldest first, so that whoever follows the events sees them in order. */
const decisionTexts = (newestFirst: readonly { id: string }[]): Map<string, string> =>
  new Map(
    newestFirst
      .toReversed()
      .map((decision) => [decision.id, eventText('decision', decision)] as const),
  )

/** One event; JSON has no line breaks, so one `data` line holds it. */
const eventText = (name: EventName, data: unknown): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
