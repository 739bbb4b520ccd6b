/** Commands of streams without groups. */
import { type Commands, grow, read, write } from './commands.ts'
import { type Keyspace, noSuchKey } from './keyspace.ts'
import { integer, ReplyError, type Reply, syntaxError, UnsupportedError } from './reply.ts'
import {
  compareIds,
  greatest,
  type Id,
  idText,
  least,
  parseId,
  position,
  Stream,
  type StreamEntry,
} from './stream.ts'

export const streams: Commands = {
  XADD: grow(4, add),
  XLEN: read(1, (space, [key]) => space.stream(key!)?.entries.length ?? 0),
  XDEL: write(2, (space, [key, ...ids]) => {
    const wanted = ids.map((id) => parseId(id))
    const stream = space.stream(key!)
    return stream ? wanted.filter((id) => stream.remove(id)).length : 0
  }),
  XTRIM: write(3, (space, args) => {
    const trim = trimming(args, 1)
    const stream = space.stream(args[0]!)
    if (!stream || !trim) return 0
    const before = stream.entries.length
    trim.apply(stream)
    return before - stream.entries.length
  }),
  XRANGE: read(3, (space, [key, from, to, ...options]) => range(space, key!, from!, to!, options)),
  XREVRANGE: read(3, (space, [key, to, from, ...options]) =>
    range(space, key!, from!, to!, options, true),
  ),
  XREAD: read(3, readStreams),
}

export const entryReply = ({ id, fields }: StreamEntry): Reply => [id, [...fields]]

/** MAXLEN or MINID at `args[at]`, if it is there. */
function trimming(
  args: string[],
  at: number,
): { next: number; apply: (stream: Stream) => void } | undefined {
  const option = args[at]!.toUpperCase()
  if (option === 'NOMKSTREAM') throw new UnsupportedError(`XADD … ${option}`)
  if (option !== 'MAXLEN' && option !== 'MINID') return undefined
  const sign = args[at + 1]
  let next = at + (sign === '~' || sign === '=' ? 2 : 1)
  const bound = args[next++] ?? ''
  const lengthMax = option === 'MAXLEN' ? integer(bound) : 0
  if (lengthMax < 0) throw new ReplyError('ERR The MAXLEN argument must be >= 0.')
  let limit: number | undefined
  if (args[next]?.toUpperCase() === 'LIMIT') {
    limit = integer(args[next + 1] ?? '')
    next += 2
  }
  const apply = (stream: Stream) =>
    option === 'MAXLEN'
      ? stream.trim(lengthMax, sign === '~', limit)
      : stream.trimBefore(parseId(bound), sign === '~', limit)
  return { next, apply }
}

function add(space: Keyspace, args: string[]): Reply {
  const trim = trimming(args, 1)
  const at = trim?.next ?? 1
  const fields = args.slice(at + 1)
  if (fields.length === 0 || fields.length % 2 !== 0) {
    throw new ReplyError("ERR wrong number of arguments for 'xadd' command")
  }
  const given = args[at] === '*' ? undefined : parseId(args[at]!)
  if (given && compareIds(given, least) === 0) {
    throw new ReplyError('ERR The ID specified in XADD must be greater than 0-0')
  }
  const key = args[0]!
  const stream = space.made(key, space.stream(key), () => new Stream())
  if (given && compareIds(given, stream.last) <= 0) {
    throw new ReplyError(
      'ERR The ID specified in XADD is equal or smaller than the target stream top item',
    )
  }
  const entry = stream.add(given ?? stream.nextId(space.now), fields)
  trim?.apply(stream)
  space.added.add(key)
  return entry.id
}

/** A bound of a range: `-`, `+`, an id, or `(` and an id that is itself not in the range. */
export function bound(text: string, end: 'from' | 'to'): { id: Id; open: boolean } {
  if (text === '-') return { id: least, open: false }
  if (text === '+') return { id: greatest, open: false }
  const open = text.startsWith('(')
  return { id: parseId(open ? text.slice(1) : text, end === 'from' ? 0 : Infinity), open }
}

const isAt = (list: readonly Id[], at: number, id: Id): boolean =>
  at < list.length && compareIds(list[at]!, id) === 0

/** The part of a list sorted by id that lies in a range. */
export function slice<T extends Id>(list: readonly T[], from: string, to: string): T[] {
  const [low, high] = [bound(from, 'from'), bound(to, 'to')]
  let start = position(list, low.id)
  let end = position(list, high.id)
  if (low.open && isAt(list, start, low.id)) start++
  if (!high.open && isAt(list, end, high.id)) end++
  return list.slice(start, Math.max(start, end))
}

function range(
  space: Keyspace,
  key: string,
  from: string,
  to: string,
  options: string[],
  backwards = false,
): Reply {
  const count = countOf(options)
  bound(from, 'from')
  bound(to, 'to')
  const stream = space.stream(key)
  if (!stream) return []
  if (count === 0) return null
  const found = slice(stream.entries, from, to)
  if (backwards) found.reverse()
  return (count === undefined ? found : found.slice(0, count)).map(entryReply)
}

function countOf(options: string[]): number | undefined {
  if (options.length === 0) return undefined
  if (options.length !== 2 || options[0]!.toUpperCase() !== 'COUNT') throw syntaxError()
  return Math.max(0, integer(options[1]!))
}

/** COUNT and the keys with their ids, of XREAD and XREADGROUP; BLOCK is the caller's affair. */
export function readOptions(args: string[]): { count: number; wanted: [string, string][] } {
  let count = Infinity
  for (let i = 0; i < args.length; i++) {
    const option = args[i]!.toUpperCase()
    if (option === 'COUNT') count = integer(args[++i] ?? '') || Infinity
    else if (option === 'BLOCK')
      integer(args[++i] ?? '', 'ERR timeout is not an integer or out of range')
    else if (option === 'STREAMS') return { count, wanted: pairs(args.slice(i + 1)) }
    else if (option === 'NOACK') throw new UnsupportedError('NOACK')
    else throw syntaxError()
  }
  throw syntaxError()
}

function pairs(names: string[]): [string, string][] {
  if (names.length === 0 || names.length % 2 !== 0) {
    throw new ReplyError(
      "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
    )
  }
  const half = names.length / 2
  return names.slice(0, half).map((key, i) => [key, names[half + i]!])
}

function readStreams(space: Keyspace, args: string[]): Reply {
  const { count, wanted } = readOptions(args)
  const found: Reply[] = []
  for (const [key, after] of wanted) {
    const stream = space.stream(key)
    if (after === '$' || !stream) continue
    const entries = slice(stream.entries, `(${idText(parseId(after))}`, '+').slice(0, count)
    if (entries.length > 0) found.push([key, entries.map(entryReply)])
  }
  return found.length > 0 ? found : null
}

export function streamInfo(space: Keyspace, key: string): Reply {
  const stream = space.stream(key)
  if (!stream) throw noSuchKey()
  const { entries, last, maxDeleted, added, groups } = stream
  const entry = (found: StreamEntry | undefined) => (found ? entryReply(found) : null)
  return pairsOf({
    length: entries.length,
    'radix-tree-keys': 1,
    'radix-tree-nodes': 2,
    'last-generated-id': idText(last),
    'max-deleted-entry-id': idText(maxDeleted),
    'entries-added': added,
    'recorded-first-entry-id': entries[0]?.id ?? '0-0',
    groups: groups.size,
    'first-entry': entry(entries[0]),
    'last-entry': entry(entries.at(-1)),
  })
}

/** Name, value, … */
export const pairsOf = (fields: Record<string, Reply>): Reply[] =>
  Object.entries(fields).flatMap((pair) => pair)
