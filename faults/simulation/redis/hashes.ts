/** Commands of hashes. */
import { type Commands, grow, read, write } from './commands.ts'
import { Hash, type Keyspace } from './keyspace.ts'
import { integer, OK, ReplyError, type Reply } from './reply.ts'

export const hashes: Commands = {
  HGET: read(2, (space, args) => space.hash(args[0]!)?.fields.get(args[1]!) ?? null),
  HMGET: read(2, (space, args) => {
    const fields = space.hash(args[0]!)?.fields
    const found: Reply[] = []
    for (let i = 1; i < args.length; i++) found.push(fields?.get(args[i]!) ?? null)
    return found
  }),
  HGETALL: read(1, (space, args) => flat(space.hash(args[0]!))),
  HKEYS: read(1, (space, [key]) => [...(space.hash(key!)?.fields.keys() ?? [])]),
  HVALS: read(1, (space, [key]) => [...(space.hash(key!)?.fields.values() ?? [])]),
  HLEN: read(1, (space, [key]) => space.hash(key!)?.fields.size ?? 0),
  HSTRLEN: read(2, (space, [key, field]) => space.hash(key!)?.fields.get(field!)?.length ?? 0),
  HEXISTS: read(2, (space, [key, field]) => (space.hash(key!)?.fields.has(field!) ? 1 : 0)),
  HSET: grow(3, (space, args) => set('hset', space, args)),
  HMSET: grow(3, (space, args) => {
    set('hmset', space, args)
    return OK
  }),
  HSETNX: grow(3, (space, [key, field, value]) => {
    const hash = made(space, key!)
    if (hash.fields.has(field!)) return 0
    hash.set(field!, value!)
    return 1
  }),
  HDEL: write(2, (space, args) => {
    const hash = space.hash(args[0]!)
    if (!hash) return 0
    let gone = 0
    for (let i = 1; i < args.length; i++) if (hash.fields.delete(args[i]!)) gone++
    if (hash.fields.size === 0) space.delete(args[0]!)
    return gone
  }),
  HINCRBY: grow(3, increment),
  HSCAN: read(2, scan),
}

/** Field, value, … */
function flat(hash: Hash | undefined): string[] {
  const list: string[] = []
  if (hash) for (const [field, value] of hash.fields) list.push(field, value)
  return list
}

const made = (space: Keyspace, key: string): Hash =>
  space.made(key, space.hash(key), () => new Hash())

function set(name: string, space: Keyspace, args: string[]): number {
  if (args.length % 2 === 0) {
    throw new ReplyError(`ERR wrong number of arguments for '${name}' command`)
  }
  const hash = made(space, args[0]!)
  let added = 0
  for (let i = 1; i < args.length; i += 2) if (hash.set(args[i]!, args[i + 1]!)) added++
  return added
}

const MIN = -(2n ** 63n)
const MAX = 2n ** 63n - 1n

function increment(space: Keyspace, args: string[]): Reply {
  const key = args[0]!
  const field = args[1]!
  const amount = args[2]!
  const by = integer(amount)
  const hash = space.hash(key)
  const held = hash?.fields.get(field) ?? '0'
  let sum: number | bigint = integer(held, 'ERR hash value is not an integer') + by
  if (!Number.isSafeInteger(sum)) {
    sum = BigInt(held) + BigInt(amount)
    if (sum < MIN || sum > MAX) throw new ReplyError('ERR increment or decrement would overflow')
  }
  space.made(key, hash, () => new Hash()).set(field, String(sum))
  return Number(sum)
}

/**
 * A small hash comes whole, in the order of its fields, as in Redis. A large one comes by the hash
 * of its fields, so that what stays in it during all of a scan is met, whatever else comes and goes.
 */
function scan(space: Keyspace, [key, cursor, ...options]: string[]): Reply {
  if (!/^\d+$/.test(cursor!)) throw new ReplyError('ERR invalid cursor')
  let count = 10
  for (let i = 0; i < options.length; i += 2) {
    if (options[i]!.toUpperCase() !== 'COUNT') throw new ReplyError('ERR syntax error')
    count = integer(options[i + 1] ?? '')
  }
  const hash = space.hash(key!)
  if (!hash) return ['0', []]
  if (!hash.large) return ['0', flat(hash)]
  const page: [number, string, string][] = []
  for (const [field, value] of hash.fields) {
    const place = Bun.hash.crc32(field)
    if (place >= Number(cursor)) page.push([place, field, value])
  }
  page.sort((a, b) => a[0] - b[0])
  let end = Math.min(count, page.length)
  while (end < page.length && page[end]![0] === page[end - 1]![0]) end++
  const next = end < page.length ? String(page[end]![0]) : '0'
  return [next, page.slice(0, end).flatMap(([, field, value]) => [field, value])]
}
