/**
 * The hosts of a job, as one snapshot shows them: which supervisors offer their machines, what these have, and
 * what the leader last said that each is to run. Pure.
 */
import type { Snapshot } from '../actors/measure.ts'
import type { Offer } from '../actors/messages.ts'
import { plural } from './figures.ts'
import type { Room } from './placement.ts'
import { change, type Decision, reasons } from './reasons.ts'
import { isAtWork } from './register.ts'

type Known = Snapshot['actors'][number]

export interface Peer {
  /** Its supervisor. */
  id: string
  name: string
  offer: Offer
  /** Executors of it that count for the target, and all that are there. */
  living: number
  present: number
  /** Why it is to run none, for people; null where it may. */
  unfit: string | null
}

export type Own = Omit<Peer, 'unfit'>

/** Living supervisors that offer their machines, the leader's own first, then the oldest. */
export function peersOf({ actors }: Pick<Snapshot, 'actors'>, own: Own): Peer[] {
  const others = actors
    .filter(
      ({ id, kind, alive, offer }) => kind === 'supervisor' && alive && offer && id !== own.id,
    )
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const names = new Set([own.name])
  const peers: Peer[] = [{ ...own, unfit: null }]
  for (const { id, host: name, state, offer } of others) {
    const unfit = unfitness(state, offer!, own.offer, names.has(name))
    if (unfit === null) names.add(name)
    const theirs = actors.filter(({ kind, of, alive }) => kind === 'executor' && of === id && alive)
    const present = theirs.filter(isAtWork)
    const living = present.filter(({ state }) => state !== 'draining').length
    peers.push({ id, name, offer: offer!, living, present: present.length, unfit })
  }
  return peers
}

/** Records must not be judged by two versions of a job at once, nor a machine be counted twice. */
function unfitness(
  state: Known['state'],
  { code }: Offer,
  own: Offer,
  isSecond: boolean,
): string | null {
  if (state !== 'running') return `it is ${state}`
  if (isSecond) return 'another supervisor runs executors there'
  return code === own.code ? null : 'it has another version of the job'
}

/** What the leader last said, and what each host has set aside by that (functions/hosts.lua). */
export interface Word {
  leader: string
  room: number
  want: ReadonlyMap<string, number>
  held: ReadonlyMap<string, number>
}

export function wordOf(hosts: Snapshot['hosts']): Word {
  const numbers = (prefix: string) =>
    new Map(
      Object.entries(hosts).flatMap(([field, value]): [string, number][] =>
        field.startsWith(prefix) ? [[field.slice(prefix.length), Number(value)]] : [],
      ),
    )
  const { leader = '', room = '0' } = hosts
  return { leader, room: Number(room), want: numbers('want:'), held: numbers('held:') }
}

/** Memory that an executor is taken to need before any says what it uses. */
const NEEDED_BYTES = 128 * 2 ** 20

/** What placement goes by: executors that a host was given, though it may not have started them yet, are its own. */
export function roomsOf(peers: readonly Peer[], { actors }: Snapshot, given: Word['want']): Room[] {
  const executors = actors.filter(({ kind, alive }) => kind === 'executor' && alive)
  const needed = Math.max(NEEDED_BYTES, ...executors.map(({ rssBytes }) => rssBytes))
  return peers
    .filter(({ unfit }) => unfit === null)
    .map(({ id, offer, living }) => ({
      id,
      limit: offer.limit,
      cores: offer.cores,
      idle: offer.idle,
      counted: offer.executors,
      fits: Math.floor(offer.memoryFreeBytes / needed),
      has: given.get(id) ?? living,
    }))
}

/** Cores of all hosts; and whole ones that idle on some host now, null where none says. */
export function machineOf(peers: readonly Peer[]): { cores: number; room: number | null } {
  const offers = peers.filter(({ unfit }) => unfit === null).map(({ offer }) => offer)
  const idle = offers.flatMap(({ idle }) => idle ?? [])
  // A quarter of a core is what one more executor can do without (backlog.ts).
  const room = idle.reduce((sum, cores) => sum + Math.floor(cores + 0.25), 0)
  const cores = offers.reduce((sum, offer) => sum + offer.cores, 0)
  return { cores, room: idle.length === 0 ? null : room }
}

/** The decision, as far as the hosts have places. */
export function fitted(decision: Decision, places: number): Decision {
  if (decision.to <= places) return decision
  const because = `${decision.to} wanted, and the hosts take ${places}`
  const sentence = `${change(decision.from, places)}: ${because}`
  const inputs = { ...decision.inputs, wanted: decision.to, places }
  return { ...decision, to: places, reason: reasons.hosts, sentence, inputs }
}

/** The decision with what it changes where; `moved`, where that is all that changes. */
export function withMoves(
  decision: Decision,
  told: string,
): { decision: Decision; moved: boolean } {
  if (told === '') return { decision, moved: false }
  const { from, to } = decision
  if (from !== to) {
    const sentence = `${decision.sentence}; ${told}`
    return { decision: { ...decision, sentence }, moved: false }
  }
  const sentence = `${change(from, to)}: ${told}`
  return { decision: { ...decision, sentence, reason: reasons.hosts }, moved: true }
}

/** What changes on which host, and by what it was chosen, for people; '' for nothing. */
export function changesText(
  peers: readonly Peer[],
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): string {
  const changes = peers.flatMap(({ id, name, offer, living, unfit }) => {
    const more = (after.get(id) ?? 0) - (before.get(id) ?? living)
    if (more === 0) return []
    const number = `${Math.abs(more)} ${more > 0 ? 'more' : 'fewer'} on ${name}`
    return [`${number} (${unfit ?? offerText(offer)})`]
  })
  return changes.join(', ')
}

/**
 * Hosts that the leader's word counts on and that are there no more, for people; '' for none. Those that ended in
 * order while another led are no news.
 */
export function lostText(word: Word, peers: readonly Peer[], { actors }: Snapshot): string {
  const isOwn = word.leader === peers[0]!.id
  const lost = [...word.want].flatMap(([id, count]): string[] => {
    if (count === 0 || peers.some((peer) => peer.id === id)) return []
    const { host = id, state = null } = actors.find((actor) => actor.id === id) ?? {}
    const had = plural(count, 'executor')
    if (state !== 'stopped') return [`${host} is gone with ${had}`]
    return isOwn ? [`${host} has ended, which had ${had}`] : []
  })
  return lost.join(', ')
}

/** "1.5 of 4 cores idle, 2.1 GiB free" */
export function offerText({ cores, idle, memoryFreeBytes }: Offer): string {
  const share = idle === null ? plural(cores, 'core') : `${idle.toFixed(1)} of ${cores} cores idle`
  return `${share}, ${(memoryFreeBytes / 2 ** 30).toFixed(1)} GiB free`
}
