/**
 * The children of one kind: their starts, their ends and how often they may die. Both the fleet of
 * executors and the single bridge and web process are wards of the supervisor in this sense.
 *
 *   may start? → start → announce … exit → in order, or dead: bury, count the crash → wake the loop
 *
 * Guarantees: a child that ended out of order is buried as soon as Redis answers, so that its entries
 * are free at once; one that is asked to end and does not is killed within a bounded time.
 */
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { messageOf } from '../actors/errors.ts'
import { handText, type InHand } from '../actors/executor/hand.ts'
import type { Log } from '../actors/log.ts'
import type { Actor } from '../actors/messages.ts'
import { isOutage } from '../actors/redis.ts'
import { accountOf, type Child, type Exit, exitReason, type Spawn } from './child.ts'
import { type Member, newMember, stages } from './member.ts'
import type { Register } from './register.ts'
import { type Crash, crashed, lived, mayStart, noCrashes, type RestartPolicy } from './restarts.ts'
import { recordsOf, stuckReason } from './stuck.ts'

export interface WardOptions {
  kind: Actor['kind']
  spawn: Spawn
  restarts: RestartPolicy
  register: Register
  clock: Clock
  log: Log
  /** Something changed: the main loop should look now. */
  wake: () => void
  /** How long a child that was asked to end has until SIGTERM, and as long again until SIGKILL. */
  graceMs?: number
  /** What else its death sets free, as soon as Redis answers. */
  release?: (id: string) => Promise<unknown>
  /** One that has work and stands still for longer than this is killed; see stalls.ts. */
  hungMs?: number
  /** A child that uses more than this is killed; without limit where it is absent. */
  memoryMaxBytes?: number | undefined
}

/**
 * A heartbeat is late by half; in time for what the child has in hand to be noted before its lease
 * (three heartbeats) ends and others take its entries.
 */
const LATE_MS = 1.5 * bounds.heartbeatMs

export class Ward {
  readonly members = new Map<string, Member>()
  /** Those that have ended since the last snapshot, in which they are at work still. */
  readonly ended = new Set<string>()
  readonly #options: WardOptions
  readonly #unburied = new Map<string, { account: Actor; inHand: InHand | null | undefined }>()
  readonly #endings = new Set<Promise<void>>()
  #restarts = noCrashes
  #markedFailed = false

  constructor(options: WardOptions) {
    this.#options = options
  }

  /** Why this kind is given up for now; null where it is not. */
  get failed(): string | null {
    return this.#restarts.failed
  }

  get kind(): Actor['kind'] {
    return this.#options.kind
  }

  get mayStart(): boolean {
    return mayStart(this.#restarts, this.#options.clock.now())
  }

  /** When the next start is allowed, from now on; 0 where it is. */
  get waitMs(): number {
    return Math.max(0, this.#restarts.readyAt - this.#options.clock.now())
  }

  live(): Member[] {
    return [...this.members.values()].filter(({ stage }) => stage === stages.live)
  }

  warm(): Member[] {
    return [...this.members.values()].filter(({ stage }) => stage === stages.warm)
  }

  /** Nobody is at work, nor is about to end. */
  get idle(): boolean {
    return this.members.size === this.warm().length
  }

  /** Starts one child; null where that failed, which counts as a crash. */
  start(): Child | null {
    const member = this.#spawn(stages.live)
    if (!member) return null
    // One that has yet to be placed somewhere announces itself when it begins.
    if (!member.child.elsewhere) this.#track(this.#announce(member.child))
    return member.child
  }

  /** Starts one that waits until `activate` lets it begin. */
  startWarm(): void {
    this.#spawn(stages.warm)
  }

  /** Lets one that is warm begin; false where there is none. */
  activate(): boolean {
    const member = this.warm().find(({ child }) => child.elsewhere?.hasBegun() ?? true)
    if (!member) return false
    const { clock, kind, log } = this.#options
    member.stage = stages.live
    member.stageAt = clock.elapsed()
    member.begun = true
    // Its life in the register begins now.
    member.child = { ...member.child, startedAt: clock.now() }
    log.info(`${kind} begins`, { id: member.child.id, pid: member.child.pid })
    this.#track(this.#letBegin(member))
    return true
  }

  /** Announced first, so that its own heartbeats come later. One that may not have heard is ended. */
  async #letBegin(member: Member): Promise<void> {
    const { register } = this.#options
    const announced = this.#announce(member.child)
    try {
      await register.send(member.child.id, { kind: 'begin' })
    } catch (error) {
      if (!isOutage(error)) throw error
      member.ending ??= 'it could not be let begin'
      this.#press(member, stages.killed)
    } finally {
      await announced
    }
  }

  #spawn(stage: 'live' | 'warm'): Member | null {
    const { spawn, kind, log } = this.#options
    const warm = stage === stages.warm
    let child: Child
    try {
      child = spawn(kind, warm)
    } catch (error) {
      const reason = messageOf(error)
      log.error(`${kind} could not be started`, { error: reason })
      this.#countCrash({ uptimeMs: 0, reason, refused: true })
      return null
    }
    log.info(`${kind} started`, { id: child.id, pid: child.pid, ...(warm ? { warm } : {}) })
    return this.#enrol(child, stage)
  }

