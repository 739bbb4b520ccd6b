/** Commands of strings, sets, sorted sets, and of keys of any kind. */
import { type Commands, grow, read, write } from './commands.ts'
import { Hash, type Keyspace, Members, Scores, StringValue } from './keyspace.ts'
import { general } from './lua/numbers.ts'
import {
  integer,
  OK,
  ReplyError,
  type Reply,
  Status,
  syntaxError,
  UnsupportedError,
} from './reply.ts'

export const strings: Commands = {
  GET: read(1, (space, [key]) => space.string(key!)?.value ?? null),
  MGET: read(1, (space, keys) =>
    keys.map((key) => {
      const found = space.find(key)
      return found instanceof StringValue ? found.value : null
    }),
  ),
  SET: grow(2, set),
  SETEX: grow(3, (space, [key, seconds, value]) => set(space, [key!, value!, 'EX', seconds!])),
  PSETEX: grow(3, (space, [key, ms, value]) => set(space, [key!, value!, 'PX', ms!])),
  SETNX: grow(2, (space, [key, value]) => (set(space, [key!, value!, 'NX']) === null ? 0 : 1)),
  STRLEN: read(1, (space, [key]) => space.string(key!)?.value.length ?? 0),
  INCRBY: grow(2, (space, [key, amount]) => increment(space, key!, amount!)),
  INCR: grow(1, (space, [key]) => increment(space, key!, '1')),
}

function set(space: Keyspace, [key, value, ...options]: string[]): Reply {
  let expiry: number | undefined
  let condition: string | undefined
  for (let i = 0; i < options.length; i++) {
    const option = options[i]!.toUpperCase()
    if (option === 'NX' || option === 'XX') condition = option
    else if (option === 'PX' || option === 'EX') {
      const time = integer(options[++i] ?? '') * (option === 'EX' ? 1_000 : 1)
      if (time <= 0) throw new ReplyError("ERR invalid expire time in 'set' command")
      expiry = space.now + time
    } else if (/^(?:GET|KEEPTTL|EXAT|PXAT)$/.test(option)) {
      throw new UnsupportedError(`SET … ${option}`)
    } else throw syntaxError()
  }
  const exists = space.find(key!) !== undefined
  if ((condition === 'NX' && exists) || (condition === 'XX' && !exists)) return null
  space.set(key!, new StringValue(value!))
  space.expire(key!, expiry)
  return OK
}

function increment(space: Keyspace, key: string, amount: string): number {
  const held = space.string(key)
  const sum = integer(held?.value ?? '0') + integer(amount)
  if (!Number.isSafeInteger(sum)) throw new UnsupportedError('INCRBY past 2^53')
  if (held) held.value = String(sum)
  else space.set(key, new StringValue(String(sum)))
  return sum
}

export const sets: Commands = {
  SADD: grow(2, (space, [key, ...names]) => {
    const { members } = space.made(key!, space.members(key!), () => new Members())
    const before = members.size
    for (const name of names) members.add(name)
    return members.size - before
  }),
  SREM: write(2, (space, [key, ...names]) => {
    const members = space.members(key!)?.members
    if (!members) return 0
    const gone = names.filter((name) => members.delete(name)).length
    if (members.size === 0) space.delete(key!)
    return gone
  }),
  SISMEMBER: read(2, (space, [key, name]) => (space.members(key!)?.members.has(name!) ? 1 : 0)),
  SMISMEMBER: read(2, (space, [key, ...names]) => {
    const members = space.members(key!)?.members
    return names.map((name) => (members?.has(name) ? 1 : 0))
  }),
  SMEMBERS: read(1, (space, [key]) => [...(space.members(key!)?.members ?? [])]),
  SCARD: read(1, (space, [key]) => space.members(key!)?.members.size ?? 0),
}

const score = (value: number): string => general(value, 17)

