/**
 * Scanning: a record's fields straight from its bytes, for records of a known layout; several times as
 * fast as parsing, because what nobody asks for is checked and passed over, and becomes no string.
 *
 * A scan says yes only to what JSON.parse and the schema would take, and then gives those fields with
 * the very values that they would have. What it does not say yes to is for those two to judge: it may
 * know less than they, never other than they.
 */
import { isUtf8 } from 'node:buffer'
import type { Layout } from './layout.ts'
import { type SchemaNode, sourceOf } from './validate.ts'

/** The record's bytes [start, end) to the fields asked for, as a new object; undefined for no. */
export type Scan = (bytes: Buffer, view: DataView, start: number, end: number) => unknown

/** What a scan of one layout needs to know of the schema and of the job. */
export interface Wanted {
  /** The schema's fields, each of which must be there. */
  entries: Readonly<Record<string, SchemaNode>>
  /** Fields to give back. */
  fields: ReadonlySet<string>
}

/**
 * Compiles a layout to the code that reads it; null where the layout has not all of the schema, or a
 * part of the schema can't be judged here. Into the code go numbers, and names as string literals.
 */
export function compileScan(layout: Layout, { entries, fields }: Wanted): Scan | null {
  const names = layout.fields.map(({ name }) => name)
  if (Object.keys(entries).some((name) => !names.includes(name))) return null
  // Every object has these, and valibot drops them.
  if (names.some((name) => name in Object.prototype || name === 'prototype')) return null
  const parts: string[] = []
  for (const [i, { name, before }] of layout.fields.entries()) {
    const entry = Object.hasOwn(entries, name) ? entries[name] : undefined
    const part = valueSource(entry, fields.has(name), `v${i}`)
    if (part === null) return null
    parts.push(fixedSource(before), part)
  }
  const given = [...fields].map((name) => `${JSON.stringify(name)}: v${names.indexOf(name)}`)
  const source = `return (bytes, view, start, end) => {
    let at = start, from = 0, b = 0, hash = 0, wide = false, text = false
    ${parts.join('\n')}
    ${fixedSource(layout.after)}
    if (at !== end || (wide && !isUtf8(bytes.subarray(start, end)))) return
    return { ${given.join(', ')} }
  }`
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function('kinds', 'powers', 'intern', 'decimal', 'isUtf8', source)
  return (make as (...known: unknown[]) => Scan)(kinds, powers, intern, decimal, isUtf8)
}

/** Bytes that stand in every record of the layout. */
function fixedSource(fixed: Buffer): string {
  const words = Math.floor(fixed.length / 4)
  const same = [`at + ${fixed.length} <= end`]
  for (let i = 0; i < words * 4; i += 4) {
    same.push(`view.getInt32(at + ${i}, true) === ${fixed.readInt32LE(i)}`)
  }
  for (let i = words * 4; i < fixed.length; i++) same.push(`bytes[at + ${i}] === ${fixed[i]}`)
  return `if (!(${same.join(' && ')})) return; at += ${fixed.length};`
}

/** Passes over one value and judges it by its schema; into the variable where that needs it. */
function valueSource(entry: SchemaNode | undefined, given: boolean, name: string): string | null {
  const types = entry ? typesOf(entry) : anyType
  if (types.size === 0) return null
  const plain = !entry || (types.has('string') && isPlain(entry))
  if (plain && !given) return branches(types, null)
  const judged = sourceOf(entry!, name)
  if (judged === null) return null
  return `let ${name}\n${branches(types, name)}\nif (!(${judged})) return;`
}

/** What a value begins with decides what it is. `into` is null for one that is passed over. */
function branches(types: ReadonlySet<ValueType>, into: string | null): string {
  const put = (value: string) => (into ? `${into} = ${value}` : '')
  const parts: string[] = []
  if (types.has('string')) parts.push(`if (b === 34) { ${stringSource(into)} }`)
  if (types.has('null')) parts.push(`if (b === 110) { ${wordSource('null')} ${put('null')} }`)
  if (types.has('boolean')) {
    parts.push(`if (b === 116) { ${wordSource('true')} ${put('true')} }`)
    parts.push(`if (b === 102) { ${wordSource('false')} ${put('false')} }`)
  }
  if (types.has('number')) parts.push(`if (b === 45 || (b >= 48 && b <= 57)) { ${number(into)} }`)
  return `b = bytes[at]\n${parts.join(' else ')} else return;`
}

const wordSource = (word: string): string => fixedSource(Buffer.from(word))

