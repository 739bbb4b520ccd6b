/**
 * What the witness holds true of a shard: how far its partitions are read and finished, its clocks of event
 * time, and what it counted. It is copied and put back as Redis is.
 */
import type { SimRecord } from './records.ts'

/** What is known of one partition; offsets index the arrays. */
export interface Place {
  next: number
  high: number
  seenAt: number
  dataAt: number
  /** 1 where an offset was committed. */
  applied: Uint8Array
  /** End of the contiguous applied prefix, and the newest usable event time in it. */
  prefix: number
  newest: number | null
  /** How far the watermark went while this partition had no say. */
  excusedTo: number
}

/** How a record was judged at its commit. */
export interface Judgement {
  record: SimRecord
  /** Windows that end at or before it were closed for good, and go without this record. */
  closedTo: number
}

/** Of a shard. */
export interface ShardState {
  /** Its ledger is there. */
  begun: boolean
  places: Map<number, Place>
  watermark: number
  closedTo: number
  /** Up to there closed windows take nothing any more; closedTo where none ever does. */
  finalTo: number
  /** Id of the newest entry that was looked at of the streams of closed and of open windows. */
  toldTo: Record<'closed' | 'updates', string>
  /** Ends of the windows that were told as closed. */
  told: ReadonlySet<number>
  /** Of the first of several: the end up to which windows are joined. */
  joinedTo: number
  counted: Judgement[]
  totals: { counted: number; filtered: number; late: number; rejected: number }
}

/** Shard → its state at a moment. */
export type WitnessState = ReadonlyMap<number, ShardState>

export const unbegun = (): ShardState => ({
  begun: false,
  places: new Map(),
  watermark: -Infinity,
  closedTo: -Infinity,
  finalTo: -Infinity,
  toldTo: { closed: '0-0', updates: '0-0' },
  told: new Set(),
  joinedTo: -Infinity,
  counted: [],
  totals: { counted: 0, filtered: 0, late: 0, rejected: 0 },
})

/** A partition that was opened; `end` of all that there will ever be. */
export const placeAt = (next: number, end: number, now: number, excusedTo: number): Place => ({
  next,
  high: 0,
  seenAt: now,
  dataAt: now,
  applied: new Uint8Array(end),
  prefix: 0,
  newest: null,
  excusedTo,
})

const UNSEEN_MS = 10_000

/** Kafka's end of the partition is told. */
export function see(place: Place, high: number, now: number): void {
  // While nobody looked, or where the clock was set, nobody can say that it was quiet.
  if (now < place.seenAt || now - place.seenAt > UNSEEN_MS) place.dataAt = now
  place.high = high
  place.seenAt = now
}

/** Marks [from, to) as applied; answers with its records, and those that were applied before. */
export function apply(
  place: Place,
  records: ReadonlyMap<number, SimRecord>,
  from: number,
  to: number,
): { found: SimRecord[]; again: SimRecord[] } {
  const found: SimRecord[] = []
  const again: SimRecord[] = []
  for (let offset = from; offset < to; offset++) {
    const record = records.get(offset)
    if (record) found.push(record)
    if (record && place.applied[offset] === 1) again.push(record)
    place.applied[offset] = 1
  }
  while (place.prefix < place.applied.length && place.applied[place.prefix] === 1) {
    const time = records.get(place.prefix)?.time ?? null
    if (time !== null && (place.newest === null || time > place.newest)) place.newest = time
    place.prefix++
  }
  return { found, again }
}

/** Whether the watermark may leave the partition out. */
export function isExcused(place: Place, now: number, idleAfterMs: number): boolean {
  const { next, high, prefix, seenAt, dataAt, newest } = place
  const atEnd = prefix >= next && next >= high && now - seenAt < 5_000
  const barren = newest === null && next > 0
  return atEnd && (barren || now - dataAt >= idleAfterMs)
}

/** One that later events leave alone. */
export function copyOf(state: ShardState): ShardState {
  const places = [...state.places].map(
    ([p, place]) => [p, { ...place, applied: place.applied.slice() }] as const,
  )
  const { counted, totals } = state
  return { ...state, places: new Map(places), counted: [...counted], totals: { ...totals } }
}
