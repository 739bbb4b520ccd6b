/**
 * A simulated connection to Redis, as ioredis is configured in actors/redis.ts: commands in their
 * order, rejected at once while there is no connection, given up after the command's time limit,
 * never sent again. What a cut does: a command that had not arrived is not executed, of one that had
 * the reply is lost; the caller can't tell which. What is in the network when its sender dies arrives.
 */
import { ReplyError } from 'ioredis'
import { backoffDelayMs } from '../../actors/backoff.ts'
import { bounds } from '../../actors/config.ts'
import { functionsOf, type Store } from '../../actors/redis.ts'
import type { Chance } from './chance.ts'
import type { Process } from './processes.ts'
import type { Argument, Reply, Server, Session } from './server.ts'
import type { Event, Time } from './time.ts'
import type { Trace } from './trace.ts'

/** What a fault does to one command. */
export type Interference =
  | 'none'
  /** The connection is cut before the command arrives; after it was executed. */
  | 'cut before'
  | 'cut after'
  /** The process dies before the command is sent; after it was executed. */
  | 'die before'
  | 'die after'

export interface Wires {
  time: Time
  trace: Trace
  chance: Chance
  /** One way, in ms. */
  latencyMs: () => number
  /** Asked for each command; faults wait here for their moment. */
  interfere: (process: Process, args: Argument[]) => Interference
}

interface Pending {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  /** By the process's clock; ms. */
  deadline: number
  settled: boolean
}

export class Connection {
  readonly #wires: Wires
  readonly #process: Process
  readonly #server: Server
  readonly #name: string
  readonly #timeoutMs: number
  #session: Session | null = null
  #pending: Pending[] = []
  #attempt = 0
  #closed = false
  /** When the last command of this connection arrives, and the last reply; for their order. */
  #lastArrivalUs = 0
  #lastReplyUs = 0
  #limit: Event | null = null
  /** Nothing passes, in either direction, until then. */
  #holeUntilUs = 0

  constructor(wires: Wires, process: Process, server: Server, name: string, blockMs = 0) {
    this.#wires = wires
    this.#process = process
    this.#server = server
    this.#name = name
    this.#timeoutMs = blockMs + bounds.redisCommandTimeoutMs
    process.closers.push(() => this.close())
    this.#connect()
  }

  get ready(): boolean {
    return this.#session !== null
  }

