/**
 * What the windows must hold: records go into panes group by group, and windows are put together
 * when they are asked for. Memory grows with panes and groups, not with records. Pure.
 *
 * A record that came when some of its windows were closed counts in the others only: it is kept in a
 * layer of its pane that names up to where windows were closed then.
 */
import type { GroupValue, Job } from '../actors/job.ts'
import { ExactSum, meanOf, numberOf, scaler } from './decimal.ts'

export interface ExpectedRow {
  key: Record<string, GroupValue>
  values: Record<string, number | null>
  /** Records that it is made of. */
  records: number
}

/** One aggregate's state: how many values, their sum in units, the least and the greatest. */
interface State {
  count: number
  sum: ExactSum
  least: number
  greatest: number
}
interface Group {
  values: GroupValue[]
  records: number
  states: State[]
}
type Layer = Map<string, Group>
/** By the end of the newest window that was closed; NOTHING_CLOSED where none mattered. */
type Pane = Map<number, Layer>

const NOTHING_CLOSED = -Infinity
const KEY_BYTES_MAX = 4_096

type Aggregates = readonly {
  name: string
  kind: Job['aggregates'][number]['aggregate']['kind']
  of: ((row: unknown) => unknown) | null
  decimals: number
  /** The number as it is added up; null where it does not fit. */
  fit: (value: number) => number | null
}[]

export class Expected {
  readonly #job: Job
  readonly #aggregates: Aggregates
  readonly #numbers: (number | null)[]
  readonly #panes = new Map<number, Pane>()
  #lastStart = Number.NaN
  #lastLayer: Layer = new Map()

