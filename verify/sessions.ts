/**
 * What the sessions must be, from each group's event times in any order.
 *
 * Records less than the gap apart are one session, unless it was closed when one of them came. Only of a
 * record behind what was closed can that be, and of each such record the pipeline's verdict says to where
 * it was. So all others are put together as they come, and those are put in afterwards, in the order of
 * their verdicts: first goes what was closed by then, whole, and then they join what is left. Pure.
 */
import type { GroupValue, Job } from '../actors/job.ts'
import type { ExpectedRow } from './expected.ts'
import type { Place, State } from './states.ts'

export interface ExpectedSession extends ExpectedRow {
  /** Epoch ms. */
  start: number
  end: number
}

interface Span {
  first: number
  last: number
  records: number
  states: State[]
}

/** A record that was behind what was closed. */
interface Behind {
  closedTo: number
  place: Place
  values: readonly unknown[]
}

interface Group {
  values: GroupValue[]
  /** Apart from each other, in order. */
  spans: Span[]
  behind: Behind[]
}

export class Sessions {
  readonly #gapMs: number
  readonly #maxMs: number
  readonly #create: () => State[]
  readonly #groups = new Map<string, Group>()

  constructor(job: Job, create: () => State[]) {
    this.#gapMs = job.gapMs!
    this.#maxMs = job.windowSizeMs
    this.#create = create
  }

  /** `closedTo`: of the verdict; null for a record that was not behind. */
  add(
    { key, values }: { key: string; values: GroupValue[] },
    read: readonly unknown[],
    place: Place,
    closedTo: number | null,
  ): void {
    const group = this.#groups.get(key) ?? { values, spans: [], behind: [] }
    this.#groups.set(key, group)
    if (closedTo === null) this.#put(group.spans, place, read)
    else group.behind.push({ closedTo, place, values: [...read] })
  }

  /** All that end after `from`, up to `to`; `row` makes a row of a group's records. */
  between(
    from: number,
    to: number,
    row: (values: GroupValue[], records: number, states: State[]) => ExpectedRow,
  ): ExpectedSession[] {
    return [...this.#groups.values()].flatMap((group) =>
      this.#whole(group)
        .filter((span) => this.endOf(span.last) > from && this.endOf(span.last) <= to)
        .map(({ first, last, records, states }) => ({
          start: first,
          end: this.endOf(last),
          ...row(group.values, records, states),
        })),
    )
  }

  /** Forgets what ends at or before `closedTo`. */
  drop(closedTo: number): void {
    for (const [key, group] of this.#groups) {
      group.spans = this.#whole(group).filter(({ last }) => this.endOf(last) > closedTo)
      group.behind = []
      if (group.spans.length === 0) this.#groups.delete(key)
    }
  }

  endOf(last: number): number {
    return Math.min(last + this.#gapMs, last - mod(last, this.#maxMs) + this.#maxMs)
  }

  #whole({ spans, behind }: Group): Span[] {
    if (behind.length === 0) return spans
    const closed: Span[] = []
    let open = spans.map((span) => this.#copy(span))
    const moments = Map.groupBy(behind, ({ closedTo }) => closedTo)
    for (const moment of [...moments.keys()].sort((a, b) => a - b)) {
      const isOpen = ({ last }: Span) => this.endOf(last) > moment
      closed.push(...open.filter((span) => !isOpen(span)))
      open = open.filter(isOpen)
      for (const { place, values } of moments.get(moment)!) this.#put(open, place, values)
    }
    return [...closed, ...open]
  }

  #put(spans: Span[], place: Place, values: readonly unknown[]): void {
    const [time] = place
    const near = this.#near(spans, time)
    const [span = this.#begin(spans, time), ...others] = near
    for (const other of others) {
      join(span, other)
      spans.splice(spans.indexOf(other), 1)
    }
    span.first = Math.min(span.first, time)
    span.last = Math.max(span.last, time)
    span.records++
    values.forEach((value, i) => {
      if (value !== null) span.states[i]!.add(value, place)
    })
  }

  /** Those that a record at this time joins. */
  #near(spans: Span[], time: number): Span[] {
    const near: Span[] = []
    for (let i = this.#from(spans, time - this.#gapMs); i < spans.length; i++) {
      const span = spans[i]!
      if (span.first >= time + this.#gapMs) break
      if (this.#piece(span.first) === this.#piece(time)) near.push(span)
    }
    return near
  }

  #begin(spans: Span[], time: number): Span {
    const span = { first: time, last: time, records: 0, states: this.#create() }
    spans.splice(this.#from(spans, time), 0, span)
    return span
  }

  /** Index of the first that ends with a record after `time`. */
  #from(spans: Span[], time: number): number {
    let [low, high] = [0, spans.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (spans[middle]!.last > time) high = middle
      else low = middle + 1
    }
    return low
  }

  #copy(span: Span): Span {
    const copy = { ...span, records: 0, states: this.#create() }
    join(copy, span)
    return copy
  }

  #piece(time: number): number {
    return (time - mod(time, this.#maxMs)) / this.#maxMs
  }
}

function join(into: Span, from: Span): void {
  into.first = Math.min(into.first, from.first)
  into.last = Math.max(into.last, from.last)
  into.records += from.records
  into.states.forEach((state, i) => state.merge(from.states[i]!))
}

/** Without a sum: of a span that is all of time it would not be exact. */
function mod(time: number, span: number): number {
  const rest = time % span
  return rest < 0 ? rest + span : rest
}