  send(args: Argument[], buffers: boolean): Promise<unknown> {
    const { interfere, trace } = this.#wires
    if (!this.#process.alive) return new Promise(() => {})
    const session = this.#session
    if (!session) return Promise.reject(notWriteable)
    const interference = interfere(this.#process, args)
    trace.say(`${this.#name} > ${tell(args)}`)
    if (interference === 'die before') {
      this.#process.kill()
      return new Promise(() => {})
    }
    return new Promise((resolve, reject) => {
      const deadline = this.#process.clock.elapsed() + this.#timeoutMs
      const pending = { resolve, reject, deadline, settled: false }
      this.#pending.push(pending)
      this.#watch()
      if (interference === 'cut before') this.#process.after(0.05, () => this.cut())
      else this.#carry(session, args, buffers, pending, interference)
    })
  }

  /** The connection breaks, seen by both sides. */
  cut(): void {
    const session = this.#session
    if (!session) return
    this.#session = null
    this.#server.disconnect(session)
    this.#lost()
  }

  /** Null is any server. */
  leadsTo(server: Server | null): boolean {
    return server === null || server === this.#server
  }

  /** Packets get lost for a while: they come later, or too late. */
  swallow(ms: number): void {
    this.#holeUntilUs = this.#wires.time.nowUs + ms * 1_000
  }

  /** Ends it for good; what was sent before is on its way all the same. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const session = this.#session
    this.#session = null
    this.#limit = null
    const { time } = this.#wires
    if (session) {
      const ms = Math.max(0, this.#lastArrivalUs - time.nowUs) / 1_000 + 0.05
      time.after(ms, null, () => this.#server.disconnect(session))
    }
    const pending = this.#pending.splice(0)
    if (this.#process.alive)
      for (const one of pending) reject(one, new Error('Connection is closed.'))
  }

  #carry(
    session: Session,
    args: Argument[],
    buffers: boolean,
    pending: Pending,
    interference: Interference,
  ): void {
    const { time, latencyMs, trace } = this.#wires
    const arrivalUs = this.#through(latencyMs(), this.#lastArrivalUs)
    this.#lastArrivalUs = arrivalUs
    time.after((arrivalUs - time.nowUs) / 1_000, null, () => {
      this.#server.receive(session, args, buffers, (reply) => {
        if (interference === 'cut after') {
          trace.count('reply lost')
          this.cut()
          return
        }
        if (interference === 'die after') {
          this.#process.kill()
          return
        }
        const replyUs = this.#through(latencyMs(), this.#lastReplyUs)
        this.#lastReplyUs = replyUs
        const deliver = () => this.#deliver(session, pending, reply)
        this.#process.after((replyUs - time.nowUs) / 1_000, deliver)
      })
    })
  }

  /** When something sent now is there: in order, and not before a hole has ended. */
  #through(ms: number, lastUs: number): number {
    const { time } = this.#wires
    const us = Math.max(time.nowUs, this.#holeUntilUs) + Math.round(ms * 1_000)
    return Math.max(us, lastUs)
  }

  #deliver(session: Session, pending: Pending, reply: Reply): void {
    // Of a connection that was cut nothing is read any more.
    if (session !== this.#session) return
    const at = this.#pending.indexOf(pending)
    if (at >= 0) this.#pending.splice(at, 1)
    if (pending.settled) return
    pending.settled = true
    if (reply.error === null) pending.resolve(reply.value)
    else pending.reject(new ReplyError(reply.error))
  }

  #lost(): void {
    const pending = this.#pending.splice(0)
    this.#process.after(0.02, () => {
      for (const one of pending) reject(one, connectionLost())
    })
    if (!this.#closed) this.#retry()
  }

  #connect(): void {
    const { latencyMs } = this.#wires
    const inHole = this.#holeUntilUs - this.#wires.time.nowUs
    this.#process.after(latencyMs() * 2 + Math.max(0, inHole / 1_000), () => {
      if (this.#closed) return
      this.#session = this.#server.connect(this.#name, () => {
        this.#session = null
        this.#lost()
      })
      if (this.#session) this.#attempt = 0
      else this.#retry()
    })
  }

  #retry(): void {
    this.#attempt++
    const backoff = { baseMs: 50, capMs: bounds.redisRetryCapMs }
    const ms = backoffDelayMs(backoff, this.#attempt, this.#process.chance.next())
    this.#process.after(ms, () => this.#connect())
  }

  /** One timer for the oldest command: all of a connection have the same limit. */
  #watch(): void {
    if (this.#limit) return
    const first = this.#pending.find(({ settled }) => !settled)
    if (!first) return
    // Virtual time is whole microseconds: less than one would be the same moment again, for ever.
    const ms = Math.max(first.deadline - this.#process.clock.elapsed(), 0.001)
    this.#limit = this.#process.after(ms, () => {
      this.#limit = null
      const now = this.#process.clock.elapsed()
      for (const one of this.#pending) {
        if (one.deadline <= now) reject(one, new Error('Command timed out'))
      }
      this.#watch()
    })
  }
}

/** What actors ask something of: a connection, or several of which each has some of the keys. */
export interface Line {
  send(args: Argument[], buffers: boolean): Promise<unknown>
  close(): void
}

/** As a cluster's client: each command to the node of its key, what has none to any, functions to all. */
export class Lines implements Line {
  readonly #lines: readonly Connection[]
  readonly #chance: Chance

  constructor(lines: readonly Connection[], chance: Chance) {
    this.#lines = lines
    this.#chance = chance
  }

  async send(args: Argument[], buffers: boolean): Promise<unknown> {
    if (args[0] === 'FUNCTION') return this.#sendAll(args, buffers)
    const shard = shardIn(args[0] === 'FCALL' ? args[3] : args.find(isKey))
    const line =
      shard === null
        ? this.#chance.pick(this.#lines)
        : this.#lines[nodeOf(shard, this.#lines.length)]!
    return line.send(args, buffers)
  }

