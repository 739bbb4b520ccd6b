/**
 * Virtual time: events in a heap, one after the other in one thread, and between two of them
 * everything that promises have made ready. An event belongs to a simulated process: what is dead
 * gets none any more, what is stopped gets them when it goes on.
 *
 *   at(when, owner, act) → heap → step() → owner alive? → act → microtasks drained → next
 */
import { drainMicrotasks } from 'bun:jsc'

/** Whoever an event happens to; see processes.ts. */
export interface Owner {
  /** Takes an event now, keeps it for later, or drops it. */
  take(event: Event): 'now' | 'kept' | 'dropped'
}

export interface Event {
  /** Virtual microseconds since the world began. */
  at: number
  order: number
  owner: Owner | null
  /** Null once it is cancelled. */
  act: (() => void) | null
}

export class Time {
  /** Virtual microseconds; whole, so that traces are cheap and exact. */
  nowUs = 0
  /** Events that have happened. */
  steps = 0
  /** In whose event we are: job code that waits asks this. */
  current: Owner | null = null
  #order = 0
  readonly #heap: Event[] = []

  get nowMs(): number {
    return this.nowUs / 1_000
  }

  /** `ms` from now, and never in the past. */
  after(ms: number, owner: Owner | null, act: () => void): Event {
    const at = this.nowUs + Math.max(0, Math.round(ms * 1_000))
    const event = { at, order: this.#order++, owner, act }
    this.#push(event)
    return event
  }

  /** Runs one event as soon as its turn has come; false where there is none left. */
  step(): boolean {
    const event = this.#pop()
    if (!event) return false
    if (event.at > this.nowUs) this.nowUs = event.at
    if (event.act === null) return true
    if (event.owner === null || event.owner.take(event) === 'now') this.run(event)
    return true
  }

  /** An event that a process kept while it was stopped runs by this, too. */
  run(event: Event): void {
    const { act } = event
    if (act === null) return
    event.act = null
    this.steps++
    this.current = event.owner
    act()
    drainMicrotasks()
    this.current = null
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (before(heap[parent]!, event)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (before(last, heap[child]!)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order)
