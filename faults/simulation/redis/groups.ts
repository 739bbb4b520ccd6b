/** Commands of consumer groups, as Redis 7.0 answers them. */
import { type Commands, read, write } from './commands.ts'
import { type Keyspace, noSuchKey } from './keyspace.ts'
import { integer, OK, ReplyError, type Reply, syntaxError, UnsupportedError } from './reply.ts'
import {
  compareIds,
  findById,
  Group,
  type Id,
  idText,
  parseId,
  position,
  Stream,
} from './stream.ts'
import { entryReply, pairsOf, readOptions, slice, streamInfo } from './streams.ts'

export const groups: Commands = {
  XREADGROUP: write(6, readGroup),
  XACK: write(3, (space, [key, name, ...ids]) => {
    const wanted = ids.map((id) => parseId(id))
    const group = space.stream(key!)?.groups.get(name!)
    return group ? wanted.filter((id) => group.acknowledge(id)).length : 0
  }),
  XPENDING: read(2, pending),
  XCLAIM: write(5, claim),
  XGROUP: {
    least: 1,
    access: 'grow',
    run: (space, [name, ...args]) => {
      const subcommand = subcommands[name!.toUpperCase()]
      if (!subcommand) throw new UnsupportedError(`XGROUP ${name}`)
      return subcommand(space, args)
    },
  },
  XINFO: read(2, info),
}

/** XGROUP's subcommands that are refused when memory is out. */
export const growing = new Set(['CREATE', 'CREATECONSUMER'])

const subcommands: Record<string, (space: Keyspace, args: string[]) => Reply> = {
  CREATE: create,
  DESTROY: (space, [key, name]) => (existing(space, key!).groups.delete(name!) ? 1 : 0),
  CREATECONSUMER: (space, [key, name, consumer]) => {
    const group = groupOf(space, key!, name!)
    if (group.consumers.has(consumer!)) return 0
    group.consumer(consumer!, space.now)
    return 1
  },
  DELCONSUMER: (space, [key, name, consumer]) => groupOf(space, key!, name!).forget(consumer!),
}

function create(space: Keyspace, [key, name, id, ...options]: string[]): Reply {
  const make = options[0]?.toUpperCase() === 'MKSTREAM'
  if (options.length > (make ? 1 : 0)) throw new UnsupportedError('XGROUP CREATE … ENTRIESREAD')
  const found = space.stream(key!)
  const at = id === '$' ? undefined : parseId(id!)
  const stream = make ? space.made(key!, found, () => new Stream()) : existing(space, key!)
  if (stream.groups.has(name!)) throw new ReplyError('BUSYGROUP Consumer Group name already exists')
  stream.groups.set(name!, new Group(at ?? stream.last))
  return OK
}

function existing(space: Keyspace, key: string): Stream {
  const stream = space.stream(key)
  if (stream) return stream
  throw new ReplyError(
    'ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to ' +
      'use the MKSTREAM option to create an empty stream automatically.',
  )
}

function groupOf(space: Keyspace, key: string, name: string): Group {
  const group = existing(space, key).groups.get(name)
  if (group) return group
  throw new ReplyError(`NOGROUP No such consumer group '${name}' for key name '${key}'`)
}

const noGroup = (key: string, name: string, rest = '') =>
  new ReplyError(`NOGROUP No such key '${key}' or consumer group '${name}'${rest}`)

function readGroup(space: Keyspace, [keyword, name, me, ...rest]: string[]): Reply {
  if (keyword!.toUpperCase() !== 'GROUP') throw syntaxError()
  const { count, wanted } = readOptions(rest)
  const places = wanted.map(([key, after]) => {
    const stream = space.stream(key)
    const group = stream?.groups.get(name!)
    if (!stream || !group) throw noGroup(key, name!, ' in XREADGROUP with GROUP option')
    return { key, after: after === '>' ? undefined : parseId(after), stream, group }
  })
  const found: Reply[] = []
  for (const { key, after, stream, group } of places) {
    if (after) found.push([key, history(space, stream, group, me!, after, count)])
    else if (compareIds(stream.entries.at(-1) ?? group.last, group.last) > 0) {
      const entries = fresh(space, stream, group, me!, count)
      if (entries.length > 0) found.push([key, entries])
    }
  }
  return found.length > 0 ? found : null
}

function fresh(space: Keyspace, stream: Stream, group: Group, me: string, count: number): Reply[] {
  const consumer = group.consumer(me, space.now)
  const start = position(stream.entries, { ms: group.last.ms, seq: group.last.seq + 1 })
  return stream.entries.slice(start, start + count).map((entry) => {
    advance(stream, group, entry)
    group.deliver(entry, consumer, space.now)
    return entryReply(entry)
  })
}

/** Moves the group to an entry, and with it the count of what it has read, where that is known. */
function advance(stream: Stream, group: Group, id: Id): void {
  const known = group.entriesRead !== undefined && !hasTombstones(stream, id)
  if (known) group.entriesRead!++
  else if (stream.added > 0) group.entriesRead = distance(stream, id)
  group.last = { ms: id.ms, seq: id.seq }
}

