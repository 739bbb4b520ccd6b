/**
 * Sample records of an example: made of a seed, so that the committed files can be made again, and so
 * written that they can be played as if they came now.
 */
import { Chance } from '../../faults/simulation/chance.ts'

export interface Sample<Value = unknown> {
  /** Records in the order in which they come; a few of them behind those that came before. */
  make(chance: Chance): Value[]
  /** Epoch ms. */
  time(record: Value): number
  /** The same record as if it had happened at another time. */
  at(record: Value, ms: number): Value
}

/** All samples begin here: in the past, so that no clock takes them for the future's. */
export const sampleStart = Date.parse('2025-06-02T09:00:00Z')
export const minuteMs = 60_000

export const sampleSeed = 1

/** A line a record. */
export function linesOf<Value>(sample: Sample<Value>): string[] {
  return sample.make(new Chance(sampleSeed)).map((record) => JSON.stringify(record))
}

/**
 * Times of `count` events within `spanMs`, in the order in which they come: each up to `delayMs` after it
 * happened, so that some overtake others.
 */
export function happenings(
  chance: Chance,
  { count, spanMs, delayMs }: { count: number; spanMs: number; delayMs: number },
): number[] {
  const times = Array.from({ length: count }, () => {
    const at = sampleStart + Math.floor(chance.between(0, spanMs))
    return { at, comes: at + chance.between(0, delayMs) }
  })
  return times.sort((a, b) => a.comes - b.comes).map(({ at }) => at)
}

/** One of a list whose first are far more likely than its last, as with pages, words and cities. */
export function popular<T>(chance: Chance, all: readonly T[]): T {
  return all[Math.floor(chance.next() ** 3 * all.length)]!
}
