/**
 * The first or last value by event time, then partition, offset and row: an order without ties, so that
 * whoever merges whatever first, the same one is left.
 */
import type { AggregateValue } from './kinds.ts'
import type { Place, Sketch } from './sketches.ts'

/** Bytes of the four numbers that say where. */
const PLACE_BYTES = 32
/** UTF-8 bytes of a text that is kept. */
export const TEXT_BYTES_MAX = 256

export class End implements Sketch {
  readonly #letter: 'F' | 'L'
  #place: Place | null = null
  #value: unknown = null

  constructor(letter: 'F' | 'L') {
    this.#letter = letter
  }

  static takes(value: unknown): boolean {
    if (typeof value === 'number') return Number.isFinite(value)
    if (typeof value === 'boolean') return true
    if (typeof value !== 'string' || value.length > TEXT_BYTES_MAX) return false
    return Buffer.byteLength(value) <= TEXT_BYTES_MAX && value.isWellFormed()
  }

  add(value: unknown, place: Place): number {
    const held = this.#place
    if (held && !this.#replaces(held, place)) return 0
    this.#place = { ...place }
    this.#value = value
    return held ? 0 : 1
  }

  absorb(bytes: Buffer): void {
    if (bytes.length === 1) return
    const place = {
      eventTime: bytes.readDoubleLE(1),
      partition: bytes.readDoubleLE(9),
      offset: bytes.readDoubleLE(17),
      row: bytes.readDoubleLE(25),
    }
    if (this.#place && !this.#replaces(this.#place, place)) return
    this.#place = place
    this.#value = JSON.parse(bytes.toString('utf8', 1 + PLACE_BYTES))
  }

  encode(): Buffer {
    if (!this.#place) return Buffer.from(this.#letter)
    const { eventTime, partition, offset, row } = this.#place
    const bytes = Buffer.alloc(1 + PLACE_BYTES)
    bytes.write(this.#letter)
    bytes.writeDoubleLE(eventTime, 1)
    bytes.writeDoubleLE(partition, 9)
    bytes.writeDoubleLE(offset, 17)
    bytes.writeDoubleLE(row, 25)
    return Buffer.concat([bytes, Buffer.from(JSON.stringify(this.#value))])
  }

  value(): AggregateValue {
    return this.#value as AggregateValue
  }

  #replaces(held: Place, place: Place): boolean {
    const order =
      place.eventTime - held.eventTime ||
      place.partition - held.partition ||
      place.offset - held.offset ||
      place.row - held.row
    return this.#letter === 'F' ? order < 0 : order > 0
  }
}
