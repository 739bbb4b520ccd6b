/**
 * A stream and its groups, as Redis 7.0 keeps them. Entries lie in nodes of up to 100; an
 * approximate trim drops whole nodes from the front. Redis also ends a node at 4 KiB, which the
 * model does not, so that Redis may have trimmed more, never what lies within the bound.
 */
import { ReplyError } from './reply.ts'

/** Milliseconds and sequence number. */
export interface Id {
  ms: number
  seq: number
}

interface Node {
  live: number
  total: number
}

export interface StreamEntry extends Id {
  id: string
  /** Field, value, … */
  fields: readonly string[]
  node: Node
}

export interface Consumer {
  name: string
  seenAt: number
  pending: number
}

/** An entry that was delivered and not acknowledged. */
export interface Pending extends Id {
  id: string
  consumer: Consumer
  deliveredAt: number
  deliveries: number
}

const NODE_ENTRIES_MAX = 100
/** LIMIT of an approximate trim that gives none. */
const TRIM_LIMIT = 100 * NODE_ENTRIES_MAX

export const least: Id = { ms: 0, seq: 0 }
export const greatest: Id = { ms: Infinity, seq: Infinity }

export const compareIds = (a: Id, b: Id): number =>
  a.ms === b.ms ? (a.seq === b.seq ? 0 : a.seq < b.seq ? -1 : 1) : a.ms < b.ms ? -1 : 1

export const idText = ({ ms, seq }: Id): string => `${ms}-${seq}`

/** @param seq where the text has none */
export function parseId(text: string, seq = 0): Id {
  const dash = text.indexOf('-')
  if (isPlain(text, 0, dash) && isPlain(text, dash + 1, text.length)) {
    return { ms: Number(text.slice(0, dash)), seq: Number(text.slice(dash + 1)) }
  }
  const found = /^(\d{1,20})(?:-(\d{1,20}))?$/.exec(text)
  if (!found) throw new ReplyError('ERR Invalid stream ID specified as stream command argument')
  return { ms: Number(found[1]), seq: found[2] === undefined ? seq : Number(found[2]) }
}

/** Up to 15 digits, as in the ids that streams give: read without a regular expression. */
function isPlain(text: string, from: number, to: number): boolean {
  if (to <= from || to - from > 15) return false
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if (code < 48 || code > 57) return false
  }
  return true
}

/** Where in a list that is sorted by id the first one at or behind `id` stands. */
export function position(list: readonly Id[], id: Id): number {
  let low = 0
  let high = list.length
  // Mostly it is the last, or behind it.
  if (high === 0 || compareIds(list[high - 1]!, id) < 0) return high
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareIds(list[middle]!, id) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export function findById<T extends Id>(list: readonly T[], id: Id): T | undefined {
  const found = list[position(list, id)]
  return found && found.ms === id.ms && found.seq === id.seq ? found : undefined
}

export class Stream {
  entries: StreamEntry[] = []
  groups = new Map<string, Group>()
  last: Id = least
  maxDeleted: Id = least
  added = 0
  #nodes: Node[] = []

  add(id: Id, fields: readonly string[]): StreamEntry {
    let node = this.#nodes.at(-1)
    if (!node || node.total >= NODE_ENTRIES_MAX) {
      node = { live: 0, total: 0 }
      this.#nodes.push(node)
    }
    node.live++
    node.total++
    const entry = { ms: id.ms, seq: id.seq, id: idText(id), fields, node }
    this.entries.push(entry)
    this.last = id
    this.added++
    return entry
  }

  /** The id that `*` means at this time. */
  nextId(now: number): Id {
    return now > this.last.ms ? { ms: now, seq: 0 } : { ms: this.last.ms, seq: this.last.seq + 1 }
  }

  remove(id: Id): boolean {
    const at = position(this.entries, id)
    const entry = this.entries[at]
    if (!entry || compareIds(entry, id) !== 0) return false
    this.entries.splice(at, 1)
    this.#leave(entry)
    if (compareIds(entry, this.maxDeleted) > 0) this.maxDeleted = { ms: entry.ms, seq: entry.seq }
    return true
  }

  trim(lengthMax: number, approximate: boolean, limit?: number): void {
    this.#dropFirst(this.entries.length - lengthMax, approximate, limit)
  }

  /** What lies before an id goes. */
  trimBefore(id: Id, approximate: boolean, limit?: number): void {
    this.#dropFirst(position(this.entries, id), approximate, limit)
  }

  #dropFirst(count: number, approximate: boolean, limit = approximate ? TRIM_LIMIT : 0): void {
    let gone = 0
    while (gone < count) {
      const { node } = this.entries[gone]!
      const whole = gone + node.live <= count
      if (approximate && (!whole || (limit > 0 && gone + node.live > limit))) break
      gone = whole ? gone + node.live : count
    }
    if (gone === 0) return
    for (const entry of this.entries.splice(0, gone)) this.#leave(entry)
  }

  #leave(entry: StreamEntry): void {
    entry.node.live--
    if (entry.node.live > 0) return
    const at = this.#nodes[0] === entry.node ? 0 : this.#nodes.lastIndexOf(entry.node)
    this.#nodes.splice(at, 1)
  }

  copy(): Stream {
    const copy = new Stream()
    const nodes = new Map(this.#nodes.map((node) => [node, { ...node }]))
    copy.#nodes = [...nodes.values()]
    copy.entries = this.entries.map((entry) => ({ ...entry, node: nodes.get(entry.node)! }))
    copy.groups = new Map([...this.groups].map(([name, group]) => [name, group.copy()]))
    copy.last = this.last
    copy.maxDeleted = this.maxDeleted
    copy.added = this.added
    return copy
  }
}

