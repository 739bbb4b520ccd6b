/**
 * The panes of a fold: each a tree of groups by their values, so that a record finds its group without
 * building a key. A group is made by the first record in it. Pure.
 */
import { bounds } from '../config.ts'
import type { Job, Meta } from '../job.ts'
import { emptyCells } from '../windows/aggregates.ts'
import type { Sketch } from '../windows/sketches.ts'
import type { Sketcher } from './adders.ts'

export interface Group {
  key: string
  cells: Float64Array
  sketches: Sketch[]
  /** Of a session: the sessions of its group, itself among them, newest last. */
  siblings?: Group[]
}
export interface Pane {
  start: number
  root: Map<unknown, unknown>
  groups: Group[]
}

export class Panes {
  readonly byStart = new Map<number, Pane>()
  readonly #groups: Job['groups']
  readonly #slots: string
  readonly #sketchers: readonly Sketcher[]
  /** The two that were asked for last: records come a little out of order, around a pane's end. */
  #last: Pane | null = null
  #other: Pane | null = null

  constructor(job: Job, sketchers: readonly Sketcher[]) {
    this.#groups = job.groups
    this.#slots = job.slots
    this.#sketchers = sketchers
  }

  at(start: number): Pane {
    if (this.#last?.start === start) return this.#last
    if (this.#other?.start === start) return this.#other
    let pane = this.byStart.get(start)
    if (!pane) {
      pane = { start, root: new Map(), groups: [] }
      this.byStart.set(start, pane)
    }
    this.#other = this.#last
    this.#last = pane
    return pane
  }

  /** The group of a row; undefined where it is the first of it. Each place asks one kind of map, or would be slow. */
  find(pane: Pane, row: unknown, meta: Meta): Group | undefined {
    const groups = this.#groups
    const last = groups.length - 1
    if (last < 0) return pane.groups[0]
    let level = pane.root
    for (let i = 0; i < last; i++) {
      const next = level.get(groups[i]!.of(row, meta))
      if (next === undefined) return undefined
      level = next as Map<unknown, unknown>
    }
    return level.get(groups[last]!.of(row, meta)) as Group | undefined
  }

  valuesOf(row: unknown, meta: Meta): unknown[] {
    return this.#groups.map(({ of }) => of(row, meta))
  }

  /** One more session of a group. */
  beside(pane: Pane, { key, siblings }: Group): Group {
    const group = this.#empty(key)
    group.siblings = siblings!
    siblings!.push(group)
    pane.groups.push(group)
    return group
  }

  #empty(key: string): Group {
    const sketches = this.#sketchers.map(({ create }) => create())
    return { key, cells: emptyCells(this.#slots), sketches }
  }

  /** The group with these values, made where there is none; its key is known already. */
  make(pane: Pane, values: unknown[], key: string): { group: Group; isNew: boolean } {
    let level = pane.root
    for (const value of values.slice(0, -1)) {
      const next = (level.get(value) as Map<unknown, unknown> | undefined) ?? new Map()
      level.set(value, next)
      level = next
    }
    const found = values.length === 0 ? pane.groups[0] : level.get(values.at(-1))
    if (found) return { group: found as Group, isNew: false }
    const group = this.#empty(key)
    pane.groups.push(group)
    if (values.length > 0) level.set(values.at(-1), group)
    return { group, isNew: true }
  }
}

/** A group's key, or what keeps its values from being one. */
export function keyOf(values: unknown[]): { key: string } | { problem: string } {
  const problem = groupProblem(values)
  if (problem) return { problem }
  const key = JSON.stringify(values)
  if (Buffer.byteLength(key) <= bounds.groupKeyBytesMax) return { key }
  return { problem: `the group's values are longer than ${bounds.groupKeyBytesMax} bytes` }
}

function groupProblem(values: unknown[]): string | null {
  for (const value of values) {
    if (typeof value === 'string') {
      if (!value.isWellFormed()) return 'a group value has half of a surrogate pair'
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) return `a group value is ${value}`
    } else if (typeof value !== 'boolean' && value !== null) {
      return `a group value is ${value === undefined ? 'missing' : `of type ${typeof value}`}`
    }
  }
  return null
}
