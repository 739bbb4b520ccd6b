/**
 * Replay: the records of chosen rejects are produced to their topic again, and so come through the
 * job like any other, under new offsets. Each once, whoever is killed and whoever else replays:
 *
 *   shut others out → settle what was begun → originals → mark `replaying` → transaction → mark `replayed`
 *
 * A mark that stands at `replaying` is settled by the next replay: Kafka's evidence (fence.ts) says
 * whether its transaction happened.
 */
import { randomUUID } from 'node:crypto'
import type { Message } from 'kafkajs'
import type { Clock } from '../actors/clock.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { Evidence, Fenced } from './fence.ts'
import { begun, change, type Change, type Mark } from './marks.ts'
import type { Original } from './originals.ts'
import { placeOf, type Reject } from './rejects.ts'

export interface ReplayOptions {
  job: string
  store: Store
  keys: Keys
  clock: Clock
  fenced: Fenced
  /** The original record of a reject. */
  find: (reject: Reject) => Promise<Original>
  /** Also late ones, and those whose begun replay Kafka knows nothing of any more. */
  force: boolean
}

/** What became of a chosen reject. */
export type Outcome =
  | { kind: 'replayed'; reject: Reject; offset: number }
  /** Replayed or dropped before, by a run of this command that has ended or was killed. */
  | { kind: 'done before'; reject: Reject }
  | { kind: 'kept'; reject: Reject; why: string }

/** On the record in the topic: whose replay it is, for people who read the topic. */
export const REPLAY_HEADER = 'millrace-replay'

/** Bounds of one transaction. */
const TOGETHER_MAX = 50
const TOGETHER_BYTES_MAX = 512 * 1024
/** Kafka keeps the evidence for a week by default; ours is believed for a day. */
const EVIDENCE_MS = 24 * 3_600_000
/** Verdicts of these are kept by the executor; a recomputation follows them already. */
const ruledAlready = new Set(['late', 'future', 'groups', 'poison', 'hung'])

/** Replays them in the topics' order, partition by partition; yields as it goes. */
export async function* replay(
  options: ReplayOptions,
  rejects: readonly Reject[],
): AsyncGenerator<Outcome> {
  const { unknown, replayed } = await settle(options)
  const open: Reject[] = []
  for (const reject of rejects.toSorted(byPlace)) {
    const why = keptBecause(reject, unknown, options.force)
    if (isDone(reject) || replayed.has(placeOf(reject))) yield { kind: 'done before', reject }
    else if (why !== null) yield { kind: 'kept', reject, why }
    else open.push(reject)
  }
  let together: Found[] = []
  for (const reject of open) {
    const original = await options.find(reject)
    if ('missing' in original) {
      yield { kind: 'kept', reject, why: original.missing }
      continue
    }
    const found = { reject, message: withHeader(original.message, options.job, reject) }
    if (together.length > 0 && !fits(together, found)) {
      yield* sendTogether(options, together)
      together = []
    }
    together.push(found)
  }
  if (together.length > 0) yield* sendTogether(options, together)
}

interface Found {
  reject: Reject
  message: Message
}

async function* sendTogether(options: ReplayOptions, found: Found[]): AsyncGenerator<Outcome> {
  const { store, keys, clock, fenced } = options
  const token = randomUUID()
  const at = clock.now()
  const marks = found.map(({ reject }, index): Change => {
    const to: Mark = { state: 'replaying', token, index, at }
    const ruled = !ruledAlready.has(reject.reason)
    return { place: placeOf(reject), from: null, to, ruled }
  })
  const taken = await change(store, keys, marks)
  const ours = marks.filter((_, i) => taken[i])
  if (ours.length < marks.length) {
    // Marks carry places within the transaction: those that are left need others.
    await release(options, ours)
    for (const [i, { reject }] of found.entries()) {
      if (!taken[i])
        yield { kind: 'kept', reject, why: 'somebody else replays or drops it just now' }
    }
    const left = found.filter((_, i) => taken[i])
    if (left.length > 0) yield* sendTogether(options, left)
    return
  }
  const { number } = found[0]!.reject
  const messages = found.map(({ message }) => message)
  const sent = await fenced.send({ number, token, messages })
  if (sent.kind === 'refused') {
    await release(options, marks)
    for (const { reject } of found) yield { kind: 'kept', reject, why: `Kafka: ${sent.why}` }
    return
  }
  const placed = marks.map(
    ({ place, to }, i): Change => ({ place, from: to, to: replayedAt(sent.offset + i, at) }),
  )
  await change(store, keys, placed)
  for (const [i, { reject }] of found.entries()) {
    yield { kind: 'replayed', reject, offset: sent.offset + i }
  }
}

/** Nothing has happened with them. */
async function release({ store, keys }: ReplayOptions, marks: readonly Change[]): Promise<void> {
  const released = marks.map(({ place, to }): Change => ({ place, from: to, to: null }))
  await change(store, keys, released)
}

/**
 * Decides about every replay that was begun and not seen through. Who was shut out since these marks
 * and the evidence were read must not: they may be those of a replay that goes on.
 */
export async function settle(
  options: Pick<ReplayOptions, 'store' | 'keys' | 'clock' | 'fenced' | 'force'>,
): Promise<{ unknown: ReadonlySet<string>; replayed: ReadonlySet<string> }> {
  const { store, keys, clock, fenced, force } = options
  const marks = await begun(store, keys)
  const unknown = new Set<string>()
  const replayed = new Set<string>()
  if (marks.length === 0) return { unknown, replayed }
  const evidence = await fenced.evidence()
  const changes: Change[] = []
  for (const { place, mark } of marks) {
    const proof = evidence.get(Number(place.split(':')[0]))
    const old = clock.now() - mark.at > EVIDENCE_MS
    if (proof?.token === mark.token) {
      replayed.add(place)
      changes.push({ place, from: mark, to: happened(mark, proof) })
    } else if (old && !force) {
      unknown.add(place)
    } else {
      changes.push({ place, from: mark, to: null })
    }
  }
  await fenced.prove()
  await change(store, keys, changes)
  return { unknown, replayed }
}

const happened = (mark: { index: number; at: number }, proof: Evidence): Mark =>
  replayedAt(proof.offset + mark.index, mark.at)

const replayedAt = (offset: number, at: number): Mark => ({ state: 'replayed', offset, at })

const isDone = ({ mark }: Reject): boolean =>
  mark?.state === 'replayed' || mark?.state === 'dropped'

function keptBecause(reject: Reject, unknown: ReadonlySet<string>, force: boolean): string | null {
  if (reject.reason === 'late' && !force) {
    return 'its windows are closed, so it would be late again (--force replays it nevertheless)'
  }
  if (unknown.has(placeOf(reject))) {
    return 'a replay of it was begun over a day ago, and whether it happened is not known any more (--force replays it again)'
  }
  return null
}

function withHeader(message: Message, job: string, reject: Reject): Message {
  const headers = { ...message.headers, [REPLAY_HEADER]: `${job} ${reject.place}` }
  return { ...message, headers }
}

function fits(together: readonly Found[], { reject, message }: Found): boolean {
  const bytes = together.reduce((sum, found) => sum + sizeOf(found.message), sizeOf(message))
  return (
    together[0]!.reject.number === reject.number &&
    together.length < TOGETHER_MAX &&
    bytes <= TOGETHER_BYTES_MAX
  )
}

const sizeOf = ({ key, value }: Message): number => (key?.length ?? 0) + (value?.length ?? 0)

const byPlace = (a: Reject, b: Reject): number => a.number - b.number || a.offset - b.offset