  /** Takes one in that lives already: a supervisor before us had started it. */
  adopt(child: Child, waits: boolean): void {
    const { kind, log } = this.#options
    log.info(`${kind} adopted`, { id: child.id })
    this.#enrol(child, waits ? stages.warm : stages.live)
  }

  /** Lets those go on that live on without us; whoever leads next adopts them. */
  release(): void {
    for (const [id, { child }] of this.members) {
      if (!child.elsewhere) continue
      this.members.delete(id)
      child.elsewhere.release()
    }
  }

  #enrol(child: Child, stage: 'live' | 'warm'): Member {
    const warm = stage === stages.warm
    const member = newMember(child, stage, this.#options.clock.elapsed(), warm)
    this.members.set(child.id, member)
    this.#track(child.exited.then((exit) => this.#ended(member, exit)))
    return member
  }

  /** Asks a child to end: by `ask` (its mailbox) where given and Redis answers, else by SIGTERM. */
  async retire(member: Member, reason: string, ask?: () => Promise<void>): Promise<void> {
    if (member.stage !== stages.live && member.stage !== stages.warm) return
    member.ending = reason
    if (!ask || !member.begun) return this.#press(member, stages.terminated)
    this.#press(member, stages.asked)
    try {
      await ask()
    } catch (error) {
      if (!isOutage(error)) throw error
      this.#press(member, stages.terminated)
    }
  }

  /** What time does: presses on with those that do not end, forgives, kills what is stuck. */
  async tend(): Promise<void> {
    const { clock, restarts, register } = this.#options
    for (const id of this.ended) if (!register.isAtWork(id)) this.ended.delete(id)
    const now = clock.elapsed()
    const graceMs = this.#options.graceMs ?? bounds.drainGraceMs
    for (const member of this.members.values()) {
      const { stage, stageAt } = member
      if (stage === stages.asked && now - stageAt > graceMs) this.#press(member, stages.terminated)
      if (stage === stages.terminated && now - stageAt > graceMs) this.#press(member, stages.killed)
      if (stage === stages.live) this.#heedDrain(member)
      if (member.stage === stages.live) this.#killIfStuck(member)
      if (member.stage !== stages.killed) this.#killIfLarge(member)
      await this.#noteHandIfLate(member)
    }
    // On a busy machine a start alone takes seconds: who has not come to work has not lived at all.
    const atWork = this.live().filter(({ child }) => register.state(child.id) === 'running')
    const oldest = Math.min(...atWork.map(({ child }) => child.startedAt))
    if (oldest < Infinity) this.#restarts = lived(restarts, this.#restarts, clock.now() - oldest)
    await this.#bury()
    await this.#markFailed()
  }

  kill(): void {
    for (const member of this.members.values()) this.#press(member, stages.killed)
  }

  /** Resolves when every child has ended and its end is told; `tend` must go on meanwhile. */
  async settled(): Promise<void> {
    while (this.#endings.size > 0) await Promise.all(this.#endings)
  }

  #press(member: Member, stage: Member['stage']): void {
    if (member.stage === stage) return
    member.stage = stage
    member.stageAt = this.#options.clock.elapsed()
    if (stage === stages.terminated) member.child.signal('SIGTERM')
    if (stage === stages.killed) {
      // SIGTERM does not reach a stopped process; SIGKILL does.
      member.child.signal('SIGKILL')
      const { log, kind } = this.#options
      log.warn(`${kind} killed`, { id: member.child.id, reason: member.ending })
    }
  }

