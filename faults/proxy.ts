/**
 * A TCP proxy that stands between the pipeline and a server, and disturbs what passes: cuts it,
 * swallows it, slows it down. It knows nothing of what it carries.
 *
 *   client ──requests──► Lane ──► server
 *   client ◄──replies─── Lane ◄── server
 */
import type { Socket, TCPSocketListener } from 'bun'
import { type Clock, systemClock } from '../actors/clock.ts'

const HOST = '127.0.0.1'
/** More than this waiting in one direction, and the sender is not read from. */
const WAITING_BYTES_MAX = 1024 * 1024

export type Direction = 'requests' | 'replies'

/** How bytes pass; the defaults let them pass as they are. */
export interface Pace {
  latencyMs?: number
  /** Beside the latency, evenly from 0; order is kept. */
  jitterMs?: number
  /** Bytes arrive in pieces of 1 to this many. */
  sliceBytesMax?: number
  /** In each direction of each connection. */
  bytesPerSecond?: number
}

export interface ProxyCounts {
  opened: number
  cut: number
  refused: number
  swallowedBytes: number
}

/** Bytes of one direction on their way, in order. */
class Lane {
  readonly #clock: Clock
  readonly #pace: () => Pace
  #queue: { due: number; bytes: Buffer }[] = []
  #waiting = 0
  #freeAt = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #blocked = false
  from: Socket<Wire> | null = null
  to: Socket<Wire> | null = null
  /** Nothing more comes: the other end is closed when all that came is through. */
  ended = false

  constructor(pace: () => Pace, clock: Clock) {
    this.#pace = pace
    this.#clock = clock
  }

  take(bytes: Buffer): void {
    const { latencyMs = 0, jitterMs = 0 } = this.#pace()
    const delay = latencyMs + jitterMs * this.#clock.random()
    this.#queue.push({ due: this.#clock.elapsed() + delay, bytes: Buffer.from(bytes) })
    this.#waiting += bytes.length
    if (this.#waiting > WAITING_BYTES_MAX) this.from?.pause()
    this.move()
  }

  /** The far end can take more again. */
  drained(): void {
    this.#blocked = false
    this.move()
  }

  move(): void {
    while (this.to && !this.#blocked && !this.#timer) {
      const first = this.#queue[0]
      if (!first) {
        if (this.ended) this.to.end()
        return
      }
      const waitMs = Math.max(first.due, this.#freeAt) - this.#clock.elapsed()
      if (waitMs > 0) this.#wait(waitMs)
      else this.#write(first.bytes)
    }
  }

  clear(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#queue = []
    this.to = null
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.move()
    }, ms)
  }

  #write(bytes: Buffer): void {
    const piece = bytes.subarray(0, this.#pieceBytes(bytes.length))
    const written = Math.max(this.to!.write(piece), 0)
    if (written < piece.length) this.#blocked = true
    if (written === bytes.length) this.#queue.shift()
    else this.#queue[0]!.bytes = bytes.subarray(written)
    this.#waiting -= written
    if (this.#waiting <= WAITING_BYTES_MAX / 2) this.from?.resume()
    this.#spend(written)
  }

  #pieceBytes(there: number): number {
    const { sliceBytesMax, bytesPerSecond } = this.#pace()
    // A tenth of a second at once, so that a narrow line is a steady one.
    const most = bytesPerSecond ? Math.max(1, Math.floor(bytesPerSecond / 10)) : there
    const slice = sliceBytesMax ? 1 + Math.floor(this.#clock.random() * sliceBytesMax) : there
    return Math.min(there, most, slice)
  }

  #spend(bytes: number): void {
    const { sliceBytesMax, bytesPerSecond } = this.#pace()
    const now = this.#clock.elapsed()
    if (bytesPerSecond) {
      this.#freeAt = Math.max(this.#freeAt, now) + (bytes * 1_000) / bytesPerSecond
    } else if (sliceBytesMax) {
      // Pieces in one turn would travel in one packet.
      this.#freeAt = now + 0.01
    }
  }
}

/** One connection through the proxy. */
interface Wire {
  client: Socket<Wire>
  server: Socket<Wire> | null
  requests: Lane
  replies: Lane
  /** Bytes were swallowed: what follows would make no sense to the other end. */
  lost: Set<Direction>
  /** Whose sender has closed. */
  closed: Set<Direction>
  /** The next reply is dropped, and the connection with it. */
  losesReply: boolean
}

export interface ProxyOptions {
  /** 0 for a free one. */
  port?: number
  target: number
  clock?: Clock
}

export class Proxy {
  readonly counts: ProxyCounts = { opened: 0, cut: 0, refused: 0, swallowedBytes: 0 }
  readonly port: number
  readonly #clock: Clock
  readonly #wires = new Set<Wire>()
  #listener: TCPSocketListener<Wire> | null
  #target: number
  #pace: Pace = {}
  #holes: ReadonlySet<Direction> = new Set()
  #holds = false

  constructor({ port = 0, target, clock = systemClock }: ProxyOptions) {
    this.#clock = clock
    this.#target = target
    this.#listener = this.#listen(port)
    this.port = this.#listener.port
  }

