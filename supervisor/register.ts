/**
 * The register of actors in Redis, as the leader keeps it: who died is written down as dead, who
 * failed for good as failed, and the dead are forgotten after a while.
 */
import * as v from 'valibot'
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { handText, type InHand } from '../actors/executor/hand.ts'
import type { Keys } from '../actors/keys.ts'
import type { Snapshot } from '../actors/measure.ts'
import { type Actor, actorSchema, type Message } from '../actors/messages.ts'
import type { Store } from '../actors/redis.ts'
import { shardOf } from '../actors/shards.ts'
import { type Stalls, stallsAfter } from './stalls.ts'
import { forget } from './tallies.ts'

type Known = Snapshot['actors'][number]

/** Messages that a mailbox keeps. */
const mailboxKept = 16

/** A process may need so long from its birth to its first heartbeat, on a machine that is busy. */
export const birthMs = 20_000

/** Silent for so long in snapshots that did arrive: an outage ends every lease, and is no death. */
const silenceMs = 2_500

export class Register {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  /** Actor → since when its lease is seen to be over. */
  readonly #silent = new Map<string, number>()
  /** Actor → since when it is seen to start: its own clock may be another machine's. */
  readonly #births = new Map<string, number>()
  /** When the last snapshot came, by the monotonic clock; -Infinity before the first. */
  seenAt = -Infinity
  #stalls: Stalls = new Map()
  /** Actors of the last snapshot. */
  #known: ReadonlyMap<string, Known> = new Map()

