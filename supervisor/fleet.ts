/**
 * Act: brings the executors from what is to what was decided. Level-triggered: each look compares
 * the living with the target, so that a lost event costs one look and no more.
 *
 *   snapshot, target → here → start children, or let warm ones begin · drain by mailbox · hand
 *                             orphaned entries on
 *
 * Executors that were started elsewhere (`bun run executor`) count and can be drained; they are
 * never signalled. Guarantees: a drained executor loses nothing; nobody waits for it without bound.
 */
import type { Snapshot } from '../actors/measure.ts'
import { isOutage } from '../actors/redis.ts'
import { isAtWork, type Register } from './register.ts'
import type { Foundlings } from './child.ts'
import type { Member } from './member.ts'
import { Ward, type WardOptions } from './ward.ts'

type Known = Snapshot['actors'][number]

/** One that may take records: ours, or one that was started elsewhere. */
interface Living {
  id: string
  member: Member | null
  actor: Known | null
  startedAt: number
}

/** What a fleet is to come to. */
export interface Goal {
  target: number
  /** Executors that there may be, those that are about to end included. */
  max: number
  /** Whether an executor that is no child of ours is another host's to see to; none is by default. */
  isTheirs?: (actor: Known) => boolean
}

export interface FleetOptions extends Omit<WardOptions, 'kind'> {
  /**
   * Processes kept beside the executors that are loaded and connected, and wait: one that is needed
   * begins at once. They hold memory and nothing else. Default 0.
   */
  warm?: number
  /** Where executors live that outlive their supervisor, and are found again; nowhere by default. */
  foundlings?: Foundlings | undefined
  /** Whether it starts and drains; false where another scales, and we only measure. Default true. */
  scales?: boolean
}

/** Starting a process takes a processor for a moment: not while those that are needed start. */
const calmMs = 2_000

/** A stranger that was asked to go counts as gone for so long; then it is asked again. */
const askedMs = 15_000

export class ExecutorFleet {
  readonly ward: Ward
  readonly #register: Register
  readonly #clock: WardOptions['clock']
  /** Strangers that were asked to drain, and when. */
  readonly #asked = new Map<string, number>()

  readonly #warm: number
  readonly #foundlings: Foundlings | undefined
  readonly #scales: boolean
  #grewAt: number

  constructor({ warm = 0, foundlings, scales = true, ...options }: FleetOptions) {
    this.#warm = warm
    this.#foundlings = foundlings
    this.#scales = scales
    this.#grewAt = options.clock.elapsed()
    this.ward = new Ward({ ...options, kind: 'executor' })
    this.#register = options.register
    this.#clock = options.clock
  }

  /**
   * Does what is missing for `target`, and never has more than `max`; with a snapshot that failed only
   * what time does.
   */
  async reconcile(snapshot: Snapshot | null, goal: Goal, reason: string): Promise<void> {
    await this.ward.tend()
    if (!snapshot) return
    if (this.#scales) await this.#scale(snapshot, goal, reason)
    if (snapshot.orphaned > 0) await this.#handOn(snapshot, goal)
  }

  async #scale(snapshot: Snapshot, { target, max, isTheirs }: Goal, reason: string): Promise<void> {
    this.#forgetAsked(snapshot)
    this.#adopt()
    const living = this.living(snapshot, isTheirs)
    // Who drains is at work until it is gone: with it there must not be more than may be.
    const room = max - this.present(snapshot, isTheirs)
    for (let missing = Math.min(target - living.length, room); missing > 0; missing--) {
      if (!this.ward.mayStart) break
      if (!this.ward.activate()) this.ward.start()
      this.#grewAt = this.#clock.elapsed()
    }
    this.#keepWarm(living, target)
    const surplus = byLeastLoss(living).slice(0, Math.max(0, living.length - target))
    for (const one of surplus) await this.#drain(one, reason)
    if (surplus.length === 0) await this.#renew(living, target)
  }

  /** Those that a supervisor before us has left: they count, and are looked after, as our own. */
  #adopt(): void {
    for (const orphan of this.#foundlings?.orphans() ?? []) {
      const waits = orphan.warm && !this.#register.isKnown(orphan.id)
      this.ward.adopt(this.#foundlings!.adopt(orphan), waits)
    }
  }

