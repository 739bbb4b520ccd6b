/**
 * A job's executors on several hosts: each supervisor's part in that.
 *
 *   leader:  snapshot, how many in all → placement.ts → `place` in Redis → how many here
 *   others:  snapshot → the leader's word, if it is of who leads now → `occupy` → how many here
 *
 * Guarantees: a host starts only what it has set aside in Redis before, and all of them set aside no more than
 * there may be; the word of who does not lead any more is not followed, and without a word everything stays as
 * it is. Lives are told by leases, which are Redis's time: no clocks of two hosts are compared.
 */
import type { Keys } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import type { Snapshot } from '../actors/measure.ts'
import type { Offer } from '../actors/messages.ts'
import type { Store } from '../actors/redis.ts'
import type { ExecutorFleet, Goal } from './fleet.ts'
import {
  changesText,
  lostText,
  machineOf,
  type Own,
  type Peer,
  peersOf,
  roomsOf,
  type Word,
  wordOf,
} from './hosts.ts'
import { placement } from './placement.ts'

/** What a supervisor knows of its own machine. */
export interface Machine {
  name: string
  cores: number
  /** Executors that it takes at the most. */
  limit: number
  /** It takes them only while its supervisor leads. */
  standby: boolean
  idle: () => number | null
  memoryFreeBytes: () => number
}

export interface PlacesOptions {
  id: string
  machine: Machine
  /** Hash of the job's code. */
  code: string | null
  store: Store
  keys: Keys
  log: Log
}

/** What the leader's own fleet is to come to, and what was changed anywhere, for people; '' for nothing. */
export interface Placed {
  goal: Goal
  told: string
}

export class Places {
  readonly #options: PlacesOptions
  readonly #fleet: ExecutorFleet
  #leads = false
  #wanted: number | null = null

  constructor(options: PlacesOptions, fleet: ExecutorFleet) {
    this.#options = options
    this.#fleet = fleet
  }

  /** Whether this machine takes executors while another leads. */
  get takes(): boolean {
    return !this.#options.machine.standby
  }

  /** What this supervisor does while another leads, for people: a machine has executors of one of them only. */
  part(snapshot: Snapshot | null): string {
    const { actors = [], leader } = snapshot ?? {}
    const { name } = this.#options.machine
    const isOther = actors.every(({ id, host }) => id !== leader || host !== name)
    return this.takes && isOther ? 'executors run here as it wants' : 'standing by'
  }

  /** For the heartbeat; undefined while it takes none. */
  offer(): Offer | undefined {
    return this.#options.machine.standby && !this.#leads ? undefined : this.#offer()
  }

  #offer(): Offer {
    const { machine, code } = this.#options
    const { ward } = this.#fleet
    return {
      cores: machine.cores,
      idle: machine.idle(),
      memoryFreeBytes: machine.memoryFreeBytes(),
      // Where they can't live, others are to have them.
      limit: ward.failed === null ? machine.limit : Math.min(machine.limit, ward.members.size),
      executors: ward.live().length,
      code,
    }
  }

  /** What all hosts have for executors, those that were started by hand included. */
  survey(snapshot: Snapshot): { cores: number; room: number | null; places: number } {
    const peers = peersOf(snapshot, this.#own())
    const names = new Set(peers.map(({ name }) => name))
    const strangers = this.#fleet
      .living(snapshot, besides(peers))
      .flatMap(({ member, actor }) => (member ? [] : (actor ?? [])))
    const { cores, room } = machineOf(peers)
    // Where our own can't live is no news to who decides: the job is degraded by it.
    const limits = peers.flatMap(({ id, offer, unfit }) =>
      unfit === null ? [id === this.#options.id ? this.#options.machine.limit : offer.limit] : [],
    )
    const places = limits.reduce((sum, limit) => sum + limit, strangers.length)
    const elsewhere = strangers.filter(({ host }) => !names.has(host)).length
    return { cores: cores + elsewhere, room, places }
  }

  /** Says how many each host is to have; rejects on an outage. `max`: executors there may be in all. */
  async lead(snapshot: Snapshot, target: number, max: number): Promise<Placed> {
    this.#leads = true
    this.#wanted = null
    const own = this.#own()
    const peers = peersOf(snapshot, own)
    const word = wordOf(snapshot.hosts)
    if (peers.length === 1 && word.leader === '') return { goal: { target, max }, told: '' }
    const isTheirs = besides(peers)
    const strangers = {
      living: this.#fleet.living(snapshot, isTheirs).length - own.living,
      present: this.#fleet.present(snapshot, isTheirs) - own.present,
    }
    const room = Math.max(0, max - strangers.present)
    const given = word.leader === own.id ? word.want : new Map<string, number>()
    const rooms = roomsOf(peers, snapshot, given)
    const want = placement(rooms, Math.max(0, target - strangers.living), room)
    const changes = [lostText(word, peers, snapshot), changesText(peers, given, want)]
    const may = await this.#place(peers, { leader: own.id, room, want, held: word.held }, word)
    const wanted = (want.get(own.id) ?? 0) + strangers.living
    const goal = { target: Math.min(target, wanted), max: may + strangers.present, isTheirs }
    return { goal, told: changes.filter((text) => text !== '').join('; ') }
  }

  /** Writes what differs from what is there, and gives how many our own host may have now. */
  async #place(peers: readonly Peer[], next: Word, before: Word): Promise<number> {
    const { store, keys, id } = this.#options
    const want = (peer: Peer) => next.want.get(peer.id) ?? 0
    const [own, ...others] = peers
    const isSaid =
      before.leader === id &&
      before.room === next.room &&
      before.want.size === peers.length &&
      peers.every((peer) => before.want.get(peer.id) === want(peer)) &&
      others.every((peer) => (before.held.get(peer.id) ?? 0) >= peer.present) &&
      before.held.get(id) === Math.max(own!.present, want(own!))
    if (isSaid) return want(own!)
    const numbers = peers.flatMap((peer) => [peer.id, want(peer), peer.present])
    const reply = Number(await store.call('place', keys.base, [id, next.room, ...numbers]))
    return reply < 0 ? 0 : reply
  }

  /** What our host is to have by the word of who leads; null where nobody says: it keeps what it has. */
  async follow(snapshot: Snapshot): Promise<Goal | null> {
    this.#leads = false
    const { store, keys, id, log } = this.#options
    const word = wordOf(snapshot.hosts)
    const target = word.want.get(id)
    if (target === undefined) return null
    if (word.leader !== snapshot.leader) return null
    if (target !== (this.#wanted ?? 0)) {
      log.info('the leader wants executors here', { leader: word.leader, executors: target })
    }
    this.#wanted = target
    const { present } = this.#own()
    const goal = { target, max: target, isTheirs: () => true }
    if (word.held.get(id) === Math.max(present, target)) return goal
    const may = Number(await store.call('occupy', keys.base, [id, present]))
    return may < 0 ? null : { ...goal, max: may }
  }

  #own(): Own {
    const { id, machine } = this.#options
    const { ward } = this.#fleet
    const present = ward.members.size - ward.warm().length
    return {
      id,
      name: machine.name,
      offer: this.#offer(),
      living: ward.live().length,
      present,
    }
  }
}

/** Executors of the other hosts, which are theirs to start and to end. */
function besides([, ...others]: readonly Peer[]): NonNullable<Goal['isTheirs']> {
  const ids = new Set(others.map(({ id }) => id))
  return ({ of }) => of !== undefined && ids.has(of)
}
