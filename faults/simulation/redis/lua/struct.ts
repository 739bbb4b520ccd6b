/** struct.pack and struct.unpack of the formats that our functions use: little-endian d and I4. */
import { num } from './operators.ts'
import { LuaError, typeOf, type Value } from './table.ts'

type Field = 'd' | 'I4'

const layouts = new Map<string, Field[]>()
const scratch = Buffer.alloc(64 * 1_024)

function fieldsOf(layout: string): Field[] {
  let fields = layouts.get(layout)
  if (!fields) {
    if (!/^<(?:d|I4)*$/.test(layout)) {
      throw new LuaError(`struct format '${layout}' is not supported here`)
    }
    fields = (layout.match(/d|I4/g) ?? []) as Field[]
    layouts.set(layout, fields)
  }
  return fields
}

export function pack(layout: string, values: Value[]): string {
  let at = 0
  fieldsOf(layout).forEach((field, i) => {
    const value = values[i]
    if (value === undefined || typeof value === 'boolean') {
      throw new LuaError(`bad argument to 'pack' (number expected, got ${typeOf(value)})`)
    }
    if (field === 'd') at = scratch.writeDoubleLE(num(value), at)
    else at = scratch.writeUInt32LE(num(value) >>> 0, at)
  })
  return scratch.toString('latin1', 0, at)
}

/** The values, and behind them the position after the last. */
export function unpackBytes(layout: string, bytes: string, from: number): Value[] {
  const fields = fieldsOf(layout)
  const values: Value[] = []
  let at = from - 1
  const size = fields.reduce((sum, field) => sum + (field === 'd' ? 8 : 4), 0)
  if (at + size > bytes.length) throw new LuaError('data string too short')
  scratch.write(bytes.slice(at, at + size), 0, 'latin1')
  let read = 0
  for (const field of fields) {
    values.push(field === 'd' ? scratch.readDoubleLE(read) : scratch.readUInt32LE(read))
    read += field === 'd' ? 8 : 4
  }
  at += size
  values.push(at + 1)
  return values
}
