/** Lua's values: nil is undefined, a string is a byte string with one character a byte. */

export type Value = undefined | boolean | number | string | LuaTable | LuaFunction

/** One value, or the list of them where there is none or more than one. */
export type Values = Value | Value[]
export type LuaFunction = (...args: Value[]) => Values

/** What Lua calls an error: a message, or a table as redis.call raises it. */
export class LuaError extends Error {
  override readonly name = 'LuaError'
}

export class LuaTable {
  /** The values of 1 … n; a nil among them stays as a hole, never at the end. */
  list: Value[]
  rest: Map<Value, Value> | undefined
  #holes = false

  /** @param list becomes the table's own */
  constructor(list: Value[] = []) {
    this.list = list
    if (list.length === 0 || !list.includes(undefined)) return
    while (list.length > 0 && list[list.length - 1] === undefined) list.pop()
    this.#holes = list.includes(undefined)
  }

  /** A table of values of which none is nil. */
  static of(list: Value[]): LuaTable {
    const table = new LuaTable()
    table.list = list
    return table
  }

  get(key: Value): Value {
    if (typeof key === 'number') {
      const value = this.list[key - 1]
      if (value !== undefined) return value
    }
    return this.rest?.get(key)
  }

  /** What a constructor of tables says of a name. */
  put(key: string, value: Value): this {
    if (value !== undefined) (this.rest ??= new Map()).set(key, value)
    return this
  }

  set(key: Value, value: Value): void {
    if (typeof key === 'number') {
      const { list } = this
      if (key === list.length + 1 && value !== undefined) return this.#push(key, value)
      if (key >= 1 && key <= list.length && Number.isInteger(key)) return this.#replace(key, value)
    }
    if (key === undefined || key !== key) throw new LuaError('table index is nil or NaN')
    if (value === undefined) this.rest?.delete(key)
    else (this.rest ??= new Map()).set(key, value)
  }

  /** @throws LuaError where Lua's answer would be one of several */
  get length(): number {
    if (this.#holes && this.list.includes(undefined)) {
      throw new LuaError('the length of a table with holes is undefined')
    }
    return this.list.length
  }

  /** In an order that Lua leaves open. */
  keys(): Value[] {
    const keys: Value[] = []
    for (let i = 0; i < this.list.length; i++) if (this.list[i] !== undefined) keys.push(i + 1)
    if (this.rest) for (const key of this.rest.keys()) keys.push(key)
    return keys
  }

  #push(key: number, value: Value): void {
    this.list.push(value)
    const { rest } = this
    if (!rest || rest.size === 0) return
    rest.delete(key)
    for (let next = key + 1; rest.has(next); next++) {
      this.list.push(rest.get(next))
      rest.delete(next)
    }
  }

  #replace(key: number, value: Value): void {
    const { list } = this
    list[key - 1] = value
    if (value !== undefined) return
    this.#holes = true
    while (list.length > 0 && list[list.length - 1] === undefined) list.pop()
  }
}

export function typeOf(value: Value): string {
  if (value === undefined) return 'nil'
  return value instanceof LuaTable ? 'table' : typeof value
}