  close(): void {
    for (const line of this.#lines) line.close()
  }

  /** As actors/redis.ts does it: one that takes them is enough. */
  async #sendAll(args: Argument[], buffers: boolean): Promise<unknown> {
    const sent = await Promise.allSettled(this.#lines.map((line) => line.send(args, buffers)))
    const done = sent.find(({ status }) => status === 'fulfilled')
    if (!done) throw (sent[0] as PromiseRejectedResult).reason
    return (done as PromiseFulfilledResult<unknown>).value
  }
}

/** The shard that a key names; null for none. */
export function shardIn(key: Argument | undefined): number | null {
  const found = typeof key === 'string' ? /^millrace:\{[^}]*\/(\d+)\}/.exec(key) : null
  return found ? Number(found[1]) : null
}

const isKey = (arg: Argument): boolean => shardIn(arg) !== null

/** Which of so many servers has a shard. */
export const nodeOf = (shard: number, nodes: number): number => shard % nodes

/** The connection as actors use it. */
export function storeOn(connection: Line): Store {
  const plain =
    (name: string) =>
    (...args: unknown[]) =>
      connection.send([name, ...args.map(argument)], false)
  const redis = {
    call: (...command: unknown[]) => connection.send(asArguments(command), false),
    callBuffer: (...command: unknown[]) => connection.send(asArguments(command), true),
    mgetBuffer: (...keys: string[]) => connection.send(['MGET', ...keys], true),
    xrangeBuffer: (...args: unknown[]) => connection.send(['XRANGE', ...args.map(argument)], true),
    hgetall: async (key: string) => pairs((await plain('HGETALL')(key)) as string[]),
    hset: (key: string, ...fields: unknown[]) =>
      plain('HSET')(
        key,
        ...fields.flatMap((field) => (isPlain(field) ? Object.entries(field).flat() : [field])),
      ),
    ...Object.fromEntries(COMMANDS.map((name) => [name, plain(name.toUpperCase())])),
  }
  const store = {
    redis: redis as unknown as Store['redis'],
    ...functionsOf(redis),
    setNew: (key: string, value: Buffer, expiryMs: number) =>
      connection.send(['SET', key, value, 'PX', String(expiryMs), 'NX'], false),
    close: () => {
      connection.close()
      return Promise.resolve()
    },
  }
  return store
}

/** What actors and supervisor say to Redis besides our functions. */
const COMMANDS =
  'ping info exists unlink set get hget hexists hmget hsetnx hdel xadd xack xdel xpending xread xrevrange xrange'.split(
    ' ',
  )

const argument = (value: unknown): Argument => (Buffer.isBuffer(value) ? value : String(value))

/** In the list itself: commands are long, and this is every one's way. */
function asArguments(command: unknown[]): Argument[] {
  for (let i = 0; i < command.length; i++) {
    if (typeof command[i] !== 'string') command[i] = argument(command[i])
  }
  return command as Argument[]
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Buffer.isBuffer(value)

function pairs(flat: string[]): Record<string, string> {
  const result: Record<string, string> = {}
  for (let i = 0; i < flat.length; i += 2) result[flat[i]!] = flat[i + 1]!
  return result
}

/** One for all: actors ask again and again until there is a connection, and its stack says nothing. */
const notWriteable = new Error("Stream isn't writeable and enableOfflineQueue options is false")

function connectionLost(): Error {
  const error = new Error('Reached the max retries per request limit (which is 0).')
  error.name = 'MaxRetriesPerRequestError'
  return error
}

function reject(pending: Pending, error: Error): void {
  if (pending.settled) return
  pending.settled = true
  pending.reject(error)
}

/** A command in a trace: what identifies it, not its bytes. */
function tell(args: Argument[]): string {
  if (args[0] === 'FCALL') {
    const name = String(args[1])
    const at = name.lastIndexOf('_') + 1
    return `${name.slice(at)} ${short(args[4])} ${short(args[5])} ${short(args[6])} (${args.length})`
  }
  return `${String(args[0])} ${short(args[1])} (${args.length})`
}

const short = (arg: Argument | undefined) =>
  typeof arg === 'string' ? (arg.length > 40 ? String(arg.length) : arg) : (arg?.length ?? '')