  /** One that somebody else asked to go is not here any more for the target, and goes as for us. */
  #heedDrain(member: Member): void {
    const { child } = member
    const reason =
      this.#options.register.drainReason(child.id) ?? child.elsewhere?.leaving() ?? null
    if (reason === null) return
    member.ending = reason
    this.#press(member, stages.asked)
  }

  #killIfStuck(member: Member): void {
    const { register, clock, hungMs = Infinity } = this.#options
    const reason = stuckReason(member, register, clock.now(), hungMs)
    if (reason === null) return
    member.ending = reason
    member.atFault = true
    this.#press(member, stages.killed)
  }

  #killIfLarge(member: Member): void {
    const { register, memoryMaxBytes = Infinity } = this.#options
    if (memoryMaxBytes === Infinity) return
    const { child } = member
    const bytes = child.residentBytes?.() ?? register.rssBytes(child.id)
    if (bytes <= memoryMaxBytes) return
    const [used, most] = [bytes, memoryMaxBytes].map((size) => Math.round(size / 2 ** 20))
    const inHand = recordsOf(child.inHand?.())
    member.ending = `over its memory bound: ${used} of ${most} MiB${inHand}`
    member.atFault = true
    this.#press(member, stages.killed)
  }

  /** One whose thread is held can't say itself what holds it. */
  async #noteHandIfLate(member: Member): Promise<void> {
    const { register } = this.#options
    const { child } = member
    if (register.beatAge(child.id) < LATE_MS) return
    const inHand = child.inHand?.()
    if (!inHand || handText(inHand) === member.noted) return
    try {
      await register.noteHand(child.id, inHand)
      member.noted = handText(inHand)
    } catch (error) {
      if (!isOutage(error)) throw error
    }
  }

  async #announce(child: Child): Promise<void> {
    try {
      await this.#options.register.announce(accountOf(child))
    } catch (error) {
      if (!isOutage(error)) throw error
    }
  }

  async #ended(member: Member, exit: Exit): Promise<void> {
    const { clock, kind, log, wake } = this.#options
    const { child } = member
    // Let go of: its end is another's to tell.
    if (!this.members.delete(child.id)) return
    this.ended.add(child.id)
    const last = member.begun ? await this.#lastAccount(child) : null
    const left = exit.code === 0 && last?.state !== 'failed' && (last?.state === 'stopped' || !last)
    if (!left) {
      const reason =
        member.ending && !member.atFault ? `${member.ending}; ${exitReason(kind, exit)}` : null
      // What we ended for no fault of its own casts no suspicion on what it had in hand.
      const innocent = member.stage === stages.killed && !member.atFault
      const inHand = innocent ? null : child.inHand?.()
      const told =
        reason ??
        (member.atFault ? member.ending! : `${exitReason(kind, exit)}${recordsOf(inHand)}`)
      const at = clock.now()
      const dead = { state: 'dead', at, reason: told } as const
      const account = { ...(last ?? accountOf(child)), ...accountEnd(dead) }
      if (member.begun) this.#unburied.set(child.id, { account, inHand })
      log.warn(`${kind} died`, { id: child.id, reason: told })
      const refused = exit.code !== null && exit.code > 0
      const worked = last !== null && last.state !== 'starting'
      const machine = child.elsewhere?.machine?.() ?? null
      const uptimeMs = worked ? at - child.startedAt : 0
      const oursMs = clock.elapsed() - member.since
      const crash = { uptimeMs, reason: told, refused, machine, oursMs }
      if (member.atFault || !member.ending) this.#countCrash(crash)
    } else {
      log.info(`${kind} left`, { id: child.id, reason: last?.reason ?? member.ending })
      // Nobody asked it to: one that leaves again and again must not be started without a pause.
      const uptimeMs = clock.now() - child.startedAt
      if (!member.ending && !last?.asked)
        this.#countCrash({ uptimeMs, reason: 'left unasked', refused: false })
    }
    await this.#bury()
    wake()
  }

  async #lastAccount(child: Child): Promise<Actor | null> {
    try {
      return await this.#options.register.read(child.id)
    } catch (error) {
      if (!isOutage(error)) throw error
      return null
    }
  }

  #countCrash(crash: Omit<Crash, 'at'>): void {
    const { clock, restarts, kind, log } = this.#options
    const before = this.#restarts
    const at = clock.now()
    this.#restarts = crashed(restarts, before, { at, ...crash }, clock.random())
    const { failed } = this.#restarts
    if (failed !== null) log.error(`${kind} failed: ${failed}`)
  }

  async #bury(): Promise<void> {
    for (const [id, { account, inHand }] of this.#unburied) {
      try {
        await this.#options.register.write(account, inHand)
        await this.#options.release?.(id)
        this.#unburied.delete(id)
      } catch (error) {
        if (!isOutage(error)) throw error
        return
      }
    }
  }

  /** Keeps the register's note of a kind that is given up, by which the status is degraded. */
  async #markFailed(): Promise<void> {
    const { register, kind, clock } = this.#options
    const { failed } = this.#restarts
    if ((failed !== null) === this.#markedFailed) return
    const at = clock.now()
    const nobody = { id: kind, kind, pid: 0, startedAt: at } as Child
    const account = accountOf(nobody)
    try {
      if (failed === null) await register.forget(kind)
      else await register.write({ ...account, state: 'failed', stoppedAt: at, reason: failed })
      this.#markedFailed = failed !== null
    } catch (error) {
      if (!isOutage(error)) throw error
    }
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => {
        this.#options.log.error('a child’s end could not be told', { error: messageOf(error) })
      })
      .finally(() => this.#endings.delete(tracked))
    this.#endings.add(tracked)
  }
}

const accountEnd = ({ state, at, reason }: { state: 'dead'; at: number; reason: string }) => ({
  state,
  at,
  stoppedAt: at,
  reason,
})
