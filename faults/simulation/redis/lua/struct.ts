/**
 * struct.pack and struct.unpack of the formats that our functions use: little-endian d and I4, and c0, a
 * string: unpacked, one as long as the number before it, in whose place it comes.
 */
import { num, text } from './operators.ts'
import { LuaError, typeOf, type Value } from './table.ts'

type Field = 'd' | 'I4' | 'c0'

const layouts = new Map<string, Field[]>()
const scratch = Buffer.alloc(8)

function fieldsOf(layout: string): Field[] {
  let fields = layouts.get(layout)
  if (!fields) {
    if (!/^<(?:d|I4|c0)*$/.test(layout)) {
      throw new LuaError(`struct format '${layout}' is not supported here`)
    }
    fields = (layout.match(/d|I4|c0/g) ?? []) as Field[]
    layouts.set(layout, fields)
  }
  return fields
}

export function pack(layout: string, values: Value[]): string {
  const parts = fieldsOf(layout).map((field, i) => {
    const value = values[i]
    if (value === undefined || typeof value === 'boolean') {
      throw new LuaError(`bad argument to 'pack' (got ${typeOf(value)})`)
    }
    if (field === 'c0') return text(value)
    const end =
      field === 'd'
        ? scratch.writeDoubleLE(num(value), 0)
        : scratch.writeUInt32LE(num(value) >>> 0, 0)
    return scratch.toString('latin1', 0, end)
  })
  return parts.join('')
}

/** The values, and behind them the position after the last. */
export function unpackBytes(layout: string, bytes: string, from: number): Value[] {
  const values: Value[] = []
  let at = from - 1
  const take = (size: number) => {
    if (at + size > bytes.length) throw new LuaError('data string too short')
    at += size
    return bytes.slice(at - size, at)
  }
  for (const field of fieldsOf(layout)) {
    if (field === 'c0') {
      values.push(take(num(values.pop())))
      continue
    }
    scratch.write(take(field === 'd' ? 8 : 4), 0, 'latin1')
    values.push(field === 'd' ? scratch.readDoubleLE(0) : scratch.readUInt32LE(0))
  }
  values.push(at + 1)
  return values
}