  get connections(): number {
    return this.#wires.size
  }

  get target(): number {
    return this.#target
  }

  /** New connections go to another server; those that are open end. */
  aim(target: number): void {
    this.#target = target
    this.cut()
  }

  /** Ends all connections now, without what is on its way. */
  cut(): void {
    for (const wire of this.#wires) this.#cutOne(wire)
  }

  /**
   * Of each open connection the next reply is lost, and the connection ends there: the server has
   * done what it was asked, and the client can't know.
   */
  loseReplies(): void {
    for (const wire of this.#wires) wire.losesReply = true
  }

  /**
   * Takes connections and bytes, and gives nothing on. Bytes are lost, so that connections of that
   * time stay dead for ever, as when a gateway has forgotten them; only new ones work afterwards.
   */
  blackHole(directions: readonly Direction[] = ['requests', 'replies']): void {
    this.#holes = new Set(directions)
  }

  /** Nothing passes for now, and nothing is lost: what was sent arrives when this is over. */
  hold(): void {
    this.#holds = true
    for (const { requests, replies } of this.#wires) {
      requests.to = null
      replies.to = null
    }
  }

  /** The port is closed to new connections; open ones go on. */
  refuse(): void {
    this.#listener?.stop(false)
    this.#listener = null
    this.counts.refused++
  }

  slow(pace: Pace): void {
    this.#pace = pace
  }

  /** Everything passes again, at full pace. What was lost stays lost. */
  heal(): void {
    this.#holes = new Set()
    this.#pace = {}
    this.#holds = false
    this.#listener ??= this.#listen(this.port)
    for (const wire of this.#wires) {
      wire.losesReply = false
      this.#connectLanes(wire)
    }
  }

  stop(): void {
    this.#listener?.stop(true)
    this.#listener = null
    this.cut()
  }

  #listen(port: number): TCPSocketListener<Wire> {
    return Bun.listen<Wire>({
      hostname: HOST,
      port,
      socket: {
        open: (client) => void this.#open(client),
        data: ({ data: wire }, bytes) => this.#pass(wire, 'requests', bytes),
        drain: ({ data: wire }) => wire.replies.drained(),
        close: ({ data: wire }) => this.#closed(wire, 'requests'),
        error: ({ data: wire }) => this.#cutOne(wire),
      },
    })
  }

  async #open(client: Socket<Wire>): Promise<void> {
    const lane = () => new Lane(() => this.#pace, this.#clock)
    const wire: Wire = {
      client,
      server: null,
      requests: lane(),
      replies: lane(),
      lost: new Set(),
      closed: new Set(),
      losesReply: false,
    }
    client.data = wire
    this.#wires.add(wire)
    this.counts.opened++
    try {
      await Bun.connect<Wire>({
        hostname: HOST,
        port: this.#target,
        data: wire,
        socket: {
          open: (server) => {
            wire.server = server
            if (this.#wires.has(wire)) this.#connectLanes(wire)
            else server.terminate()
          },
          data: (_, bytes) => this.#pass(wire, 'replies', bytes),
          drain: () => wire.requests.drained(),
          close: () => this.#closed(wire, 'replies'),
          error: () => this.#cutOne(wire),
          connectError: () => this.#cutOne(wire),
        },
      })
    } catch {
      // The server is away: said by connectError, and the client sees a connection that ends.
      this.#cutOne(wire)
    }
  }

  #connectLanes(wire: Wire): void {
    const { client, server, requests, replies } = wire
    if (this.#holds || !server) return
    requests.from = client
    requests.to = server
    replies.from = server
    replies.to = client
    requests.move()
    replies.move()
  }

  #pass(wire: Wire, direction: Direction, bytes: Buffer): void {
    if (!this.#wires.has(wire)) return
    if (direction === 'replies' && wire.losesReply) {
      this.counts.swallowedBytes += bytes.length
      this.#cutOne(wire)
    } else if (this.#isLost(wire, direction)) {
      wire.lost.add(direction)
      this.counts.swallowedBytes += bytes.length
    } else {
      wire[direction].take(bytes)
    }
  }

  #isLost(wire: Wire, direction: Direction): boolean {
    return this.#holes.has(direction) || wire.lost.has(direction)
  }

  /** One end has closed: what it sent before still arrives, unless that is lost as its end is. */
  #closed(wire: Wire, direction: Direction): void {
    if (!this.#wires.has(wire)) return
    wire.closed.add(direction)
    if (wire.closed.size === 2) {
      this.#wires.delete(wire)
      return
    }
    wire[direction === 'requests' ? 'replies' : 'requests'].clear()
    if (this.#isLost(wire, direction)) return
    wire[direction].ended = true
    wire[direction].move()
  }

  #cutOne(wire: Wire | undefined): void {
    if (!wire || !this.#wires.delete(wire)) return
    this.counts.cut++
    wire.requests.clear()
    wire.replies.clear()
    wire.client.terminate()
    wire.server?.terminate()
  }
}
