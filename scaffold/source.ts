/**
 * TypeScript source made of what the world named and wrote: names and texts get into it as literals
 * and comments that can hold anything. Pure.
 */
import { cutText, escaped, escapedJson } from '../actors/escape.ts'
import { isOptional, isUsable, kindOf, kindsOf, type Shape } from './shape.ts'

/** A string literal, in the quotes that it has fewer of; single ones as a rule. */
export function literal(text: string): string {
  const json = escapedJson(JSON.stringify(text))
  const double = text.split('"').length
  if (text.split("'").length > double) return json
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", String.raw`\'`)}'`
}

const identifier = /^[A-Za-z_$][\w$]*$/

/** A property's name in an object literal or type. */
export const property = (name: string): string => (identifier.test(name) ? name : literal(name))

/** `record.a['b c']` */
export const access = (path: readonly string[]): string =>
  `record${path.map((name) => (identifier.test(name) ? `.${name}` : `[${literal(name)}]`)).join('')}`

/** What may stand behind `//`: one line, whatever it is of. */
export const comment = (text: string, most = 60): string => cutText(escaped(text), most)

/** The valibot schema of a shape; `indent` is what its lines after the first begin with. */
export function schemaSource(shape: Shape, indent: string): string {
  const kinds = kindsOf(shape).map((kind) => kindSource(shape, kind, indent))
  if (kinds.length === 0) return 'v.unknown()'
  const one = kinds.length === 1 ? kinds[0]! : `v.union([${kinds.join(', ')}])`
  return shape.nulls > 0 ? `v.nullable(${one})` : one
}

function kindSource(
  shape: Shape,
  kind: ReturnType<typeof kindsOf>[number],
  indent: string,
): string {
  switch (kind) {
    case 'boolean':
      return 'v.boolean()'
    case 'number':
      return 'v.pipe(v.number(), v.finite())'
    case 'string':
      return 'v.string()'
    case 'array':
      return `v.array(${shape.arrays.of ? schemaSource(shape.arrays.of, indent) : 'v.unknown()'})`
    case 'object':
      return objectSource(shape, indent)
    default:
      return kind satisfies never
  }
}

function objectSource(shape: Shape, indent: string): string {
  const { fields, isDictionary } = shape.objects
  if (isDictionary) return 'v.record(v.string(), v.unknown())'
  if (fields.size === 0) return 'v.looseObject({})'
  const inner = `${indent}  `
  const lines = [...fields].map(([name, field]) => {
    const source = schemaSource(field, inner)
    const whole = isOptional(shape, field) ? `v.optional(${source})` : source
    return `${inner}${property(name)}: ${whole},${exampleOf(field)}\n`
  })
  return `v.looseObject({\n${lines.join('')}${indent}})`
}

/** What a field was seen with, as a comment behind it. */
function exampleOf(shape: Shape): string {
  const { numbers, strings } = shape
  if (kindOf(shape) === 'number') {
    const { least, greatest } = numbers
    return ` // ${least === greatest ? least : `${least} to ${greatest}`}`
  }
  if (kindOf(shape) !== 'string') return ''
  const more = strings.distinct.size > 3 || strings.many ? ', …' : ''
  const some = [...strings.distinct].slice(0, 3).map((text) => comment(text, 24))
  return ` // ${some.join(', ')}${more}`
}

/** A JSON value as source, as it could stand in a test. */
export function valueSource(value: unknown, indent: string): string {
  if (typeof value === 'string') return literal(value)
  if (value === null || typeof value !== 'object') return String(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) return `[${value.map((each) => valueSource(each, inner)).join(', ')}]`
  const entries = Object.entries(value).filter(([name]) => isUsable(name))
  if (entries.length === 0) return '{}'
  const lines = entries.map(
    ([name, each]) => `${inner}${property(name)}: ${valueSource(each, inner)},\n`,
  )
  return `{\n${lines.join('')}${indent}}`
}
