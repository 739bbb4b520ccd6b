/**
 * Validation: valibot decides, and for the schemas that most records have (objects of strings,
 * numbers and the like, without transformations) a compiled shortcut says yes at a tenth of the
 * cost. Whatever the shortcut does not say yes to, valibot sees; so it may be incomplete, never wrong.
 */
import * as v from 'valibot'

/** A record's output, or the first thing that is wrong with it. */
export type Validated = { success: true; output: unknown } | { success: false; message: string }

export type Validate = (input: unknown) => Validated

/** Answers true only where valibot would accept the input and give it back as it is. */
export type Guard = (input: unknown) => boolean

export function compileSchema(schema: v.GenericSchema): Validate {
  const guard = guardOf(schema)
  return (input) => {
    if (guard?.(input)) return { success: true, output: input }
    const parsed = v.safeParse(schema, input)
    if (parsed.success) return { success: true, output: parsed.output }
    return { success: false, message: messageOfIssue(parsed.issues[0]) }
  }
}

/** What a schema is made of, as far as the shortcuts look into it. */
export interface SchemaNode {
  type: string
  pipe?: readonly SchemaNode[]
  kind?: string
  entries?: Record<string, SchemaNode>
  wrapped?: SchemaNode
  default?: unknown
  options?: readonly unknown[]
  literal?: unknown
  requirement?: unknown
}

/** The shortcut for a schema; null where it has a part that only valibot knows. */
export function guardOf(schema: v.GenericSchema): Guard | null {
  const source = nodeSource(schema, 'input', 0)
  if (source === null) return null
  // Compiled, because fields read by name in the code itself are found ten times as fast as through
  // a list. Only names and numbers of the job's own schema get into it, each as a JSON literal.
  // oxlint-disable-next-line typescript/no-implied-eval
  return new Function('input', `return ${source}`) as Guard
}

/** The code that judges the value in a variable; null where only valibot can. */
export const sourceOf = (node: SchemaNode, variable: string): string | null =>
  nodeSource(node, variable, 0)

function nodeSource(node: SchemaNode, at: string, depth: number): string | null {
  if (!node.pipe) return typeSource(node, at, depth)
  return all(
    node.pipe.map((part, i) => (i === 0 ? nodeSource(part, at, depth) : actionSource(part, at))),
  )
}

function typeSource(node: SchemaNode, at: string, depth: number): string | null {
  switch (node.type) {
    case 'string':
    case 'boolean':
      return `typeof ${at} === '${node.type}'`
    case 'number':
      // valibot's number() refuses NaN, which JSON has not, and takes Infinity, which 1e400 is.
      return `typeof ${at} === 'number' && ${at} === ${at}`
    case 'null':
      return `${at} === null`
    case 'unknown':
    case 'any':
      return 'true'
    case 'literal':
      return literalSource(at, node.literal)
    case 'picklist':
      return any((node.options ?? []).map((option) => literalSource(at, option)))
    case 'nullable':
    case 'optional':
    case 'nullish':
      return wrapperSource(node, at, depth)
    case 'loose_object':
      return looseObjectSource(node, at, depth)
    default:
      // object() drops unknown fields, so even what it accepts it does not give back as it is.
      return null
  }
}

function wrapperSource(node: SchemaNode, at: string, depth: number): string | null {
  if (node.default !== undefined || !node.wrapped) return null
  const missing = node.type === 'optional' ? 'undefined' : 'null'
  const also = node.type === 'nullish' ? `${at} === undefined` : 'false'
  return any([`${at} === ${missing}`, also, nodeSource(node.wrapped, at, depth)])
}

/** A missing field, and own fields of the three names that valibot drops, are valibot's to judge. */
function looseObjectSource(node: SchemaNode, at: string, depth: number): string | null {
  const names = Object.keys(node.entries ?? {})
  // Nor can a field be told missing that every object has by its prototype.
  if (names.some((name) => name in Object.prototype)) return null
  const value = `v${depth}`
  const fields = Object.entries(node.entries ?? {}).map(([name, entry]) => {
    const source = nodeSource(entry, value, depth + 1)
    return (
      source && `(${value} = ${at}[${JSON.stringify(name)}], ${value} !== undefined && ${source})`
    )
  })
  const source = all([
    `typeof ${at} === 'object' && ${at} !== null && !Array.isArray(${at})`,
    `!Object.hasOwn(${at}, '__proto__')`,
    `${at}.constructor === Object && ${at}.prototype === undefined`,
    ...fields,
  ])
  // Each level has a variable of its own for the field at hand.
  return source && `((${value}) => ${source})()`
}

function actionSource(node: SchemaNode, at: string): string | null {
  const bound = typeof node.requirement === 'number' ? String(node.requirement) : null
  switch (node.type) {
    case 'finite':
      return `Number.isFinite(${at})`
    case 'integer':
      return `Number.isInteger(${at})`
    case 'safe_integer':
      return `Number.isSafeInteger(${at})`
    case 'min_value':
      return bound && `${at} >= ${bound}`
    case 'max_value':
      return bound && `${at} <= ${bound}`
    case 'min_length':
      return bound && `${at}.length >= ${bound}`
    case 'max_length':
      return bound && `${at}.length <= ${bound}`
    case 'non_empty':
      return `${at}.length > 0`
    default:
      return null
  }
}

function literalSource(at: string, literal: unknown): string | null {
  const plain = /^(string|boolean)$/.test(typeof literal) || Number.isFinite(literal)
  return plain ? `${at} === ${JSON.stringify(literal)}` : null
}

const all = (parts: (string | null)[]) => joined(['true', ...parts], ' && ')
const any = (parts: (string | null)[]) => joined(['false', ...parts], ' || ')

function joined(parts: (string | null)[], operator: string): string | null {
  return parts.includes(null) ? null : `(${parts.join(operator)})`
}

function messageOfIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue)
  return `${path ? `${path}: ` : ''}${issue.message}`.slice(0, 300)
}
