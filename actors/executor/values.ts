/**
 * The values of the row at hand: read from it for each aggregate, and checked, before the first of them
 * is added to the row's group. Made once for a fold, so that a record makes nothing new. Pure.
 */
import type { Meta } from '../job.ts'
import { addToSum } from '../windows/aggregates.ts'
import type { Place, Sketch } from '../windows/sketches.ts'
import { type Adder, fits, type Sketcher } from './adders.ts'
import type { Candidate } from './candidate.ts'
import type { Group } from './panes.ts'
import { shown } from './reasons.ts'

/** A row's values while others are read. */
export interface Kept {
  numbers: (number | null)[]
  sketchable: unknown[]
}

export class Values {
  readonly #adders: Adder[]
  readonly #sketchers: Sketcher[]
  /** As cells keep them. */
  #numbers: (number | null)[]
  #sketchable: unknown[]
  readonly #place: Place = { eventTime: 0, partition: 0, offset: 0, row: 0 }

  constructor(adders: Adder[], sketchers: Sketcher[]) {
    this.#adders = adders
    this.#sketchers = sketchers
    this.#numbers = adders.map(() => null)
    this.#sketchable = sketchers.map(() => null)
  }

  /** Reads a row; answers with what is wrong where one of its values does not fit. */
  read(row: unknown, meta: Meta): string | null {
    for (let i = 0; i < this.#adders.length; i++) {
      const adder = this.#adders[i]!
      if (!adder.of) continue
      const value = adder.of(row, meta)
      if (value === null || value === undefined) {
        this.#numbers[i] = null
        continue
      }
      const fixed = fits(adder, value)
      if (fixed === null) return `${adder.name}: ${String(value).slice(0, 100)} does not fit`
      this.#numbers[i] = fixed
    }
    return this.#sketchers.length === 0 ? null : this.#readSketchable(row, meta)
  }

  /** The same for those that are kept as sketches. */
  #readSketchable(row: unknown, meta: Meta): string | null {
    for (let i = 0; i < this.#sketchers.length; i++) {
      const { of, takes, name } = this.#sketchers[i]!
      const value = of(row, meta) ?? null
      if (value !== null && !takes(value)) return `${name}: ${shown(value)} does not fit`
      this.#sketchable[i] = value
    }
    return null
  }

  kept(): Kept {
    return { numbers: [...this.#numbers], sketchable: [...this.#sketchable] }
  }

  /** Makes the row at hand one that was kept. */
  take({ numbers, sketchable }: Kept): void {
    this.#numbers = numbers
    this.#sketchable = sketchable
  }

  /** Adds the row to its group; answers by how many entries the group's sketches have grown. */
  add({ cells, sketches }: Group, candidate: Candidate, partition: number, row: number): number {
    for (let i = 0; i < this.#adders.length; i++) {
      const { kind, slot } = this.#adders[i]!
      const value = this.#numbers[i]!
      if (kind === 'count') {
        cells[slot]!++
        continue
      }
      if (value === null) continue
      if (kind === 'sum') {
        addToSum(cells, slot, value)
      } else if (kind === 'avg') {
        cells[slot]!++
        addToSum(cells, slot + 1, value)
      } else if (kind === 'min') {
        if (value < cells[slot]!) cells[slot] = value
      } else if (value > cells[slot]!) {
        cells[slot] = value
      }
    }
    return sketches.length === 0 ? 0 : this.#addSketches(sketches, candidate, partition, row)
  }

  #addSketches(
    sketches: Sketch[],
    { eventTime, offset }: Candidate,
    partition: number,
    row: number,
  ): number {
    const place = this.#place
    place.eventTime = eventTime
    place.partition = partition
    place.offset = offset
    place.row = row
    let entries = 0
    for (let i = 0; i < sketches.length; i++) {
      const value = this.#sketchable[i]
      if (value !== null) entries += sketches[i]!.add(value, place)
    }
    return entries
  }
}