  constructor(job: Job) {
    this.#job = job
    this.#aggregates = job.aggregates.map(({ name, aggregate }) => ({
      name,
      kind: aggregate.kind,
      of: aggregate.of,
      decimals: aggregate.decimals,
      fit:
        aggregate.kind === 'min' || aggregate.kind === 'max' ? plain : scaler(aggregate.decimals),
    }))
    this.#numbers = job.aggregates.map(() => null)
  }

  /** Start of the pane that an event time falls into. */
  paneOf(eventTime: number): number {
    const behind = eventTime % this.#job.windowSlideMs
    return eventTime - (behind < 0 ? behind + this.#job.windowSlideMs : behind)
  }

  /** The record's numbers are read and kept for `add`; false where one does not fit. */
  readNumbers(row: unknown): boolean {
    for (let i = 0; i < this.#aggregates.length; i++) {
      const { of, fit } = this.#aggregates[i]!
      if (!of) continue
      const value = of(row)
      let number: number | null = null
      if (value !== null && value !== undefined) {
        number = typeof value === 'number' ? fit(value) : null
        if (number === null) return false
      }
      this.#numbers[i] = number
    }
    return true
  }

  /** The group's values as the pipeline may keep them; null where they can't name a group. */
  groupOf(row: unknown): { key: string; values: GroupValue[] } | null {
    const values: GroupValue[] = []
    for (const { of } of this.#job.groups) {
      const value = of(row)
      if (!isGroupValue(value)) return null
      values.push(value)
    }
    const key = JSON.stringify(values)
    // In UTF-8 a character is at most three bytes long for each of its UTF-16 units.
    if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) return null
    return { key, values }
  }

  /** Counts the record whose numbers were read last. */
  add(pane: number, group: { key: string; values: GroupValue[] }, closedTo = NOTHING_CLOSED): void {
    const layer = this.#layerOf(pane, closedTo)
    let held = layer.get(group.key)
    if (!held) {
      held = emptyGroup(group.values, this.#aggregates.length)
      layer.set(group.key, held)
    }
    held.records++
    for (let i = 0; i < held.states.length; i++) {
      const number = this.#numbers[i]!
      if (this.#aggregates[i]!.of && number !== null) {
        addNumber(held.states[i]!, number, this.#aggregates[i]!.kind)
      }
    }
  }

  /** Groups of a pane over its layers. */
  groupsOfPane(pane: number): number {
    const layers = [...(this.#panes.get(pane)?.values() ?? [])]
    if (layers.length <= 1) return layers[0]?.size ?? 0
    return new Set(layers.flatMap((layer) => [...layer.keys()])).size
  }

  /** Starts of all windows that hold a record, in order. */
  windows(): number[] {
    const { windowSizeMs, windowSlideMs } = this.#job
    const starts = new Set<number>()
    for (const [pane, layers] of this.#panes) {
      const open = Math.min(...layers.keys())
      for (let end = pane + windowSlideMs; end <= pane + windowSizeMs; end += windowSlideMs) {
        if (end > open) starts.add(end - windowSizeMs)
      }
    }
    return [...starts].sort((a, b) => a - b)
  }

  /** Forgets the panes whose windows all end at or before `closedTo`. */
  drop(closedTo: number): void {
    for (const start of this.#panes.keys()) {
      if (start + this.#job.windowSizeMs <= closedTo) this.#panes.delete(start)
    }
    this.#lastStart = Number.NaN
  }

  /** A window's rows by the JSON text of their group's values. */
  rows(start: number): Map<string, ExpectedRow> {
    const end = start + this.#job.windowSizeMs
    const merged = new Map<string, Group>()
    for (let pane = start; pane < end; pane += this.#job.windowSlideMs) {
      for (const [closedTo, layer] of this.#panes.get(pane) ?? []) {
        if (end > closedTo) mergeLayer(merged, layer)
      }
    }
    return new Map(Array.from(merged, ([key, group]) => [key, this.#row(group)]))
  }

  #layerOf(start: number, closedTo: number): Layer {
    if (closedTo === NOTHING_CLOSED && start === this.#lastStart) return this.#lastLayer
    let pane = this.#panes.get(start)
    if (!pane) {
      pane = new Map()
      this.#panes.set(start, pane)
    }
    let layer = pane.get(closedTo)
    if (!layer) {
      layer = new Map()
      pane.set(closedTo, layer)
    }
    if (closedTo === NOTHING_CLOSED) {
      this.#lastStart = start
      this.#lastLayer = layer
    }
    return layer
  }

  #row(group: Group): ExpectedRow {
    const key = this.#job.groups.map(({ name }, i) => [name, group.values[i]!] as const)
    const values = this.#aggregates.map(
      ({ name, kind, decimals }, i) =>
        [name, valueOf(kind, decimals, group.records, group.states[i]!)] as const,
    )
    return {
      key: Object.fromEntries(key),
      values: Object.fromEntries(values),
      records: group.records,
    }
  }
}

/** Adding 0 makes -0 and 0 the same. */
const plain = (value: number): number | null => (Number.isFinite(value) ? value + 0 : null)

function isGroupValue(value: unknown): value is GroupValue {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'boolean' || value === null
}

function emptyGroup(values: GroupValue[], aggregates: number): Group {
  const states = Array.from({ length: aggregates }, emptyState)
  return { values, records: 0, states }
}

const emptyState = (): State => ({
  count: 0,
  sum: new ExactSum(),
  least: Infinity,
  greatest: -Infinity,
})

function addNumber(state: State, number: number, kind: Aggregates[number]['kind']): void {
  state.count++
  if (kind === 'sum' || kind === 'avg') {
    state.sum.add(number)
  } else {
    state.least = Math.min(state.least, number)
    state.greatest = Math.max(state.greatest, number)
  }
}

function mergeLayer(into: Map<string, Group>, layer: Layer): void {
  for (const [key, group] of layer) {
    const held = into.get(key) ?? emptyGroup(group.values, group.states.length)
    into.set(key, held)
    held.records += group.records
    held.states.forEach((state, i) => mergeState(state, group.states[i]!))
  }
}

function mergeState(into: State, from: State): void {
  into.count += from.count
  into.sum.merge(from.sum)
  into.least = Math.min(into.least, from.least)
  into.greatest = Math.max(into.greatest, from.greatest)
}

function valueOf(
  kind: Aggregates[number]['kind'],
  decimals: number,
  records: number,
  { count, sum, least, greatest }: State,
): number | null {
  switch (kind) {
    case 'count':
      return records
    case 'sum':
      return numberOf(sum.total(), decimals)
    case 'avg':
      return count === 0 ? null : numberOf(meanOf(sum.total(), count), decimals)
    case 'min':
      return count === 0 ? null : least
    case 'max':
      return count === 0 ? null : greatest
    default:
      return kind satisfies never
  }
}
