/**
 * The supervisor's loop: measure → decide → act, a few times a second and at once when woken.
 *
 *   lease → snapshot → history → decision → executors, bridge, sinks, web → windows → cost → register
 *
 * Leads by a lease. While another leads it runs as many executors as that one wants on this machine
 * (places.ts), or stands by without children. What fails for Redis's sake holds everything as it is.
 * Shuts down in order: executors, bridge, sinks, web, lease.
 */
import { untilTick } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import type { Offer } from '../actors/messages.ts'
import { Attempts } from './attempts.ts'
import { backlogOf } from './backlog.ts'
import { advance } from './closing.ts'
import { beginControl, changedIn, type Limits, limitsOf } from './control.ts'
import { CostMeter } from './cost.ts'
import { decide } from './decide.ts'
import { recordDecision } from './decisions.ts'
import { ExecutorFleet, type Goal } from './fleet.ts'
import { emptyHistory, type History, observe, remember } from './history.ts'
import { fitted, withMoves } from './hosts.ts'
import { Judging } from './judging.ts'
import { Leadership, roles } from './leader.ts'
import { Loop } from './loop.ts'
import { Recorder } from './measurements.ts'
import type { Relative, SupervisorOptions } from './options.ts'
import { type Placed, Places } from './places.ts'
import { type Decision, reasons } from './reasons.ts'
import { Register } from './register.ts'
import { Relatives } from './relatives.ts'
import { executorRestarts } from './restarts.ts'
import { FleetView } from './view.ts'
import type { Ward } from './ward.ts'

