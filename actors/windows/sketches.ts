/**
 * Sketches: the part of a group's state that is no row of numbers. Each is bytes, its letter first, and
 * merges with another of its letter in any order; here for executors and readers, in cells.lua for Redis.
 *
 *   R registers: HyperLogLog. Sorted u16, big-endian: register × 32 + rank; the greater rank stays
 *   S sums:      a histogram. Sorted u16, big-endian, with a float64 each, which are added
 *   F L ends:    four float64 that say where (time, partition, offset, row), then the value's JSON;
 *                the least, or the greatest, stays. Without records nothing follows the letter
 *   T top:       float64 capacity, float64 error; then u32 length, JSON, float64 count, repeated
 *
 * All numbers but those keys are little-endian. In a group's bytes each stands behind its u32 length,
 * after the slots, in the order of the job's aggregates.
 */
import { Buckets } from './buckets.ts'
import { Counters } from './counters.ts'
import { End } from './end.ts'
import type { Aggregate, AggregateValue } from './kinds.ts'
import { Registers } from './registers.ts'

/** Where a value comes from, which tells which of two is the first. */
export interface Place {
  eventTime: number
  partition: number
  offset: number
  /** Of a record that has become several rows: which. */
  row: number
}

export interface Sketch {
  /** Takes a record's value, one that `takes` accepts; answers by how many entries it has grown. */
  add(value: unknown, place: Place): number
  /** Takes all that another has taken, from its bytes. */
  absorb(bytes: Buffer): void
  encode(): Buffer
  value(aggregate: Aggregate<never>): AggregateValue
}

interface Kind {
  letter: 'R' | 'S' | 'F' | 'L' | 'T'
  create: () => Sketch
  /** Whether a value, neither null nor undefined, fits into the sketch. */
  takes: (value: unknown) => boolean
  /** What merging one costs Redis beside its entries, in merges of a few slots. */
  weight: number
}

const kinds: Partial<Record<Aggregate<never>['kind'], Kind>> = {
  distinct: { letter: 'R', create: () => new Registers(), takes: Registers.takes, weight: 1 },
  quantiles: { letter: 'S', create: () => new Buckets(), takes: Buckets.takes, weight: 1 },
  first: { letter: 'F', create: () => new End('F'), takes: End.takes, weight: 0.5 },
  last: { letter: 'L', create: () => new End('L'), takes: End.takes, weight: 0.5 },
  topK: { letter: 'T', create: () => new Counters(), takes: Counters.takes, weight: 6 },
}

/** How an aggregate is sketched; null for one that is kept in slots. */
export const sketchOf = ({ kind }: Aggregate<never>): Kind | null => kinds[kind] ?? null

/** A group's bytes: its slots, then its sketches. */
export function encodeState(
  cells: Float64Array,
  sketches: readonly Pick<Sketch, 'encode'>[],
): Buffer {
  const slots = Buffer.from(cells.buffer, cells.byteOffset, cells.byteLength)
  if (sketches.length === 0) return slots
  const parts = [slots]
  for (const sketch of sketches) {
    const bytes = sketch.encode()
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    parts.push(length, bytes)
  }
  return Buffer.concat(parts)
}

/** A group's bytes taken apart, as they stand at `at`; `end` is where they end. */
export function decodeState(
  bytes: Buffer,
  at: number,
  slots: number,
  count: number,
): { cells: Float64Array; sketches: Buffer[]; end: number } {
  const cells = new Float64Array(slots)
  for (let slot = 0; slot < slots; slot++) cells[slot] = bytes.readDoubleLE(at + slot * 8)
  const sketches: Buffer[] = []
  let end = at + slots * 8
  for (let i = 0; i < count; i++) {
    const from = end + 4
    end = from + bytes.readUInt32LE(end)
    sketches.push(bytes.subarray(from, end))
  }
  return { cells, sketches, end }
}
