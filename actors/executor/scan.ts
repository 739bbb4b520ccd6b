/**
 * Scanning: a record's fields straight from its bytes, for records of a known layout; several times as
 * fast as parsing, because what nobody asks for is checked and passed over, and becomes no string.
 *
 * A scan says yes only to what JSON.parse and the schema would take, and then gives those fields with
 * the very values that they would have. What it does not say yes to is for those two to judge: it may
 * know less than they, never other than they.
 */
import { isUtf8 } from 'node:buffer'
import { type Arena, arena, found, RECORDS, wordOf } from './arena.ts'
import type { Layout } from './layout.ts'
import { flags, type Part, programOf, type ValueType } from './program.ts'
import { type SchemaNode, sourceOf } from './validate.ts'

/**
 * The bytes [start, end) of the records that the arena holds to the fields asked for, as a new object;
 * undefined for no.
 */
export type Scan = (start: number, end: number) => unknown

/** What a scan of one layout needs to know of the schema and of the job. */
export interface Wanted {
  /** The schema's fields, each of which must be there. */
  entries: Readonly<Record<string, SchemaNode>>
  /** Fields to give back. */
  fields: ReadonlySet<string>
}

/** More of a layout would make more code than it saves time. */
const FIXED_BYTES_MAX = 8 * 1024

/**
 * Compiles a layout to the code that reads it; null where the layout has not all of the schema, or a
 * part of the schema can't be judged here.
 */
export function compileScan(layout: Layout, wanted: Wanted): Scan | null {
  const { entries, fields } = wanted
  const names = layout.fields.map(({ name }) => name)
  if (Object.keys(entries).some((name) => !names.includes(name))) return null
  // Every object has these, and valibot drops them.
  if (names.some((name) => name in Object.prototype || name === 'prototype')) return null
  const fixed = [...layout.fields.map(({ before }) => before), layout.after]
  if (fixed.reduce((sum, { length }) => sum + length, 0) > FIXED_BYTES_MAX) return null
  const parts: Part[] = []
  const judged: string[] = []
  for (const { name, before } of layout.fields) {
    const entry = Object.hasOwn(entries, name) ? entries[name] : undefined
    const types = entry ? typesOf(entry) : anyType
    if (types.size === 0) return null
    const plain = !entry || (types.has('string') && isPlain(entry))
    const into = plain && !fields.has(name) ? null : judged.length
    parts.push({ before, types, into })
    if (into === null) continue
    const part = judgedSource(entry!, types, into, `v${names.indexOf(name)}`)
    if (part === null) return null
    judged.push(part)
  }
  const given = [...fields].map((name) => `${JSON.stringify(name)}: v${names.indexOf(name)}`)
  return scanOf(programOf(parts, layout.after), judged, given)
}

/** The program, and around it what is for JavaScript. Into its code go numbers, and names as string literals. */
function scanOf(program: Buffer<ArrayBuffer>, judged: string[], given: string[]): Scan | null {
  const run = arena().load(program)
  if (!run) return null
  const { bytes, words, doubles, strings } = arena()
  const known = { run, arena: arena(), bytes, words, doubles, strings, value, isUtf8 }
  const source = `return (start, end) => {
    const flags = run(start, end)
    if (flags === 0) return
    if (flags & ${flags.wide} && !isUtf8(bytes.subarray(${RECORDS} + start, ${RECORDS} + end))) return
    if (flags & ${flags.left}) arena.settle(${judged.length})
    ${judged.join('\n')}
    return { ${given.join(', ')} }
  }`
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function(...Object.keys(known), source)
  return (make as (...values: unknown[]) => Scan)(...Object.values(known))
}

/** Takes a value out of the arena and judges it by its schema; null where only valibot can. */
function judgedSource(
  entry: SchemaNode,
  types: ReadonlySet<ValueType>,
  field: number,
  name: string,
): string | null {
  const at = wordOf(field)
  const judged = sourceOf(entry, name)
  let source = `value(arena, ${at})`
  if (types.size === 1 && types.has('number')) source = `doubles[${at / 2 + 2}]`
  if (types.size === 1 && types.has('string')) source = `strings[words[${at + 1}]]`
  return judged && `const ${name} = ${source}; if (!(${judged})) return`
}

/** A field that can be of several types, by where it begins in the arena's words. */
function value({ words, doubles, strings }: Arena, at: number): unknown {
  switch (words[at]!) {
    case found.number:
      return doubles[at / 2 + 2]
    case found.known:
      return strings[words[at + 1]!]
    case found.true:
      return true
    case found.false:
      return false
    default:
      return null
  }
}

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
