/**
 * The simulated Redis server: the model of its data behind sessions, one for each connection. One
 * command at a time; blocked reads wait in their order; what happens to the server happens here:
 * it is away, slow, out of memory, loses its functions, comes back older.
 */
import type { Event, Time } from './time.ts'
import { EPOCH } from './processes.ts'
import { RedisModel } from './redis/redis.ts'

export type Argument = string | Buffer

export interface Reply {
  value: unknown
  error: string | null
}

interface Blocked {
  args: Argument[]
  buffers: boolean
  answer: (reply: Reply) => void
  timeout: Event
}

/** One connection as the server sees it. */
export class Session {
  open = true
  blocked: Blocked | null = null
  readonly waiting: (() => void)[] = []
  constructor(
    readonly name: string,
    readonly close: () => void,
  ) {}
}

/** Sees each command after it was executed. */
export type Observe = (session: Session, args: Argument[], reply: Reply) => void

export class Server {
  readonly model: RedisModel
  up = true
  /** Added to the server's clock; ms. */
  skewMs = 0
  readonly #time: Time
  readonly #observe: Observe
  readonly #sessions = new Set<Session>()
  readonly #written = new Set<string>()
  #pausedUntilUs = 0

  constructor(time: Time, observe: Observe) {
    this.#time = time
    this.#observe = observe
    this.model = new RedisModel({ now: () => this.nowMs })
    this.model.onStreamWrite = (key: string) => void this.#written.add(key)
  }

  get nowMs(): number {
    return EPOCH + this.#time.nowUs / 1_000 + this.skewMs
  }

  connect(name: string, close: () => void): Session | null {
    if (!this.up) return null
    const session = new Session(name, close)
    this.#sessions.add(session)
    return session
  }

  /** The client is gone, or was cut off; what it had asked to wait for it will not get. */
  disconnect(session: Session): void {
    session.open = false
    this.#sessions.delete(session)
    if (session.blocked) session.blocked.timeout.act = null
    session.blocked = null
    session.waiting.length = 0
  }

  /** A command has arrived. */
  receive(
    session: Session,
    args: Argument[],
    buffers: boolean,
    answer: (reply: Reply) => void,
  ): void {
    if (!session.open || !this.up) return
    if (session.blocked) {
      session.waiting.push(() => this.receive(session, args, buffers, answer))
      return
    }
    if (this.#time.nowUs < this.#pausedUntilUs) {
      const ms = (this.#pausedUntilUs - this.#time.nowUs) / 1_000
      this.#time.after(ms, null, () => this.receive(session, args, buffers, answer))
      return
    }
    const blockMs = blockOf(args)
    const reply = this.#execute(session, args, buffers)
    if (blockMs === null || reply.error !== null || reply.value !== null) answer(reply)
    else this.#block(session, args, buffers, answer, blockMs)
    this.#wake()
  }

  /** Everybody's connection is cut. */
  killClients(): void {
    for (const session of this.#sessions) {
      this.disconnect(session)
      session.close()
    }
  }

  goDown(): void {
    this.up = false
    this.killClients()
  }

  pause(ms: number): void {
    this.#pausedUntilUs = this.#time.nowUs + Math.round(ms * 1_000)
  }

  get sessions(): number {
    return this.#sessions.size
  }

  #execute(session: Session, args: Argument[], buffers: boolean): Reply {
    let reply: Reply
    try {
      const value: unknown = buffers ? this.model.executeBuffer(args) : this.model.execute(args)
      reply = { value, error: null }
    } catch (error) {
      if (!isReplyError(error)) throw error
      reply = { value: null, error: error.message }
    }
    this.#observe(session, args, reply)
    return reply
  }

  #block(
    session: Session,
    args: Argument[],
    buffers: boolean,
    answer: (reply: Reply) => void,
    blockMs: number,
  ): void {
    const timeout = this.#time.after(blockMs, null, () => {
      this.#unblock(session, { value: null, error: null })
    })
    session.blocked = { args, buffers, answer, timeout }
  }

  #unblock(session: Session, reply: Reply): void {
    const { blocked } = session
    if (!blocked) return
    blocked.timeout.act = null
    session.blocked = null
    blocked.answer(reply)
    for (const next of session.waiting.splice(0)) next()
  }

  /** Serves those that wait for streams which were just written, in the order of their coming. */
  #wake(): void {
    while (this.#written.size > 0) {
      const written = new Set(this.#written)
      this.#written.clear()
      for (const session of this.#sessions) {
        const { blocked } = session
        if (!blocked?.args.some((arg) => typeof arg === 'string' && written.has(arg))) continue
        const reply = this.#execute(session, blocked.args, blocked.buffers)
        if (reply.error !== null || reply.value !== null) this.#unblock(session, reply)
      }
    }
  }
}

/** How long a command wants to wait; null where it does not block. */
function blockOf(args: Argument[]): number | null {
  const name = args[0]
  if (name !== 'XREADGROUP' && name !== 'XREAD') return null
  const at = args.indexOf('BLOCK')
  return at < 0 ? null : Number(args[at + 1])
}

const isReplyError = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'ReplyError'
