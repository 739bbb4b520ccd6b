/**
 * An actor's life: starting → running → draining → stopped, its heartbeat, and the ways it is asked
 * to end (SIGTERM, SIGINT, a supervisor that is gone). Leaves in order or is found by its lease.
 */
import { hostname } from 'node:os'
import type { Clock } from './clock.ts'
import { bounds } from './config.ts'
import { messageOf } from './errors.ts'
import type { Keys } from './keys.ts'
import type { Log } from './log.ts'
import { type Actor, type ActorState, noWork } from './messages.ts'
import { isOutage, type Store } from './redis.ts'

const transitions: Record<ActorState, readonly ActorState[]> = {
  starting: ['running', 'draining', 'stopped', 'failed'],
  running: ['draining', 'stopped', 'failed'],
  draining: ['stopped', 'failed'],
  stopped: [],
  failed: [],
  dead: [],
}

export interface LifecycleOptions {
  kind: Actor['kind']
  id?: string | undefined
  store: Store
  keys: Keys
  clock: Clock
  log: Log
  /** What the heartbeat says besides state and memory. */
  account?: () => Partial<Actor>
}

export class Lifecycle {
  readonly id: string
  /** Aborted when the actor is asked to end. */
  readonly draining: AbortSignal
  #state: ActorState = 'starting'
  #reason: string | null = null
  readonly #drain = new AbortController()
  readonly #options: LifecycleOptions
  readonly #startedAt: number
  #beating: Promise<void> = Promise.resolve()
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(options: LifecycleOptions) {
    this.#options = options
    this.#startedAt = options.clock.now()
    this.id = options.id ?? newActorId(options.kind, options.clock)
    this.draining = this.#drain.signal
  }

  get state(): ActorState {
    return this.#state
  }

  to(state: ActorState, reason: string | null = null): void {
    if (!transitions[this.#state].includes(state)) {
      throw new Error(`an actor can't go from ${this.#state} to ${state}`)
    }
    this.#state = state
    this.#reason = reason
  }

  /** Why the actor is in its state, for people; null takes it back. */
  explain(reason: string | null): void {
    this.#reason = reason
  }

  /** Asks the actor to end in order; a second call is harmless. */
  drain(reason: string): void {
    if (this.#state === 'starting' || this.#state === 'running') this.to('draining', reason)
    this.#drain.abort(reason)
  }

  /** First heartbeat, then one every `heartbeatMs`; listens to signals and to the supervisor. */
  async start(): Promise<void> {
    await this.beat()
    this.#timer = setInterval(() => {
      this.#beating = this.#beating.then(() => this.beatQuietly())
    }, bounds.heartbeatMs)
    process.on('SIGTERM', () => this.drain('asked to end (SIGTERM)'))
    process.on('SIGINT', () => this.drain('asked to end (SIGINT)'))
    // Children outlive a parent that was killed; without it nobody would retire this one.
    if (process.connected) process.on('disconnect', () => this.drain('the supervisor is gone'))
  }

  async beat(): Promise<void> {
    const { store, keys } = this.#options
    await store.call('beat', keys.base, [this.id, JSON.stringify(this.account()), bounds.leaseMs])
  }

  account(): Actor {
    const { kind, clock, account } = this.#options
    const now = clock.now()
    return {
      id: this.id,
      kind,
      pid: process.pid,
      host: hostname(),
      state: this.#state,
      startedAt: this.#startedAt,
      at: now,
      stoppedAt: this.#state === 'stopped' ? now : null,
      reason: this.#reason,
      rssBytes: process.memoryUsage.rss(),
      ...noWork,
      ...account?.(),
    }
  }

  /** The orderly end: says so in Redis, so that what it still holds goes to others at once. */
  async leave(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer)
    await this.#beating
    if (this.#state !== 'failed') this.to('stopped', this.#reason)
    const { store, keys, log } = this.#options
    try {
      await store.call('leave', keys.base, [this.id, JSON.stringify(this.account())])
    } catch (error) {
      log.warn('could not say goodbye; the lease will end', { error: messageOf(error) })
    }
  }

  async beatQuietly(): Promise<void> {
    try {
      await this.beat()
    } catch (error) {
      // While Redis is away nobody reads leases either; the connection says the outage itself.
      if (!isOutage(error)) this.#options.log.error('heartbeat', { error: messageOf(error) })
    }
  }
}

/** Unique to one incarnation: a restarted actor is another consumer. */
export function newActorId(kind: string, clock: Clock): string {
  const chance = Math.floor(clock.random() * 36 ** 4)
  return `${kind}-${clock.now().toString(36)}${chance.toString(36).padStart(4, '0')}`
}
