/**
 * An actor's life: starting → running → draining → stopped, its heartbeat, and the ways it is asked
 * to end (SIGTERM, SIGINT, a supervisor that is gone). Leaves in order or is found by its lease.
 */
import { type Clock, nextTick } from './clock.ts'
import { bounds } from './config.ts'
import { causesOf, messageOf } from './errors.ts'
import { type Host, systemHost } from './host.ts'
import type { Keys } from './keys.ts'
import type { Log } from './log.ts'
import { type Actor, type ActorState, noWork } from './messages.ts'
import { isOutage, type Store, untilReady, whenReady } from './redis.ts'

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
  /** The process; this one by default. */
  host?: Host
  /** What the heartbeat says besides state and memory. */
  account?: () => Partial<Actor>
}

export class Lifecycle {
  readonly id: string
  /** Aborted when the actor is asked to end. */
  readonly draining: AbortSignal
  #state: ActorState = 'starting'
  #reason: string | null = null
  #asked = false
  /** Redis's clock minus our monotonic one, at the last heartbeat. */
  #redisAhead = -Infinity
  readonly #drain = new AbortController()
  readonly #options: LifecycleOptions
  readonly #startedAt: number
  readonly #host: Host
  readonly #left = new AbortController()
  #beating: Promise<void> = Promise.resolve()

  constructor(options: LifecycleOptions) {
    this.#options = options
    this.#host = options.host ?? systemHost
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

  /** Asks the actor to end in order, by a message where `asked`; a second call is harmless. */
  drain(reason: string, { asked = false } = {}): void {
    if (this.#state === 'starting' || this.#state === 'running') {
      this.to('draining', reason)
      this.#asked = asked
    }
    this.#drain.abort(reason)
  }

  /** First heartbeat, then one every `heartbeatMs`; listens to signals and to the supervisor. */
  async start(): Promise<void> {
    await this.beat()
    this.#host.noteAlive?.()
    this.#beating = this.#keepBeating()
    this.#host.onAsked((reason) => this.drain(reason))
  }

  async beat(): Promise<void> {
    const { store, keys, clock } = this.#options
    const account = JSON.stringify(this.account())
    const beats = this.#everywhere().map((base) => {
      // Where it may hold entries its lease runs; what it says of itself stands with the job.
      const said = base === keys.base ? account : ''
      return store.call('beat', base, [this.id, said, bounds.leaseMs])
    })
    const [time] = await Promise.all(beats)
    this.#redisAhead = Number(time) - clock.elapsed()
  }

  /** The shards that it holds something in; the first is where the job's actors are. */
  #everywhere(): string[] {
    const { kind, keys } = this.#options
    return kind === 'executor' ? keys.shards.map(({ base }) => base) : [keys.base]
  }

  /**
   * The wall clock: ours or Redis's, whichever is later. One that was set back would take good records
   * for records of the future.
   */
  now(): number {
    const { clock } = this.#options
    return Math.max(clock.now(), this.#redisAhead + clock.elapsed())
  }

  account(): Actor {
    const { kind, clock, account } = this.#options
    const now = clock.now()
    return {
      id: this.id,
      kind,
      pid: this.#host.pid,
      host: this.#host.name,
      state: this.#state,
      startedAt: this.#startedAt,
      at: now,
      stoppedAt: this.#state === 'stopped' ? now : null,
      reason: this.#reason,
      ...(this.#asked && { asked: true }),
      rssBytes: this.#host.rssBytes(),
      ...(this.#host.supervisor && { of: this.#host.supervisor }),
      ...noWork,
      ...account?.(),
    }
  }

  /** The orderly end: says so in Redis, so that what it still holds goes to others at once. */
  async leave(): Promise<void> {
    this.#left.abort()
    await this.#beating
    if (this.#state !== 'failed') this.to('stopped', this.#reason)
    const { store, keys, log } = this.#options
    try {
      const account = JSON.stringify(this.account())
      const leaves = this.#everywhere().map((base) =>
        store.call('leave', base, [this.id, base === keys.base ? account : '']),
      )
      await Promise.all(leaves)
    } catch (error) {
      log.warn('could not say goodbye; the lease will end', { error: messageOf(error) })
    }
  }

  async #keepBeating(): Promise<void> {
    const { clock } = this.#options
    for (let at = nextTick(clock.elapsed(), bounds.heartbeatMs); ; ) {
      await clock.sleep(Math.max(0, Math.ceil(at - clock.elapsed())), this.#left.signal)
      if (this.#left.signal.aborted) return
      // By the clock, not by the reply before: a slow Redis must not make the lease run out.
      at = nextTick(Math.max(at, clock.elapsed()), bounds.heartbeatMs)
      this.#host.noteAlive?.()
      await this.beatQuietly()
    }
  }

  async beatQuietly(): Promise<void> {
    try {
      await this.beat()
    } catch (error) {
      // While Redis is away nobody reads leases either; the connection says the outage itself.
      if (!isOutage(error)) this.#options.log.error('heartbeat', { error: causesOf(error) })
    }
  }
}

/** Starts an actor once Redis answers on all of its connections; it may go away again in between. */
export async function startWhenReady(
  life: Lifecycle,
  stores: Store[],
  clock: Clock,
): Promise<void> {
  await Promise.all(stores.map((store) => untilReady(store, undefined, clock)))
  await whenReady(stores[0]!, () => life.start(), clock)
}

/** Unique to one incarnation: a restarted actor is another consumer. */
export function newActorId(kind: string, clock: Clock): string {
  const chance = Math.floor(clock.random() * 36 ** 4)
  return `${kind}-${clock.now().toString(36)}${chance.toString(36).padStart(4, '0')}`
}
