/** What generated code calls for Lua's operators, where their operands' types are not known. */
import { numberOf, numberText } from './numbers.ts'
import { LuaError, LuaTable, type LuaFunction, typeOf, type Value, type Values } from './table.ts'

/** What `return` without a value returns. */
export const none: Value[] = []

export const first = (values: Values): Value => (Array.isArray(values) ? values[0] : values)
export const all = (values: Values): Value[] => (Array.isArray(values) ? values : [values])
export const truthy = (value: Value): boolean => value !== undefined && value !== false

export function call(callee: Value): LuaFunction {
  if (typeof callee === 'function') return callee
  throw new LuaError(`attempt to call a ${typeOf(callee)} value`)
}

/** Calls with whatever another call has returned, mostly one value. */
export const apply = (callee: LuaFunction, values: Values): Values =>
  Array.isArray(values) ? callee(...values) : callee(values)

export function index(object: Value, key: Value): Value {
  if (object instanceof LuaTable) return object.get(key)
  throw new LuaError(`attempt to index a ${typeOf(object)} value (field '${fieldName(key)}')`)
}

/** By a name that stands in the source. */
export function field(object: Value, name: string): Value {
  if (object instanceof LuaTable) return object.rest?.get(name)
  return index(object, name)
}

export function setIndex(object: Value, key: Value, value: Value): void {
  if (!(object instanceof LuaTable)) {
    throw new LuaError(`attempt to index a ${typeOf(object)} value (field '${fieldName(key)}')`)
  }
  object.set(key, value)
}

const fieldName = (key: Value): string => (typeof key === 'string' ? key : '?')

/** A table of list values, then keys and values in turns. */
export function build(list: Value[], ...pairs: Value[]): LuaTable {
  const table = new LuaTable(list)
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i + 1] !== undefined) table.set(pairs[i], pairs[i + 1])
  }
  return table
}

export function asTable(value: Value): LuaTable {
  if (value instanceof LuaTable) return value
  throw new LuaError(`bad argument #1 (table expected, got ${typeOf(value)})`)
}

/** A number for arithmetic; Lua takes a string that looks like one. */
export function num(value: Value): number {
  if (typeof value === 'number') return value
  const number = typeof value === 'string' ? numberOf(value) : undefined
  if (number !== undefined) return number
  throw new LuaError(`attempt to perform arithmetic on a ${typeOf(value)} value`)
}

export const add = (a: Value, b: Value): number =>
  typeof a === 'number' && typeof b === 'number' ? a + b : num(a) + num(b)
export const subtract = (a: Value, b: Value): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : num(a) - num(b)
export const multiply = (a: Value, b: Value): number => num(a) * num(b)
export const divide = (a: Value, b: Value): number => num(a) / num(b)
export const power = (a: Value, b: Value): number => num(a) ** num(b)

export function modulo(a: Value, b: Value): number {
  const [left, right] = [num(a), num(b)]
  return left - Math.floor(left / right) * right
}

export function text(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  throw new LuaError(`attempt to concatenate a ${typeOf(value)} value`)
}

export function length(value: Value): number {
  if (typeof value === 'string') return value.length
  if (value instanceof LuaTable) return value.length
  throw new LuaError(`attempt to get length of a ${typeOf(value)} value`)
}

export function less(a: Value, b: Value): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b
  if (typeof a === 'string' && typeof b === 'string') return a < b
  throw incomparable(a, b)
}

export function lessOrEqual(a: Value, b: Value): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a <= b
  if (typeof a === 'string' && typeof b === 'string') return a <= b
  throw incomparable(a, b)
}

export const greater = (a: Value, b: Value): boolean => less(b, a)
export const greaterOrEqual = (a: Value, b: Value): boolean => lessOrEqual(b, a)

function incomparable(a: Value, b: Value): LuaError {
  const [left, right] = [typeOf(a), typeOf(b)]
  return new LuaError(
    left === right
      ? `attempt to compare two ${left} values`
      : `attempt to compare ${left} with ${right}`,
  )
}

/** A bound of a numeric `for`. */
export function bound(value: Value): number {
  const number = typeof value === 'string' ? numberOf(value) : value
  if (typeof number === 'number') return number
  throw new LuaError("'for' bounds and step must be numbers")
}
