/**
 * What the windows must hold: records go into panes group by group, and windows are put together
 * when they are asked for. Memory grows with panes and groups, not with records. Pure.
 *
 * A record that came when some of its windows were closed counts in the others only: it is kept in a
 * layer of its pane that names up to where windows were closed then.
 */
import type { GroupValue, Job, Meta } from '../actors/job.ts'
import { type ExpectedSession, Sessions } from './sessions.ts'
import {
  type Expectation,
  Misfit,
  type Place,
  type Reader,
  readerOf,
  type State,
} from './states.ts'

export interface ExpectedRow {
  key: Record<string, GroupValue>
  values: Record<string, Expectation>
  /** Records that it is made of. */
  records: number
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

export class Expected {
  readonly #job: Job
  readonly #readers: readonly Reader[]
  readonly #values: unknown[]
  readonly #panes = new Map<number, Pane>()
  /** In place of panes, where the job has them. */
  readonly #sessions: Sessions | null
  #lastStart = Number.NaN
  #lastLayer: Layer = new Map()

  constructor(job: Job) {
    this.#job = job
    this.#readers = job.aggregates.map(({ name, aggregate }) => readerOf(name, aggregate))
    this.#values = job.aggregates.map(() => null)
    const create = () => this.#readers.map((reader) => reader.create())
    this.#sessions = job.gapMs === null ? null : new Sessions(job, create)
  }

  /** Start of the pane that an event time falls into. */
  paneOf(eventTime: number): number {
    const behind = eventTime % this.#job.windowSlideMs
    return eventTime - (behind < 0 ? behind + this.#job.windowSlideMs : behind)
  }

  /** The row's values are read and kept for `add`; false where one does not fit. */
  readValues(row: unknown, meta: Meta): boolean {
    try {
      this.#readers.forEach(({ read }, i) => (this.#values[i] = read(row, meta)))
      return true
    } catch (error) {
      if (error instanceof Misfit) return false
      throw error
    }
  }

  /** The group's values as the pipeline may keep them; null where they can't name a group. */
  groupOf(row: unknown, meta: Meta): { key: string; values: GroupValue[] } | null {
    const values: GroupValue[] = []
    for (const { of } of this.#job.groups) {
      const value = of(row, meta)
      if (!isGroupValue(value)) return null
      values.push(value)
    }
    const key = JSON.stringify(values)
    // In UTF-8 a character is at most three bytes long for each of its UTF-16 units.
    if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) return null
    return { key, values }
  }

  /** Counts the row whose values were read last. */
  add(
    pane: number,
    group: { key: string; values: GroupValue[] },
    place: Place,
    closedTo = NOTHING_CLOSED,
  ): void {
    if (this.#sessions) {
      const behind = closedTo === NOTHING_CLOSED ? null : closedTo
      this.#sessions.add(group, this.#values, place, behind)
      return
    }
    const layer = this.#layerOf(pane, closedTo)
    let held = layer.get(group.key)
    if (!held) {
      held = this.#emptyGroup(group.values)
      layer.set(group.key, held)
    }
    held.records++
    for (let i = 0; i < held.states.length; i++) {
      const value = this.#values[i]
      if (value !== null) held.states[i]!.add(value, place)
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

  /** Sessions that end after `from`, up to `to`. */
  sessions(from: number, to: number): ExpectedSession[] {
    const row = (values: GroupValue[], records: number, states: State[]) =>
      this.#row({ values, records, states })
    return this.#sessions?.between(from, to, row) ?? []
  }

  /** Where a session would end whose last record is of this time. */
  sessionEnd(eventTime: number): number {
    return this.#sessions!.endOf(eventTime)
  }

  /** Forgets the panes whose windows all end at or before `closedTo`, and sessions that do. */
  drop(closedTo: number): void {
    this.#sessions?.drop(closedTo)
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
        if (end > closedTo) this.#mergeLayer(merged, layer)
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

  #emptyGroup(values: GroupValue[]): Group {
    return { values, records: 0, states: this.#readers.map(({ create }) => create()) }
  }

  #mergeLayer(into: Map<string, Group>, layer: Layer): void {
    for (const [key, group] of layer) {
      const held = into.get(key) ?? this.#emptyGroup(group.values)
      into.set(key, held)
      held.records += group.records
      held.states.forEach((state, i) => state.merge(group.states[i]!))
    }
  }

  #row(group: Group): ExpectedRow {
    const key = this.#job.groups.map(({ name }, i) => [name, group.values[i]!] as const)
    const values = this.#readers.map(
      ({ name }, i) => [name, group.states[i]!.value(group.records)] as const,
    )
    return {
      key: Object.fromEntries(key),
      values: Object.fromEntries(values),
      records: group.records,
    }
  }
}

function isGroupValue(value: unknown): value is GroupValue {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'boolean' || value === null
}