const times = {
  tickMs: 250,
  /** With nothing to do: a wake ends it at once. */
  idleTickMs: 1_000,
  /** Wakes do not make looks follow each other closer than this. */
  leastMs: 25,
  sweepMs: 2_000,
} as const

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #leadership: Leadership
  readonly #register: Register
  readonly #recorder: Recorder
  readonly #fleet: ExecutorFleet
  readonly #relatives: Relatives
  /** Null where executors are none of this machine's. */
  readonly #places: Places | null
  readonly #view: FleetView
  readonly #attempts: Attempts
  readonly #judging: Judging
  readonly #loop: Loop
  readonly #cost: CostMeter
  #history: History = emptyHistory
  #limits: Limits
  #target = 0
  #took = false
  #standby = false
  #degraded = ''
  #limited = false
  #ledgerKnown = false
  /** The control hash as it was when this one had its say, or first saw it. */
  #begunWith: Snapshot['control'] | null = null
  #sweptAt = 0
  #quiet = false
  /** A shadow's sinks are held back. */
  #shadow = false

  constructor(options: SupervisorOptions) {
    const { store, keys, id, clock, log, pulse, spawn, limits, job } = options
    this.#options = options
    this.#limits = { ...limits, paused: false }
    this.#leadership = new Leadership(store, keys, id, clock)
    this.#register = new Register(store, keys, clock)
    this.#recorder = new Recorder(store, keys, clock)
    this.#loop = new Loop(id, store, keys, clock)
    this.#cost = new CostMeter(store, keys, options.pricePerHour)
    const shared = { spawn, register: this.#register, clock, log, wake: () => pulse.wake() }
    this.#fleet = new ExecutorFleet({
      ...shared,
      restarts: executorRestarts,
      memoryMaxBytes: options.executorMemoryMaxBytes,
      hungMs: (job.work ? job.workTimeoutMs : 0) + bounds.hungMarginMs,
      warm: options.warm ?? 0,
      foundlings: options.foundlings,
      scales: options.scales ?? true,
    })
    this.#relatives = new Relatives(shared, { store, keys })
    const { machine, code = null } = options
    const parts = { id, machine: machine!, code, store, keys, log }
    this.#places = machine ? new Places(parts, this.#fleet) : null
    this.#view = new FleetView(this.#fleet, this.#places, options)
    this.#attempts = new Attempts(log)
    this.#judging = new Judging({ store, keys, log, code })
  }

  /** What the heartbeat tells of this machine. */
  get offer(): Offer | undefined {
    return this.#places?.offer()
  }

  /** Whether the bridge has begun: a ledger was seen. */
  get ledgerKnown(): boolean {
    return this.#ledgerKnown
  }

  /** Runs until the signal, then ends the family in order. */
  async run(signal: AbortSignal): Promise<void> {
    const { pulse } = this.#options
    signal.addEventListener('abort', () => pulse.wake())
    while (!signal.aborted) {
      await this.look()
      if (signal.aborted) break
      const ms = this.#pauseMs()
      this.#loop.pauses(Math.max(ms, times.leastMs))
      await pulse.pause(ms, times.leastMs)
    }
    await this.#shutDown()
  }

  /** One look: everything that is to be done now. */
  async look(): Promise<void> {
    this.#loop.begins()
    this.#options.pulse.begins()
    const asked = await this.#leadership.look()
    const snapshot = asked === roles.unknown ? null : await this.#measure()
    this.#loop.measured(snapshot !== null)
    const role = snapshot ? this.#leadership.heed(snapshot.leader) : asked
    this.#register.observe(snapshot)
    if (snapshot) this.#heed(snapshot)
    this.#begunWith ??= snapshot?.control ?? null
    this.#ledgerKnown ||= snapshot?.begun === true
    switch (role) {
      case roles.leading:
        return this.#lead(snapshot)
      case roles.standby:
        return this.#standBy(snapshot)
      case roles.unknown:
        // Nobody can say who leads: children go on, and those that are to end are pressed on.
        return this.#act(null, this.#goal, 'unknown')
      default:
        return role satisfies never
    }
  }

  #heed({ version }: Snapshot): void {
    this.#shadow = version?.stage === 'shadow'
    const over = version?.stage === 'ending' || version?.stage === 'replaced'
    if (over) this.#options.onReplaced?.(version.by ?? 'another')
  }

  /** Ends every child at once; what they had in hand is redelivered. */
  kill(): void {
    for (const ward of this.#wards()) ward.kill()
  }

  async #lead(snapshot: Snapshot | null): Promise<void> {
    if (!this.#took) {
      if (snapshot) await this.#attempts.attempt('take over', () => this.#takeOver(snapshot))
      // What was written to the control hash just now is not in this snapshot.
      if (this.#took) this.#options.pulse.wake()
      return
    }
    const decided = await this.#decide(snapshot)
    const { decision, goal, moved } = await this.#place(snapshot, decided)
    await this.#act(goal && snapshot, goal ?? this.#goal, decision.sentence)
    const changes = decision.to !== decision.from
    // That more would bring nothing, or have no place, is worth telling once, though nothing changes.
    const bounded = decided.reason === reasons.limit || decided.reason === reasons.hosts
    const limited = bounded && !this.#limited
    this.#limited = bounded
    if (changes || limited || moved) await this.#tell(decision)
    await this.#tellDegraded(decision)
    if (!snapshot) return
    const { store, keys, job, tenancy } = this.#options
    await this.#attempts.attempt('look to quotas', async () =>
      tenancy?.look(snapshot, this.#limits),
    )
    await this.#attempts.attempt('close windows', () => advance(store, keys, job))
    await this.#attempts.attempt('note the code', () => this.#judging.note(snapshot))
    const { begun } = this.#loop
    await this.#attempts.attempt('count the cost', () =>
      this.#cost.count(begun, snapshot, this.#limits.max),
    )
    await this.#attempts.attempt('record what was measured', () =>
      this.#record(snapshot, decision.at),
    )
    await this.#attempts.attempt('sweep the register', () => this.#sweep(snapshot))
    const members = this.#fleet.living(snapshot).flatMap(({ actor }) => actor ?? [])
    await this.#attempts.attempt('tell of the loop', () => this.#loop.ends(snapshot, members))
  }

  async #takeOver(snapshot: Snapshot): Promise<void> {
    const { store, keys, limits, tenancy, log, id } = this.#options
    const changed = changedIn(this.#begunWith ?? snapshot.control, snapshot.control)
    await beginControl(store, keys, limits, changed)
    await tenancy?.begin(changed)
    this.#begunWith = null
    await this.#cost.open(this.#loop.begun)
    this.#loop.takesOver()
    for (const kind of ['executor', 'bridge', 'sinks', 'web']) await this.#register.forget(kind)
    // Executors that somebody else started are already at work; ours of an earlier turn too.
    this.#target = this.#fleet.living(snapshot).length
    this.#history = emptyHistory
    this.#view.meet(snapshot)
    this.#took = true
    this.#judging.takesOver()
    this.#standby = false
    log.info('leading', { id, job: this.#options.job.name, topic: this.#options.job.topic })
  }

  async #decide(snapshot: Snapshot | null): Promise<Decision> {
    const now = this.#options.clock.now()
    this.#view.look(snapshot)
    if (snapshot) this.#limits = limitsOf(snapshot.control, this.#limits)
    const fleet = this.#view.of(snapshot, this.#target, this.#limits)
    if (snapshot) this.#view.meet(snapshot)
    this.#history = observe(this.#history, fleet, backlogOf(snapshot, now))
    const wanted = decide(this.#limits.policy, fleet, this.#history, now)
    const present = snapshot && this.#fleet.present(snapshot)
    const possible = fitted(wanted, this.#view.takenMax)
    const decision = (await this.#options.tenancy?.fit(possible, present)) ?? possible
    this.#history = remember(this.#history, decision)
    this.#loop.decided(decision, snapshot !== null)
    this.#target = decision.to
    this.#options.pulse.heed(this.#target === 0)
    const backlog = this.#history.moments.at(-1)
    this.#quiet = this.#target === 0 && backlog?.known === true && backlog.backlog === 0
    return decision
  }

  /** What is wanted of all executors, wherever they are. */
  get #goal(): Goal {
    const { tenancy } = this.#options
    return {
      target: this.#target,
      max: Math.min(this.#limits.max, tenancy?.executorsMax ?? Infinity),
    }
  }

  /** What of it is wanted here, null where nobody can say now; and the decision with what it moves where. */
  async #place(snapshot: Snapshot | null, decision: Decision) {
    const places = this.#places
    if (!places) return { decision, goal: this.#goal, moved: false }
    const { target, max } = this.#goal
    let placed: Placed | null = null
    await this.#attempts.attempt('place executors', async () => {
      placed = snapshot && (await places.lead(snapshot, target, max))
    })
    const { goal = null, told = '' } = (placed ?? {}) as Partial<Placed>
    return { ...withMoves(decision, told), goal }
  }

  async #act(snapshot: Snapshot | null, goal: Goal, reason: string): Promise<void> {
    const { web, job, without } = this.#options
    await this.#fleet.reconcile(snapshot, goal, reason)
    const isOurs: Record<Relative, boolean> = {
      bridge: true,
      sinks: job.sinks.length > 0 && !this.#shadow,
      web,
    }
    await this.#relatives.tend((name) => this.#took && isOurs[name] && !without?.has(name))
  }

  /** Another leads: our children go in order, but executors that it wants here. */
  async #standBy(snapshot: Snapshot | null): Promise<void> {
    if (!this.#standby) {
      const { log } = this.#options
      const part = this.#places?.part(snapshot) ?? 'standing by'
      log.info(`another supervisor leads; ${part}`, { leader: this.#leadership.holder })
    }
    this.#standby = true
    this.#took = false
    this.#target = 0
    // The lease may end at any moment, and nobody wakes us then.
    this.#quiet = false
    this.#options.pulse.heed(false)
    this.#fleet.ward.release()
    const reason = 'another supervisor leads'
    if (!this.#places?.takes) {
      await this.#retire(reason)
      return
    }
    await this.#attempts.attempt('run executors for the leader', async () => {
      const goal = snapshot && (await this.#places!.follow(snapshot))
      await this.#fleet.reconcile(
        goal && snapshot,
        goal ?? this.#goal,
        'the leader wants fewer here',
      )
    })
    await this.#relatives.retire(reason)
  }

  async #tell(decision: Decision): Promise<void> {
    const { store, keys, log, onDecision } = this.#options
    log.info(decision.sentence, { reason: decision.reason })
    onDecision?.(decision)
    await this.#attempts.attempt('record a decision', async () => {
      this.#loop.recorded(decision, await recordDecision(store, keys, decision))
    })
  }

  /** A kind that was given up, or a server that keeps no promise, is worth a decision of its own. */
  async #tellDegraded(decision: Decision): Promise<void> {
    const failed = this.#wards().flatMap(({ kind, failed }) =>
      failed === null ? [] : [`the ${kind} failed: ${failed}`],
    )
    const complaint = this.#options.complaint?.() ?? null
    const degraded = [...failed, ...(complaint === null ? [] : [complaint])].join('; ')
    if (degraded === this.#degraded) return
    this.#degraded = degraded
    if (degraded === '') return
    const { to, inputs, at } = decision
    const sentence = `the job is degraded: ${degraded}`
    await this.#tell({ at, from: to, to, reason: reasons.degraded, sentence, inputs })
  }

  #record(snapshot: Snapshot, at: number): Promise<void> {
    const { policy } = this.#limits
    const fleet = this.#view.of(snapshot, this.#target, this.#limits)
    return this.#recorder.record(backlogOf(snapshot, at), fleet, policy, snapshot)
  }

  async #sweep(snapshot: Snapshot): Promise<void> {
    const now = this.#options.clock.elapsed()
    if (now - this.#sweptAt < times.sweepMs) return
    this.#sweptAt = now
    const isOurs = (id: string) =>
      id === this.#options.id || this.#wards().some((ward) => ward.members.has(id))
    await this.#register.sweep(snapshot, isOurs)
  }

  #pauseMs(): number {
    const idle = this.#quiet && this.#fleet.ward.idle
    const waits = this.#wards().flatMap(({ waitMs }) => (waitMs > 0 ? [waitMs + 1] : []))
    const { idleTickMs, tickMs } = times
    return Math.min(idle ? untilTick(this.#options.clock, idleTickMs) : tickMs, ...waits)
  }

  async #measure(): Promise<Snapshot | null> {
    const { store, keys } = this.#options
    let snapshot: Snapshot | null = null
    this.#loop.measures()
    await this.#attempts.attempt('measure', async () => {
      snapshot = await measure(store, keys)
    })
    return snapshot
  }

  /** Ends the children in order, a step at a time; true when none is left. */
  async #retire(reason: string): Promise<boolean> {
    await this.#fleet.drainOwn(reason)
    await this.#fleet.ward.tend()
    if (this.#fleet.ward.members.size > 0) return false
    return this.#relatives.retire(reason)
  }

  async #shutDown(): Promise<void> {
    const { log, pulse } = this.#options
    await this.#handOver()
    log.info('ending: executors, then bridge, then sinks, then web')
    while (!(await this.#retire('the supervisor ends'))) await pulse.pause(50)
    for (const ward of this.#wards()) await ward.settled()
    if (this.#took) await this.#attempts.attempt('count the cost', () => this.#countLast())
    if (this.#took)
      await this.#attempts.attempt('leave', async () => this.#options.tenancy?.leave())
    await this.#attempts.attempt('resign', () => this.#leadership.resign())
  }

  /** Executors that can live without us go on, where another stands by to lead them. */
  async #handOver(): Promise<void> {
    if (!this.#options.foundlings) return
    const snapshot = await this.#measure()
    const isHeir = ({ id, kind, state, alive }: Snapshot['actors'][number]) =>
      kind === 'supervisor' && state === 'running' && alive && id !== this.#options.id
    if (snapshot?.actors.some(isHeir)) this.#fleet.ward.release()
  }

  /** What executors used while they ended; not where another leads by now and counts that itself. */
  async #countLast(): Promise<void> {
    const { id, clock } = this.#options
    const now = { elapsed: clock.elapsed(), now: clock.now() }
    const snapshot = await this.#measure()
    if (!snapshot || (snapshot.leader !== '' && snapshot.leader !== id)) return
    await this.#cost.count(now, snapshot, this.#limits.max, { last: true })
  }

  #wards(): Ward[] {
    return [this.#fleet.ward, ...this.#relatives.wards]
  }
}
