/** The part of Lua's and Redis's libraries that our functions use; the rest is refused by name. */
import { general, numberOf, numberText, whole } from './numbers.ts'
import { asTable, num, text } from './operators.ts'
import { patternOf } from './pattern.ts'
import { encodeJson } from './json.ts'
import { pack, unpackBytes } from './struct.ts'
import { LuaError, type LuaFunction, typeOf, type Value } from './table.ts'

/** More results than this do not fit Lua's stack. */
const UNPACK_MAX = 7_990

function stringOf(value: Value): string {
  if (typeof value === 'string' || typeof value === 'number') return text(value)
  throw new LuaError(`bad argument (string expected, got ${typeOf(value)})`)
}

function numberArgument(value: Value): number {
  if (typeof value === 'number' || typeof value === 'string') return num(value)
  throw new LuaError(`bad argument (number expected, got ${typeOf(value)})`)
}

function tonumber(value: Value, base?: Value): Value {
  if (base !== undefined) throw new LuaError('tonumber with a base is not supported here')
  if (typeof value === 'string') return numberOf(value)
  return typeof value === 'number' ? value : undefined
}

function tostring(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  if (value === undefined) return 'nil'
  if (typeof value === 'boolean') return String(value)
  throw new LuaError(`tostring of a ${typeOf(value)} would be an address`)
}

function unpack(value: Value, from: Value = 1, to?: Value): Value[] {
  const table = asTable(value)
  const start = num(from)
  const end = to === undefined ? table.length : num(to)
  if (end - start >= UNPACK_MAX) throw new LuaError('too many results to unpack')
  if (start === 1 && end === table.list.length) return table.list.slice()
  const values: Value[] = []
  for (let i = start; i <= end; i++) values.push(table.get(i))
  return values
}

/** Lua's position, which may count from the end, as one that counts from 1. */
const position = (at: number, size: number): number => (at >= 0 ? at : Math.max(0, size + at + 1))

function sub(value: Value, from: Value, to: Value = -1): string {
  const string = stringOf(value)
  const start = Math.max(1, position(numberArgument(from), string.length))
  const end = Math.min(string.length, position(numberArgument(to), string.length))
  return start > end ? '' : string.slice(start - 1, end)
}

function byte(value: Value, from: Value = 1, to: Value = from): Value[] {
  const part = sub(value, from, to)
  return Array.from({ length: part.length }, (_, i) => part.charCodeAt(i))
}

function format(value: Value, ...args: Value[]): string {
  if (value === '%.0f') return whole(numberArgument(args[0]))
  let at = 0
  return stringOf(value).replace(
    /%(?:%|\.(\d+)([fg])|([ds])|([^]?))/g,
    (found, size, kind, plain) => {
      if (found === '%%') return '%'
      const arg = args[at++]
      if (plain === 's') return stringOf(arg)
      if (plain === 'd') return whole(Math.trunc(numberArgument(arg)))
      if (kind === 'g') return general(numberArgument(arg), Number(size))
      if (kind === 'f' && Number(size) === 0) return whole(numberArgument(arg))
      if (kind === 'f') return numberArgument(arg).toFixed(Number(size))
      throw new LuaError(`string.format of '${found}' is not supported here`)
    },
  )
}

/** The captures of a match, or all of it where the pattern has none. */
function captures(found: RegExpExecArray): Value[] {
  return found.length === 1 ? [found[0]] : found.slice(1)
}

function search(string: Value, pattern: Value, init: Value): RegExpExecArray | null {
  const subject = stringOf(string)
  const regex = patternOf(stringOf(pattern))
  regex.lastIndex = Math.max(1, position(num(init), subject.length)) - 1
  return regex.exec(subject)
}

function find(string: Value, pattern: Value, init: Value = 1, plain?: Value): Value | Value[] {
  if (plain !== undefined && plain !== false) {
    const subject = stringOf(string)
    const wanted = stringOf(pattern)
    const at = subject.indexOf(wanted, Math.max(1, position(num(init), subject.length)) - 1)
    return at < 0 ? undefined : [at + 1, at + wanted.length]
  }
  const found = search(string, pattern, init)
  if (!found) return undefined
  return [found.index + 1, found.index + found[0].length, ...found.slice(1)]
}