  constructor(store: Store, keys: Keys, clock: Clock) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
  }

  /** Looks at a snapshot; one that failed says nothing of anybody's silence. */
  observe(snapshot: Snapshot | null): void {
    if (snapshot) {
      this.#known = new Map(snapshot.actors.map((actor) => [actor.id, actor]))
      this.seenAt = this.#clock.elapsed()
    }
    this.#stalls = stallsAfter(this.#stalls, snapshot, this.#clock.elapsed())
    const silent = snapshot?.actors.filter((actor) => isSilent(actor, this.#startsFor(actor))) ?? []
    if (snapshot)
      for (const id of this.#births.keys()) if (!this.#known.has(id)) this.#births.delete(id)
    const ids = new Set(silent.map(({ id }) => id))
    for (const id of this.#silent.keys()) if (!ids.has(id)) this.#silent.delete(id)
    for (const id of ids) if (!this.#silent.has(id)) this.#silent.set(id, this.#clock.elapsed())
  }

  /** How long it has been seen to start; ms. */
  #startsFor({ id, state }: Known): number {
    const now = this.#clock.elapsed()
    if (state !== 'starting') {
      this.#births.delete(id)
      return 0
    }
    if (!this.#births.has(id)) this.#births.set(id, now)
    return now - this.#births.get(id)!
  }

  /** How long an actor that says it is at work has been without a lease; ms. */
  silentFor(id: string): number {
    const since = this.#silent.get(id)
    return since === undefined ? 0 : this.#clock.elapsed() - since
  }

  /** How long an executor with work has not moved on with it, by its own heartbeats; ms. */
  stalledFor(id: string): number {
    return this.#stalls.get(id)?.ms ?? 0
  }

  /** Whether the last snapshot had heard of it. */
  isKnown(id: string): boolean {
    return this.#known.has(id)
  }

  /** What the last snapshot had heard of it; null for nothing. */
  state(id: string): Actor['state'] | null {
    return this.#known.get(id)?.state ?? null
  }

  /** Whether it was at work in the last snapshot. */
  isAtWork(id: string): boolean {
    const actor = this.#known.get(id)
    return actor !== undefined && isAtWork(actor)
  }

  /** Why it is about to go, where a message asked it to, whoever sent that; null where none did. */
  drainReason(id: string): string | null {
    const actor = this.#known.get(id)
    return actor?.asked && actor.state === 'draining' ? (actor.reason ?? 'asked to go') : null
  }

  /** How old the last heartbeat of one of our own machine is, in ms; 0 where none is known. */
  beatAge(id: string): number {
    const at = this.#known.get(id)?.at
    return at === undefined ? 0 : this.#clock.now() - at
  }

  /** The memory that an actor last said it uses. */
  rssBytes(id: string): number {
    return this.#known.get(id)?.rssBytes ?? 0
  }

  /** Writes down as dead who fell silent and is nobody's child here, and forgets the long dead. */
  async sweep(snapshot: Snapshot, isOurs: (id: string) => boolean): Promise<void> {
    for (const actor of snapshot.actors) {
      if (isOurs(actor.id) || this.silentFor(actor.id) < silenceMs) continue
      const at = this.#clock.now()
      const reason = 'its heartbeats stopped'
      await this.write({ ...actor, state: 'dead', at, stoppedAt: at, reason })
    }
    const old = forgotten(snapshot.actors, this.#clock.now())
    for (const actor of old) await forget(this.#store, this.#keys, actor)
  }

  /**
   * The last account of an actor that has ended: its lease and its mailbox go with it. What it had
   * in hand is told where it is known.
   */
  async write(account: Actor, inHand?: InHand | null): Promise<void> {
    const { id, kind } = account
    const text = JSON.stringify(withoutAlive(account))
    const { base, shards } = this.#keys
    const held = kind === 'executor' ? shards : shards.slice(0, 1)
    const burials = held.map((shard) => {
      const said = shard.base === base ? text : ''
      return this.#store.call('bury', shard.base, [id, said, ...this.#handIn(shard, inHand)])
    })
    await Promise.all(burials)
  }

  /** Of what was in hand that is in this shard; nothing where that is not known. */
  #handIn(shard: Keys, inHand: InHand | null | undefined): string[] {
    if (inHand === undefined) return []
    const isThere = inHand && shardOf(this.#keys, inHand.partition).base === shard.base
    return [handText(isThere ? inHand : null)]
  }

  /** What an actor has in hand that may be about to be taken for dead. */
  async noteHand(id: string, { entry, partition, offsets }: InHand): Promise<void> {
    const { base } = shardOf(this.#keys, partition)
    await this.#store.call('mark', base, [id, entry, offsets.join(',')])
  }

  /** The first account of a child, so that it is seen from its first moment on. */
  async announce(account: Actor): Promise<void> {
    const args = [account.id, JSON.stringify(account), bounds.leaseMs]
    await this.#store.call('beat', this.#keys.base, args)
  }

  async forget(id: string): Promise<void> {
    await this.#store.redis.hdel(this.#keys.actors, id)
  }

  async send(id: string, message: Message, { mailbox }: Keys = this.#keys): Promise<void> {
    const text = JSON.stringify(message)
    await this.#store.redis.xadd(mailbox(id), 'MAXLEN', mailboxKept, '*', 'm', text)
  }

  /** Asks executors to take over what nobody holds any more, in whichever shard that is. */
  async handOn(ids: readonly string[]): Promise<void> {
    for (const shard of this.#keys.shards) {
      for (const id of ids) await this.send(id, { kind: 'claim' }, shard)
    }
  }

  /** What an actor last said of itself; null where it never did. */
  async read(id: string): Promise<Actor | null> {
    const text = await this.#store.redis.hget(this.#keys.actors, id)
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), actorSchema), text)
    return parsed.success ? parsed.output : null
  }
}

export const isAtWork = ({ state }: Pick<Actor, 'state'>): boolean =>
  state === 'starting' || state === 'running' || state === 'draining'

/** Without a lease though it says that it is at work; who was just born has not spoken yet. */
const isSilent = (actor: Known, startsForMs: number): boolean =>
  isAtWork(actor) && !actor.alive && !(actor.state === 'starting' && startsForMs < birthMs)

/** The dead beyond the number and the age that are kept. Pure. */
export function forgotten(actors: readonly Known[], now: number): Known[] {
  return actors
    .filter((actor) => !actor.alive && (actor.state === 'stopped' || actor.state === 'dead'))
    .sort((a, b) => (b.stoppedAt ?? b.at) - (a.stoppedAt ?? a.at))
    .filter(
      (actor, place) =>
        place >= bounds.deadActorsKept ||
        now - (actor.stoppedAt ?? actor.at) > bounds.deadActorsKeptMs,
    )
}

function withoutAlive(account: Actor & { alive?: boolean }): Actor {
  const { alive, ...rest } = account
  return alive === undefined ? account : rest
}