/**
 * To the closing quote. Escapes and control characters are for JSON.parse; a byte beyond ASCII is
 * passed over, and whether the whole is UTF-8 is asked once at the end.
 */
function stringSource(into: string | null): string {
  const wide = `if (kinds[b] === 1) { wide = true; ${into ? 'text = true;' : ''} at++; continue }`
  const hash = into ? 'hash = (Math.imul(hash, 31) + b) | 0;' : ''
  return `from = ++at; ${into ? 'hash = 0; text = false;' : ''}
    for (;;) {
      while (kinds[b = bytes[at]] === 0) { ${hash} at++ }
      ${wide}
      break
    }
    if (b !== 34) return
    ${into ? `${into} = text ? bytes.toString('utf8', from, at) : intern(bytes, from, at, hash)` : ''}
    at++`
}

/**
 * JSON's grammar of numbers. Digits are gathered nine at a time, which an int32 holds; together they
 * become a double where that is exact, else `decimal` reads them again.
 */
function number(into: string | null): string {
  const digits = into
    ? `while (b >= 48 && b <= 57) {
        nine = (Math.imul(nine, 10) + b - 48) | 0
        if (++count === 9) { sum = sum * 1e9 + nine; nine = count = 0 }
        b = bytes[++at]
      }`
    : 'while (b >= 48 && b <= 57) b = bytes[++at]'
  return `from = at; let nine = 0, count = 0, sum = 0, places = 0, exact = true
    const negative = b === 45
    if (negative) { b = bytes[++at]; if (!(b >= 48 && b <= 57)) return }
    if (b === 48) b = bytes[++at]
    else ${digits}
    if (b === 46) {
      b = bytes[++at]
      if (!(b >= 48 && b <= 57)) return
      places = at
      ${digits}
      places = at - places
    }
    if (b === 101 || b === 69) {
      exact = false
      b = bytes[++at]
      if (b === 43 || b === 45) b = bytes[++at]
      if (!(b >= 48 && b <= 57)) return
      while (b >= 48 && b <= 57) b = bytes[++at]
    }
    ${into ? doubleSource(into) : ''}`
}

const doubleSource = (into: string): string => `
    sum = sum === 0 ? nine : sum * powers[count] + nine
    if (exact && sum < 9007199254740992 && places < 23) {
      if (places > 0) sum /= powers[places]
      ${into} = negative ? -sum : sum
    } else ${into} = decimal(bytes, from, at)`

type ValueType = 'string' | 'number' | 'boolean' | 'null'
const anyType: ReadonlySet<ValueType> = new Set(['string', 'number', 'boolean', 'null'])

/** What a value may begin with to be worth a look: everything where the schema does not say. */
function typesOf(node: SchemaNode): ReadonlySet<ValueType> {
  switch (node.type) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return new Set([node.type])
    case 'nullable':
    case 'nullish':
      return new Set([...(node.wrapped ? typesOf(node.wrapped) : anyType), 'null'] as const)
    case 'optional':
      return node.wrapped ? typesOf(node.wrapped) : anyType
    default:
      return anyType
  }
}

/** Nothing is asked of the value but its type, which its first byte tells. */
function isPlain(node: SchemaNode): boolean {
  if (node.pipe || node.default !== undefined) return false
  return node.wrapped ? isPlain(node.wrapped) : node.type === 'string'
}

/** Of a byte in a string: 0 plain ASCII, 1 beyond ASCII, 2 the end, an escape or a control character. */
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 128) return 1
  return byte < 32 || byte === 34 || byte === 92 ? 2 : 0
})

/**
 * Up to 10²² powers of ten are exact doubles, and so are integers below 2⁵³: one division of the two is
 * then rounded once, as reading the decimal itself would be (Clinger, "How to read floating point
 * numbers accurately", 1990).
 */
const powers = Float64Array.from({ length: 23 }, (_, exponent) => 10 ** exponent)

const decimal = (bytes: Buffer, from: number, to: number): number =>
  Number(bytes.toString('latin1', from, to))

/** Group values come again and again: the string that is known already, or a new one. */
const known: string[] = Array.from({ length: 4_096 }, () => '')
const INTERNED_MAX = 64

function intern(bytes: Buffer, from: number, to: number, hash: number): string {
  const slot = (hash ^ (hash >>> 12)) & (known.length - 1)
  const text = known[slot]!
  if (text.length === to - from) {
    let i = 0
    while (i < text.length && text.charCodeAt(i) === bytes[from + i]) i++
    if (i === text.length) return text
  }
  const made = bytes.toString('latin1', from, to)
  if (made.length <= INTERNED_MAX) known[slot] = made
  return made
}