/** What the consumer has pending behind an id; an entry that is gone has null for fields. */
function history(
  space: Keyspace,
  stream: Stream,
  group: Group,
  me: string,
  after: Id,
  count: number,
): Reply[] {
  const consumer = group.consumer(me, space.now)
  const own = slice(group.pending, `(${idText(after)}`, '+').filter(
    (held) => held.consumer === consumer,
  )
  return own.slice(0, count).map((held) => {
    const entry = findById(stream.entries, held)
    if (!entry) return [held.id, null]
    held.deliveredAt = space.now
    held.deliveries++
    return entryReply(entry)
  })
}

function pending(space: Keyspace, [key, name, ...rest]: string[]): Reply {
  const group = space.stream(key!)?.groups.get(name!)
  if (!group) throw noGroup(key!, name!)
  if (rest.length === 0) return summary(group)
  if (rest[0]!.toUpperCase() === 'IDLE') throw new UnsupportedError('XPENDING … IDLE')
  if (rest.length < 3) throw syntaxError()
  const [from, to, count, consumer] = rest
  const found: Reply[] = []
  for (const held of slice(group.pending, from!, to!)) {
    if (found.length >= integer(count!)) break
    if (consumer !== undefined && held.consumer.name !== consumer) continue
    found.push([held.id, held.consumer.name, space.now - held.deliveredAt, held.deliveries])
  }
  return found
}

function summary(group: Group): Reply {
  if (group.pending.length === 0) return [0, null, null, null]
  const busy = group.sortedConsumers().filter((consumer) => consumer.pending > 0)
  return [
    group.pending.length,
    group.pending[0]!.id,
    group.pending.at(-1)!.id,
    busy.map((consumer) => [consumer.name, String(consumer.pending)]),
  ]
}

function claim(space: Keyspace, [key, name, me, minIdle, ...rest]: string[]): Reply {
  const stream = space.stream(key!)
  const group = stream?.groups.get(name!)
  if (!stream || !group) throw noGroup(key!, name!)
  const idle = integer(minIdle!, 'ERR Invalid min-idle-time argument for XCLAIM')
  const justId = rest.at(-1)!.toUpperCase() === 'JUSTID'
  const ids = (justId ? rest.slice(0, -1) : rest).map((id) => parseId(id))
  return ids.flatMap((id) => {
    const held = findById(group.pending, id)
    const entry = findById(stream.entries, id)
    if (!held) return []
    if (!entry) {
      group.acknowledge(id)
      return []
    }
    if (space.now - held.deliveredAt < idle) return []
    group.give(held, group.consumer(me!, space.now))
    held.deliveredAt = space.now
    if (!justId) held.deliveries++
    return [justId ? entry.id : entryReply(entry)]
  })
}

function info(space: Keyspace, [what, key, name]: string[]): Reply {
  switch (what!.toUpperCase()) {
    case 'STREAM':
      return streamInfo(space, key!)
    case 'GROUPS':
      return groupsInfo(space, key!)
    case 'CONSUMERS': {
      const stream = space.stream(key!)
      if (!stream) throw noSuchKey()
      const group = groupOf(space, key!, name!)
      return group
        .sortedConsumers()
        .map(({ name, pending, seenAt }) =>
          pairsOf({ name, pending, idle: Math.max(0, space.now - seenAt) }),
        )
    }
    default:
      throw new UnsupportedError(`XINFO ${what}`)
  }
}

function groupsInfo(space: Keyspace, key: string): Reply {
  const stream = space.stream(key)
  if (!stream) throw noSuchKey()
  return [...stream.groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, group]) =>
      pairsOf({
        name,
        consumers: group.consumers.size,
        pending: group.pending.length,
        'last-delivered-id': idText(group.last),
        'entries-read': group.entriesRead ?? null,
        lag: lag(stream, group),
      }),
    )
}

function lag(stream: Stream, group: Group): number | null {
  if (stream.added === 0) return 0
  if (group.entriesRead !== undefined && !hasTombstones(stream, group.last)) {
    return stream.added - group.entriesRead
  }
  const read = distance(stream, group.last)
  return read === undefined ? null : stream.added - read
}

/** Whether an entry behind this id was deleted from the middle. */
function hasTombstones(stream: Stream, from: Id): boolean {
  if (stream.entries.length === 0 || compareIds(stream.maxDeleted, { ms: 0, seq: 0 }) === 0)
    return false
  return compareIds(from, stream.maxDeleted) <= 0
}

/** How many entries were added up to this one, where Redis can tell. */
function distance(stream: Stream, id: Id): number | undefined {
  const { entries, last, maxDeleted, added } = stream
  if (added === 0) return 0
  if (entries.length === 0 && compareIds(id, last) < 1) return added
  const order = compareIds(id, last)
  if (order === 0) return added
  if (order > 0) return undefined
  const [head] = entries
  const clean = compareIds(maxDeleted, { ms: 0, seq: 0 }) === 0 || compareIds(maxDeleted, head!) < 0
  if (!clean) return undefined
  if (compareIds(id, head!) < 0) return added - entries.length
  return compareIds(id, head!) === 0 ? added - entries.length + 1 : undefined
}
