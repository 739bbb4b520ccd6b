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
  value.list.forEach((item, i) => {
    if (item !== undefined) fields += `${fields && ','}"${i + 1}":${encodeJson(item)}`
  })
  if (value.rest) {
    for (const [key, item] of value.rest) {
      fields += `${fields && ','}${quote(fieldName(key))}:${encodeJson(item)}`
    }
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
/** What cjson escapes, and JSON.stringify does not. */
const alsoSpecial = /[/\x7f]/

function quote(text: string): string {
  if (!special.test(text)) return `"${text}"`
  const quoted = JSON.stringify(text)
  if (!alsoSpecial.test(text)) return quoted
  return quoted.replaceAll('/', '\\/').replaceAll('\x7f', '\\u007f')
}
