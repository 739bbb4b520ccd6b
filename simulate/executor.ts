/**
 * An executor of the virtual world: one slot, reads a little ahead, commits after some milliseconds
 * of work or when it has nothing more in hand, as the real one does.
 *
 *   starting ──► running ──► draining ──► gone      (or gone at once, by a crash)
 */
import { bounds } from '../actors/config.ts'
import type { Ceiling } from './ceiling.ts'
import type { CostOf } from './cost.ts'
import type { Entry, Stream } from './stream.ts'

export const states = { starting: 'starting', running: 'running', draining: 'draining' } as const

/** What is being worked on until the next commit, and for how long. */
interface Slice {
  parts: { entry: Entry; records: number }[]
  ms: number
}

/** What an executor works on and with. */
export interface Surroundings {
  stream: Stream
  cost: CostOf
  ceiling: Ceiling
}

export class VirtualExecutor {
  readonly id: string
  readonly startedAt: number
  state: (typeof states)[keyof typeof states] = states.starting
  /** When something happens to it by itself: its start is over, or a commit is due. */
  nextAt: number
  crashAt = Infinity
  /** Whether it ever came to work. */
  worked = false
  idleSince = 0
  /** What it says of itself with each heartbeat. */
  told = { at: -Infinity, busyMs: 0 }
  readonly held: Entry[] = []
  readonly #world: Surroundings
  readonly #slowness: number
  #slice: Slice | null = null
  #busyMs = 0
  #records = 0
  #recordsPerEntry = 1
  #handBackAt = Infinity

  constructor(
    name: { id: string; at: number; startMs: number; slowness: number },
    world: Surroundings,
  ) {
    this.id = name.id
    this.startedAt = name.at
    this.nextAt = name.at + name.startMs
    this.#slowness = name.slowness
    this.#world = world
  }

  get idle(): boolean {
    return this.state === states.running && this.#slice === null
  }

  get gone(): boolean {
    return this.state === states.draining && this.#slice === null
  }

  /** Its start is over. */
  run(at: number): void {
    this.state = states.running
    this.worked = true
    this.idleSince = at
    this.nextAt = Infinity
    this.work(at)
  }

  /** Takes what is there and begins; stays idle where nothing is. */
  work(at: number): void {
    if (this.state === states.running) this.#readAhead()
    const slice = this.#next()
    const records = slice.parts.reduce((sum, part) => sum + part.records, 0)
    this.#slice = records > 0 ? slice : null
    if (this.#slice) {
      this.nextAt = this.#world.ceiling.through(at + slice.ms, records)
      slice.ms = this.nextAt - at
    } else {
      this.nextAt = Infinity
      this.idleSince = at
    }
  }

  /** Commits the slice; returns its busy time in ms. */
  commit(at: number): number {
    const slice = this.#slice
    this.#slice = null
    if (!slice) return 0
    for (const { entry, records } of slice.parts) {
      this.#records += records
      this.#world.stream.commit(entry, records, at)
    }
    while (this.held.length > 0 && this.held[0]!.from === this.held[0]!.to) this.held.shift()
    this.#busyMs += slice.ms
    if (at >= this.#handBackAt) this.#handBack()
    return slice.ms
  }

  /** No new entries; what is in hand is finished, or handed back when that takes too long. */
  drain(at: number): void {
    this.state = states.draining
    this.#handBackAt = at + bounds.drainGraceMs / 2
    if (!this.#slice) this.#handBack()
  }

  /** Dies: what it held is another's, and what it had not committed is worked on again. */
  crash(): void {
    this.#slice = null
    this.#handBack()
  }

  /** Its heartbeat, by which the supervisor knows its busy time. */
  beat(at: number): void {
    if (at - this.told.at >= bounds.heartbeatMs) this.told = { at, busyMs: this.#busyMs }
  }

  /** Records in hand, up to the work between two commits. */
  #next(): Slice {
    const slice: Slice = { parts: [], ms: 0 }
    for (const entry of this.held) {
      let records = 0
      while (entry.from + records < entry.to && slice.ms < bounds.commitWorkMs) {
        slice.ms += this.#world.cost.ms(entry.from + records++) * this.#slowness
      }
      if (records > 0) slice.parts.push({ entry, records })
      if (slice.ms >= bounds.commitWorkMs) break
    }
    return slice
  }

  #handBack(): void {
    this.#world.stream.giveBack(this.held.splice(0))
  }

  /** As many entries as some milliseconds of work; one while it does not know what they cost. */
  #readAhead(): void {
    const room = this.#room()
    while (this.held.length < room) {
      const entry = this.#world.stream.take()
      if (!entry) return
      this.#recordsPerEntry = entry.to - entry.from
      this.held.push(entry)
    }
  }

  #room(): number {
    if (this.#records === 0) return 1
    const entryMs = (this.#busyMs / this.#records) * this.#recordsPerEntry
    const wanted = Math.floor(bounds.readAheadMs / Math.max(entryMs, 1e-9))
    return Math.min(Math.max(wanted, 1), bounds.readAheadEntriesMax)
  }
}