  /** Those that are made as is no longer wanted go one at a time, the next when all are at work again. */
  async #renew(living: readonly Living[], target: number): Promise<void> {
    const isOutdated = ({ child }: Member) => child.elsewhere?.isOutdated() ?? false
    const outdated = this.ward.warm().find(isOutdated) ?? this.ward.live().find(isOutdated)
    if (!outdated) return
    const atWork = living.filter(({ actor }) => actor?.state === 'running').length
    const leaving = this.ward.members.size - this.ward.live().length - this.ward.warm().length
    if (leaving > 0 || atWork < target) return
    const { id, startedAt } = outdated.child
    const reason = 'executors are made otherwise by now'
    await this.#drain({ id, member: outdated, actor: null, startedAt }, reason)
  }

  /**
   * Those that count for the target: starting or running, and not asked to go. Of ours also one that
   * is silent: until it is killed for that it may speak again, and then there would be too many.
   */
  living(snapshot: Snapshot, isTheirs: Goal['isTheirs'] = nobody): Living[] {
    const known = new Map(snapshot.actors.map((actor) => [actor.id, actor]))
    const ours = this.ward.live().map((member) => ({
      id: member.child.id,
      member,
      actor: known.get(member.child.id) ?? null,
      startedAt: member.child.startedAt,
    }))
    const strangers = snapshot.actors
      .filter((actor) => actor.kind === 'executor' && actor.alive && isAtWork(actor))
      .filter(({ id, state }) => state !== 'draining' && !this.#asked.has(id))
      .filter((actor) => this.#isStranger(actor) && !isTheirs(actor))
      .map((actor) => ({ id: actor.id, member: null, actor, startedAt: actor.startedAt }))
    return [...ours, ...strangers]
  }

  /** Executors that are there, those that were asked to go included. */
  present({ actors }: Snapshot, isTheirs: Goal['isTheirs'] = nobody): number {
    const strangers = actors.filter(
      (actor) => actor.kind === 'executor' && actor.alive && isAtWork(actor),
    )
    const others = strangers.filter((actor) => this.#isStranger(actor) && !isTheirs(actor))
    return this.ward.members.size - this.ward.warm().length + others.length
  }

  /** When all that are needed are at work: one more that waits, where one is missing. */
  #keepWarm(living: readonly Living[], target: number): void {
    if (this.ward.warm().length >= this.#warm || !this.ward.mayStart) return
    const atWork = living.filter(({ actor }) => actor?.state === 'running').length
    const calm = this.#clock.elapsed() - this.#grewAt >= calmMs
    if (calm && atWork === target) this.ward.startWarm()
  }

  /** Asks all of our executors to go, by mailbox; those that are warm by a signal. */
  async drainOwn(reason: string): Promise<void> {
    for (const member of this.ward.warm()) await this.ward.retire(member, reason)
    for (const member of this.ward.live()) {
      await this.#drain({ id: member.child.id, member, actor: null, startedAt: 0 }, reason)
    }
  }

  async #drain({ id, member }: Living, reason: string): Promise<void> {
    const ask = () => this.#register.send(id, { kind: 'drain', reason })
    if (member) return this.ward.retire(member, reason, ask)
    await quietly(ask)
    this.#asked.set(id, this.#clock.elapsed())
  }

  /** Entries of the dead wait: whoever runs is told to take them. */
  async #handOn(snapshot: Snapshot, { isTheirs }: Goal): Promise<void> {
    const running = this.living(snapshot, isTheirs).filter(
      ({ actor }) => actor?.state === 'running',
    )
    await quietly(() => this.#register.handOn(running.map(({ id }) => id)))
  }

  #isStranger({ id }: Pick<Member['child'], 'id'>): boolean {
    return !this.ward.members.has(id) && !this.ward.ended.has(id)
  }

  #forgetAsked(snapshot: Snapshot): void {
    const alive = new Set(snapshot.actors.filter(({ alive }) => alive).map(({ id }) => id))
    for (const [id, at] of this.#asked) {
      if (!alive.has(id) || this.#clock.elapsed() - at > askedMs) this.#asked.delete(id)
    }
  }
}

const nobody = () => false

/** Whose going costs least comes first: no work yet, then the least busy, then the newest. */
function byLeastLoss(living: readonly Living[]): Living[] {
  const busy = ({ actor }: Living) => (actor?.state === 'running' ? (actor.busy ?? 0) : -1)
  return [...living].sort((a, b) => busy(a) - busy(b) || b.startedAt - a.startedAt)
}

/** An outage only delays: the next look finds the same thing to do. */
async function quietly(action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    if (!isOutage(error)) throw error
  }
}