function match(string: Value, pattern: Value, init: Value = 1): Value | Value[] {
  const found = search(string, pattern, init)
  return found ? captures(found) : undefined
}

function gmatch(string: Value, pattern: Value): LuaFunction {
  const subject = stringOf(string)
  const source = stringOf(pattern)
  if (source.startsWith('^')) throw new LuaError('gmatch with ^ is not supported here')
  const matches = subject.matchAll(patternOf(source))
  return () => {
    const { value } = matches.next()
    return value ? captures(value) : undefined
  }
}

function insert(value: Value, ...args: Value[]): Value[] {
  const table = asTable(value)
  if (args.length === 1) table.set(table.length + 1, args[0])
  else {
    const at = numberArgument(args[0])
    const size = table.length
    if (at < 1 || at > size + 1 || args[1] === undefined) {
      throw new LuaError('table.insert outside of the list is not supported here')
    }
    table.list.splice(at - 1, 0, args[1])
  }
  return []
}

/** By Lua's own order; numbers only. */
function sort(value: Value): Value[] {
  const { list } = asTable(value)
  if (list.some((item) => typeof item !== 'number')) {
    throw new LuaError('table.sort of anything but numbers is not supported here')
  }
  ;(list as number[]).sort((a, b) => a - b)
  return []
}

function concat(value: Value, separator: Value = ''): string {
  return asTable(value).list.map(text).join(text(separator))
}

const numbers = (args: Value[]): number[] => args.map(numberArgument)

/** Name → function or constant; `ipairs` and `pairs` exist in `for` alone. */
export const library: Record<string, LuaFunction | number> = {
  tonumber,
  tostring,
  unpack,
  type: typeOf,
  error: (value) => {
    throw new LuaError(typeof value === 'string' ? value : 'error with a value')
  },
  'string.format': format,
  'string.rep': (value, count) => stringOf(value).repeat(Math.max(0, numberArgument(count))),
  'string.sub': sub,
  'string.byte': byte,
  'string.len': (value) => stringOf(value).length,
  'string.lower': (value) => stringOf(value).replace(/[A-Z]+/g, (part) => part.toLowerCase()),
  'string.upper': (value) => stringOf(value).replace(/[a-z]+/g, (part) => part.toUpperCase()),
  'string.find': find,
  'string.match': match,
  'string.gmatch': gmatch,
  'table.insert': insert,
  'table.concat': concat,
  'table.sort': sort,
  'math.floor': (value) => Math.floor(numberArgument(value)),
  'math.ceil': (value) => Math.ceil(numberArgument(value)),
  'math.abs': (value) => Math.abs(numberArgument(value)),
  'math.min': (...args) => numbers(args).reduce((a, b) => (b < a ? b : a)),
  'math.max': (...args) => numbers(args).reduce((a, b) => (b > a ? b : a)),
  'math.huge': Infinity,
  'struct.pack': (layout, ...args) => pack(stringOf(layout), args),
  'struct.unpack': (layout, bytes, at) =>
    unpackBytes(stringOf(layout), stringOf(bytes), at === undefined ? 1 : num(at)),
  'cjson.encode': (value) => encodeJson(value),
}

/** Functions that return exactly one value, with what kind of value that is. */
export const singles: Record<string, 'number' | 'string' | 'any'> = {
  tonumber: 'any',
  tostring: 'string',
  type: 'string',
  'string.format': 'string',
  'string.rep': 'string',
  'string.sub': 'string',
  'string.len': 'number',
  'string.lower': 'string',
  'string.upper': 'string',
  'string.gmatch': 'any',
  'table.concat': 'string',
  'math.floor': 'number',
  'math.ceil': 'number',
  'math.abs': 'number',
  'math.min': 'number',
  'math.max': 'number',
  'struct.pack': 'string',
  'cjson.encode': 'string',
  'redis.call': 'any',
  'redis.pcall': 'any',
}