export const sortedSets: Commands = {
  ZADD: grow(3, (space, [key, ...pairs]) => {
    if (/^(?:NX|XX|GT|LT|CH|INCR)$/i.test(pairs[0]!)) throw new UnsupportedError('ZADD options')
    if (pairs.length % 2 !== 0) throw syntaxError()
    const values = pairs.filter((_, i) => i % 2 === 0).map(scoreOf)
    const { scores } = space.made(key!, space.scores(key!), () => new Scores())
    const before = scores.size
    values.forEach((value, i) => scores.set(pairs[2 * i + 1]!, value))
    return scores.size - before
  }),
  ZREM: write(2, (space, [key, ...names]) => {
    const scores = space.scores(key!)?.scores
    if (!scores) return 0
    const gone = names.filter((name) => scores.delete(name)).length
    if (scores.size === 0) space.delete(key!)
    return gone
  }),
  ZSCORE: read(2, (space, [key, name]) => {
    const value = space.scores(key!)?.scores.get(name!)
    return value === undefined ? null : score(value)
  }),
  ZRANGEBYSCORE: read(3, (space, [key, from, to, ...options]) => {
    const [least, greatest] = [scoreOf(from!), scoreOf(to!)]
    const ranked = ranking(space.scores(key!)?.scores)
    const found = ranked.filter(([, value]) => value >= least && value <= greatest)
    const [option, skipped, most] = options
    if (option === undefined) return found.map(([name]) => name)
    if (option.toUpperCase() !== 'LIMIT' || options.length !== 3) {
      throw new UnsupportedError(`ZRANGEBYSCORE … ${options.join(' ')}`)
    }
    const first = integer(skipped!)
    return found.slice(first, first + integer(most!)).map(([name]) => name)
  }),
  ZCARD: read(1, (space, [key]) => space.scores(key!)?.scores.size ?? 0),
  ZRANGE: read(3, (space, [key, from, to, ...options]) => {
    const ranked = ranking(space.scores(key!)?.scores)
    const [option] = options
    if (option !== undefined && option.toUpperCase() !== 'WITHSCORES') {
      throw new UnsupportedError(`ZRANGE … ${option}`)
    }
    const place = (text: string) => {
      const at = integer(text)
      return at < 0 ? ranked.length + at : at
    }
    const found = ranked.slice(Math.max(0, place(from!)), place(to!) + 1)
    return option
      ? found.flatMap(([name, value]) => [name, score(value)])
      : found.map(([name]) => name)
  }),
}

const ranking = (scores: ReadonlyMap<string, number> = new Map()): [string, number][] =>
  [...scores].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))

function scoreOf(text: string): number {
  const infinite = /^([-+]?)inf(?:inity)?$/i.exec(text)
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity
  if (text.trim() === '' || !/^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(text)) {
    throw new ReplyError('ERR value is not a valid float')
  }
  return Number(text)
}

export const anyKeys: Commands = {
  EXISTS: read(1, (space, keys) => keys.filter((key) => space.find(key)).length),
  DEL: write(1, remove),
  UNLINK: write(1, remove),
  TYPE: read(1, (space, [key]) => new Status(typeName(space, key!))),
  KEYS: read(1, (space, [pattern]) => space.names().filter((name) => glob(pattern!).test(name))),
  SCAN: read(1, (space, [, ...options]) => {
    const at = options.findIndex((option) => option.toUpperCase() === 'MATCH')
    const wanted = at < 0 ? undefined : glob(options[at + 1]!)
    return ['0', space.names().filter((name) => !wanted || wanted.test(name))]
  }),
  DBSIZE: read(0, (space) => space.names().length),
  PERSIST: write(1, (space, [key]) => (space.find(key!) && space.expire(key!, undefined) ? 1 : 0)),
  PEXPIRE: write(2, (space, [key, ms]) => expire(space, key!, integer(ms!))),
  EXPIRE: write(2, (space, [key, seconds]) => expire(space, key!, integer(seconds!) * 1_000)),
  PTTL: read(1, (space, [key]) => remaining(space, key!)),
  TTL: read(1, (space, [key]) => {
    const ms = remaining(space, key!)
    return ms < 0 ? ms : Math.round(ms / 1_000)
  }),
  FLUSHALL: write(0, flush),
  FLUSHDB: write(0, flush),
  PING: read(0, (_, [text]) => text ?? new Status('PONG')),
  ECHO: read(1, (_, [text]) => text!),
  TIME: read(0, ({ now }) => {
    const seconds = Math.floor(now / 1_000)
    return [String(seconds), String(Math.floor((now - seconds * 1_000) * 1_000))]
  }),
  INFO: read(
    0,
    () => '# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n',
  ),
}

function remove(space: Keyspace, keys: string[]): number {
  return keys.filter((key) => space.find(key) && space.delete(key)).length
}

function flush(space: Keyspace): Reply {
  space.clear()
  return OK
}

function typeName(space: Keyspace, key: string): string {
  const found = space.find(key)
  if (!found) return 'none'
  if (found instanceof StringValue) return 'string'
  if (found instanceof Hash) return 'hash'
  if (found instanceof Members) return 'set'
  return found instanceof Scores ? 'zset' : 'stream'
}

function expire(space: Keyspace, key: string, ms: number): number {
  if (!space.find(key)) return 0
  if (ms <= 0) space.delete(key)
  else space.expire(key, space.now + ms)
  return 1
}

function remaining(space: Keyspace, key: string): number {
  if (!space.find(key)) return -2
  const expiry = space.expiry(key)
  return expiry === undefined ? -1 : expiry - space.now
}

/** Redis's glob without sets: * and ?. */
function glob(pattern: string): RegExp {
  if (/[[\\]/.test(pattern)) throw new UnsupportedError(`the pattern ${pattern}`)
  const text = pattern.replace(/[.+^${}()|\]]/g, '\\$&').replaceAll('*', '[^]*')
  return new RegExp(`^${text.replaceAll('?', '[^]')}$`)
}
