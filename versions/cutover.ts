/**
 * A shadow is made the one, in steps, each of which finds out by itself whether it is done already: whoever
 * is killed in the middle, the command is run again and goes on.
 *
 *   closed   the new one has closed what the old one has, and can go on behind each of its sinks
 *   ended    the old one is told to end; its actors finish what they have in hand and leave
 *   handed   in one write: the old sinks' places are with the new one, and it is no shadow any more
 *   done     the old one is marked as replaced, and its data can go
 *
 * Up to `ended` nothing has changed. Between `ended` and `handed` nobody writes to the sinks, and nothing is
 * lost by that: windows wait in Redis. A sink that keeps its position itself says where the new one begins
 * (actors/sinks/delivery.ts), for the others it is what the old one last told.
 */
import type { Clock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import { type Lineage, sinkField } from '../actors/lineage.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import type { Message } from '../actors/messages.ts'
import type { Store } from '../actors/redis.ts'
import { parsePosition } from '../actors/sinks/position.ts'
import { newestPosition } from '../actors/sinks/stream.ts'
import { plural } from '../supervisor/figures.ts'
import type { Pair } from './pair.ts'

export const steps = ['closed', 'ended', 'handed', 'done'] as const
export type Step = (typeof steps)[number]

export type Told =
  | { kind: 'waiting'; step: Step; text: string }
  | { kind: 'step'; step: Step; text: string }

export interface CutoverOptions {
  store: Store
  pair: Pair
  clock: Clock
  /** Sinks of the old one that are left where they are, as the new one has them no more. */
  withoutSinks: readonly string[]
  tell: (told: Told) => void
  /** Gives up waiting. */
  signal: AbortSignal
}

const LOOK_MS = 250

/** @throws RefusalError where the two are no pair, or waiting was given up */
export async function cutOver(options: CutoverOptions): Promise<void> {
  const { pair, tell } = options
  const { old, next } = pair
  await waitFor(options, 'closed', () => unclosed(options))
  tell({ kind: 'step', step: 'closed', text: `${next} has closed what ${old} has` })
  await end(options)
  await waitFor(options, 'ended', () => atWork(options))
  tell({ kind: 'step', step: 'ended', text: `${old} has ended: nobody writes to the sinks` })
  const places = await handOver(options)
  const where = places.length > 0 ? `; its sinks go on behind ${places.join(', ')}` : ''
  tell({ kind: 'step', step: 'handed', text: `${next} is no shadow any more${where}` })
  await options.store.redis.hset(keysOf(old).version, { stage: 'replaced', by: next })
  const text = `${old} is replaced by ${next}, which runs with --as ${next}; bun run versions drop ${old} --yes removes what Redis has of it`
  tell({ kind: 'step', step: 'done', text })
}

/** Looks until there is nothing to wait for any more. */
async function waitFor(
  { clock, tell, signal }: CutoverOptions,
  step: Step,
  look: () => Promise<string | null>,
): Promise<void> {
  for (;;) {
    const text = await look()
    if (text === null) return
    if (signal.aborted) throw new RefusalError(`given up while ${text}; run it again to go on`)
    tell({ kind: 'waiting', step, text })
    await clock.sleep(LOOK_MS, signal)
  }
}

const isEnding = (version: Lineage | null): boolean =>
  version?.stage === 'ending' || version?.stage === 'replaced'

/** What the new one, or a sink of the old one, has yet to do before the old one can end. */
async function unclosed({ store, pair, withoutSinks }: CutoverOptions): Promise<string | null> {
  const { old, next } = pair
  const theirs = await measure(store, keysOf(old))
  // It has been through this, and its last windows may have closed since.
  if (isEnding(theirs.version)) return null
  const ours = await measure(store, keysOf(next))
  if (ours.version?.stage !== 'shadow') throw new RefusalError(`${next} is no shadow any more`)
  // By the windows: over a topic that is quiet each one's event time goes by when it read the last record.
  const wanted = (await newestPosition(store, keysOf(old), '')).end
  if (wanted !== null && (ours.watermark ?? -Infinity) < wanted) {
    const at = ours.watermark === null ? 'nothing' : `up to ${iso(ours.watermark)}`
    const idle = ours.leader === '' ? `; nobody runs ${next}` : ''
    return `${next} has closed ${at}, ${old} up to ${iso(wanted)}${idle}`
  }
  // Who has all that was closed lacks nothing up to where the old one has closed.
  const wholeAfter = Math.min(ours.version.wholeAfter ?? 0, wanted ?? -Infinity)
  for (const [sink, end] of await sinkEnds(store, keysOf(old))) {
    if (withoutSinks.includes(sink) || (end ?? -Infinity) >= wholeAfter) continue
    const has = end === null ? 'nothing' : `what ended by ${iso(end)}`
    return `sink ${sink} of ${old} has ${has}, and ${next} can go on behind ${iso(wholeAfter)} only (--without-sink ${sink} leaves it)`
  }
  return null
}

/** Sinks that the job has written to, or tried to, and the end of the last window that each has. */
async function sinkEnds(store: Store, keys: Keys): Promise<Map<string, number | null>> {
  const [accounts, taken, handed] = await Promise.all([
    store.redis.hkeys(keys.sinks),
    store.redis.hgetall(keys.taken),
    store.redis.hgetall(keys.version),
  ])
  const place = (sink: string) => taken[sink] ?? handed[sinkField(sink)] ?? null
  return new Map(accounts.map((sink) => [sink, parsePosition(place(sink)).end]))
}

/** From here on there is no way back: the old one ends, and is not started again. */
async function end({ store, pair, tell }: CutoverOptions): Promise<void> {
  const keys = keysOf(pair.old)
  const { version } = await measure(store, keys)
  if (isEnding(version)) return
  await store.redis.hset(keys.version, { stage: 'ending', by: pair.next })
  tell({ kind: 'waiting', step: 'ended', text: `${pair.old} is told to end` })
}

/** Who of the old one is still there. Its supervisor ends its own; others are asked when it has gone. */
async function atWork({ store, pair }: CutoverOptions): Promise<string | null> {
  const keys = keysOf(pair.old)
  const { actors } = await measure(store, keys)
  const living = actors.filter(({ alive, kind }) => alive && kind !== 'web')
  if (living.length === 0) return null
  if (!living.some(({ kind }) => kind === 'supervisor')) await askToLeave(store, keys, living, pair)
  return `${plural(living.length, 'actor')} of ${pair.old} have yet to leave: ${living.map(({ id }) => id).join(', ')}`
}

/** Executors that were started by hand hear of their mailboxes; bridges and sinks end by their leases. */
async function askToLeave(
  store: Store,
  keys: Keys,
  living: Snapshot['actors'],
  { next }: Pair,
): Promise<void> {
  const message: Message = { kind: 'drain', reason: `version ${next} takes its place` }
  for (const { id, kind, state } of living) {
    if (kind !== 'executor' || state === 'draining') continue
    await store.redis.xadd(keys.mailbox(id), 'MAXLEN', 100, '*', 'm', JSON.stringify(message))
  }
}

/** The sinks' places and the end of the shadow in one write, so that no sink begins without its place. */
async function handOver({ store, pair, withoutSinks }: CutoverOptions): Promise<string[]> {
  const [theirs, ours] = [keysOf(pair.old), keysOf(pair.next)]
  const [taken, handed] = [
    await store.redis.hgetall(theirs.taken),
    await store.redis.hgetall(theirs.version),
  ]
  const places: Record<string, string> = {}
  const told: string[] = []
  for (const sink of (await sinkEnds(store, theirs)).keys()) {
    const place = taken[sink] ?? handed[sinkField(sink)]
    if (place === undefined || withoutSinks.includes(sink)) continue
    places[sinkField(sink)] = place
    const { end } = parsePosition(place)
    told.push(`${sink}: ${end === null ? 'nothing' : iso(end)}`)
  }
  const stage = await store.redis.hget(ours.version, 'stage')
  // Run again later, when yet another has taken its place: that is not undone.
  if (stage === 'shadow' || stage === 'live') {
    await store.redis.hset(ours.version, { ...places, stage: 'live' })
  }
  return told
}

const iso = (ms: number): string => new Date(ms).toISOString()