export class Group {
  last: Id
  /** Undefined where Redis does not know it. */
  entriesRead: number | undefined
  readonly consumers: Map<string, Consumer>
  /** By id. */
  readonly pending: Pending[]

  constructor(
    last: Id,
    entriesRead?: number,
    consumers = new Map<string, Consumer>(),
    pending: Pending[] = [],
  ) {
    this.last = last
    this.entriesRead = entriesRead
    this.consumers = consumers
    this.pending = pending
  }

  /** The consumer of this name, made where there is none, seen now. */
  consumer(name: string, now: number): Consumer {
    let consumer = this.consumers.get(name)
    if (!consumer) {
      consumer = { name, seenAt: now, pending: 0 }
      this.consumers.set(name, consumer)
    }
    consumer.seenAt = now
    return consumer
  }

  sortedConsumers(): Consumer[] {
    return [...this.consumers.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  deliver(entry: StreamEntry, consumer: Consumer, now: number): void {
    const at = position(this.pending, entry)
    const held = this.pending[at]
    if (held && compareIds(held, entry) === 0) {
      this.give(held, consumer)
      held.deliveredAt = now
      held.deliveries = 1
      return
    }
    consumer.pending++
    const { id, ms, seq } = entry
    this.pending.splice(at, 0, { id, ms, seq, consumer, deliveredAt: now, deliveries: 1 })
  }

  give(pending: Pending, consumer: Consumer): void {
    pending.consumer.pending--
    consumer.pending++
    pending.consumer = consumer
  }

  acknowledge(id: Id): boolean {
    const at = position(this.pending, id)
    const held = this.pending[at]
    if (!held || compareIds(held, id) !== 0) return false
    this.pending.splice(at, 1)
    held.consumer.pending--
    return true
  }

  /** Forgets a consumer with all that it has pending; says how much that was. */
  forget(name: string): number {
    const consumer = this.consumers.get(name)
    if (!consumer) return 0
    const { pending } = consumer
    for (const held of this.pending.filter((held) => held.consumer === consumer)) {
      this.acknowledge(held)
    }
    this.consumers.delete(name)
    return pending
  }

  copy(): Group {
    const consumers = new Map([...this.consumers].map(([name, held]) => [name, { ...held }]))
    const pending = this.pending.map((held) => ({
      ...held,
      consumer: consumers.get(held.consumer.name)!,
    }))
    return new Group(this.last, this.entriesRead, consumers, pending)
  }
}
