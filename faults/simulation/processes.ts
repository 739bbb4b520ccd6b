/**
 * Simulated processes. Killed: nothing that it waits for ever comes, but what it has sent may still
 * arrive. Stopped: what happens to it is kept, and comes when it goes on: a zombie. A child whose
 * parent is gone is told, as by IPC's `disconnect`.
 *
 *   start → (running ⇄ stopped) → ended: by its own exit code, by a signal
 */
import { type Clock, steady } from '../../actors/clock.ts'
import { messageOf } from '../../actors/errors.ts'
import type { Hand, InHand } from '../../actors/executor/hand.ts'
import type { Entry } from '../../actors/executor/inbox.ts'
import type { Host } from '../../actors/host.ts'
import type { Log } from '../../actors/log.ts'
import type { Actor } from '../../actors/messages.ts'
import type { Child, Exit } from '../../supervisor/child.ts'
import type { Chance } from './chance.ts'
import type { Event, Owner, Time } from './time.ts'
import type { Trace } from './trace.ts'

/** When worlds begin; epoch ms. */
export const EPOCH = 1_800_000_000_000

/** What actors/executor/hand.ts keeps in a file. */
class SimHand implements Pick<Hand, 'only' | 'add' | 'clear'> {
  held: InHand | null = null

  only({ id, partition }: Entry, offset: number): void {
    this.held = { entry: id, partition, offsets: [offset] }
  }

  add(entry: Entry, offset: number): void {
    if (this.held?.entry === entry.id) this.held.offsets.push(offset)
    else this.only(entry, offset)
  }

  clear(): void {
    this.held = null
  }
}

export interface Surroundings {
  time: Time
  trace: Trace
  chance: Chance
  /** Told when a process has ended, however. */
  onEnd: (process: Process, exit: Exit) => void
}

export class Process implements Owner {
  readonly pid: number
  readonly kind: Actor['kind']
  readonly name: string
  readonly parent: Process | null
  readonly startedUs: number
  alive = true
  stopped = false
  /** How far its wall clock is off; ms. */
  skewMs = 0
  /** Asked to end by anybody; such a one no longer counts as part of a fleet. */
  asked = false
  /** What an executor notes of the records in its hand; outlives it. */
  readonly hand = new SimHand()
  /** Called when the process's sockets close with it. */
  readonly closers: (() => void)[] = []
  readonly clock: Clock
  readonly host: Host
  readonly log: Log
  readonly chance: Chance
  readonly #world: Surroundings
  readonly #kept: Event[] = []
  readonly #onAsked: ((reason: string) => void)[] = []
  readonly #watchers: ((exit: Exit) => void)[] = []
  #orphaned = false

  constructor(
    world: Surroundings,
    kind: Actor['kind'],
    name: string,
    pid: number,
    parent: Process | null,
  ) {
    this.#world = world
    this.kind = kind
    this.name = name
    this.pid = pid
    this.parent = parent
    this.startedUs = world.time.nowUs
    this.chance = world.chance.branch()
    this.clock = this.#createClock()
    this.host = this.#createHost()
    this.log = this.#createLog()
    // One that was killed runs to the end of its event, and may start somebody in that.
    if (parent && !parent.alive) this.#orphan()
    else parent?.closers.push(() => this.#orphan())
  }

  /** Runs a process's main function some time after it was started. */
  run(startMs: number, main: () => Promise<void>): void {
    this.after(startMs, () => {
      main().then(
        () => this.end({ code: 0, signal: null, lastLine: '' }),
        (error: unknown) => {
          const lastLine = `${this.kind}: ${messageOf(error)}`
          const stack = error instanceof Error ? (error.stack ?? '') : ''
          this.#world.trace.say(`${this.name} failed: ${lastLine}`)
          this.end({ code: 1, signal: null, lastLine }, stack)
        },
      )
    })
  }

  after(ms: number, act: () => void): Event {
    return this.#world.time.after(ms, this, act)
  }

  take(event: Event): 'now' | 'kept' | 'dropped' {
    if (!this.alive) return 'dropped'
    if (!this.stopped) return 'now'
    this.#kept.push(event)
    return 'kept'
  }

  kill(): void {
    this.end({ code: null, signal: 'SIGKILL', lastLine: '' })
  }

  stop(): void {
    this.stopped = true
  }

  /** What was kept comes now, one after the other, as if it had waited in the kernel. */
  resume(): void {
    if (!this.stopped) return
    this.stopped = false
    const kept = this.#kept.splice(0)
    for (const event of kept) {
      const { act } = event
      if (act) this.after(0, act)
    }
  }

  /** SIGTERM: reaches a stopped process when it goes on; ends one that does not listen yet. */
  terminate(): void {
    this.after(0.1, () => {
      if (this.#onAsked.length === 0) this.end({ code: null, signal: 'SIGTERM', lastLine: '' })
      else this.#ask('asked to end (SIGTERM)')
    })
  }

  end(exit: Exit, stack = ''): void {
    if (!this.alive) return
    this.alive = false
    this.stopped = false
    this.#kept.length = 0
    this.lastWords = stack
    for (const close of this.closers.splice(0)) close()
    this.#world.onEnd(this, exit)
    for (const watch of this.#watchers.splice(0)) watch(exit)
  }

  /** Stack of the error that ended it. */
  lastWords = ''

  /** As its parent sees it. */
  asChild(parent: Process, id: string): Child {
    const exited = new Promise<Exit>((resolve) => {
      this.#watchers.push((exit) => void parent.after(1, () => resolve(exit)))
    })
    const signal = (name: 'SIGTERM' | 'SIGKILL') => {
      this.#world.trace.say(`${name} to ${this.name}`)
      this.asked = true
      if (name === 'SIGKILL') this.kill()
      else this.terminate()
    }
    const { pid, kind } = this
    const inHand = () => this.hand.held
    return { id, kind, pid, startedAt: parent.clock.now(), exited, signal, inHand }
  }

  #orphan(): void {
    this.#orphaned = true
    this.after(1, () => this.#ask('the supervisor is gone'))
  }

  #ask(reason: string): void {
    this.asked = true
    for (const end of this.#onAsked) end(reason)
  }

  #createClock(): Clock {
    const { time } = this.#world
    const elapsed = () => (time.nowUs - this.startedUs) / 1_000
    return {
      now: steady(() => EPOCH + Math.floor(time.nowUs / 1_000) + this.skewMs, elapsed),
      elapsed,
      random: this.chance.next,
      sleep: (ms, signal) => this.#sleep(ms, signal),
      turn: () => new Promise((resolve) => void this.after(0.001, resolve)),
    }
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const event = this.after(ms, () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
      const stop = () => {
        event.act = null
        resolve()
      }
      signal?.addEventListener('abort', stop, { once: true })
    })
  }

  #createHost(): Host {
    return {
      pid: this.pid,
      name: 'simulated',
      cores: 4,
      rssBytes: () => 50_000_000,
      cpuMs: () => 0,
      onAsked: (end) => {
        this.#onAsked.push(end)
        // Bun tells it also when the parent was gone before anybody listened.
        if (this.#orphaned) this.after(0.1, () => this.#ask('the supervisor is gone'))
      },
    }
  }

  #createLog(): Log {
    const say = (level: string) => (event: string) => {
      this.#world.trace.say(`${this.name} ${level}: ${event}`)
    }
    return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  }
}
