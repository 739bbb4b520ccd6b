/** cjson.encode: byte strings pass as they are, an empty table is an object. */
import { general } from './numbers.ts'
import { LuaError, LuaTable, typeOf, type Value } from './table.ts'

export function encodeJson(value: Value): string {
  if (value === undefined) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value))
      throw new LuaError('Cannot serialise number: must not be NaN or Inf')
    return general(value, 14)
  }
  if (!(value instanceof LuaTable)) throw new LuaError(`Cannot serialise ${typeOf(value)}`)
  if (value.list.length > 0 && !value.rest?.size) {
    return `[${value.list.map(encodeJson).join(',')}]`
  }
  let fields = ''
  for (const key of value.keys()) {
    fields += `${fields && ','}${quote(fieldName(key))}:${encodeJson(value.get(key))}`
  }
  return `{${fields}}`
}

function fieldName(key: Value): string {
  if (typeof key === 'string') return key
  if (typeof key === 'number') return general(key, 14)
  throw new LuaError('Cannot serialise table: table key must be a number or string')
}

// oxlint-disable-next-line no-control-regex -- these are what JSON escapes
const special = /["\\/\x00-\x1f\x7f]/

function quote(text: string): string {
  if (!special.test(text)) return `"${text}"`
  // cjson escapes what JSON.stringify does, and these two.
  return JSON.stringify(text).replaceAll('/', '\\/').replaceAll('\x7f', '\\u007f')
}
