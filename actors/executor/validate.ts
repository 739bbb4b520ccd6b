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
type Guard = (input: unknown) => boolean

export function compileSchema(schema: v.GenericSchema): Validate {
  const guard = guardOf(schema)
  return (input) => {
    if (guard?.(input)) return { success: true, output: input }
    const parsed = v.safeParse(schema, input)
    if (parsed.success) return { success: true, output: parsed.output }
    return { success: false, message: messageOfIssue(parsed.issues[0]) }
  }
}

interface SchemaNode {
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
  return guardOfNode(schema)
}

function guardOfNode(node: SchemaNode): Guard | null {
  if (!node.pipe) return guardOfType(node)
  const guards = node.pipe.map((part, i) => (i === 0 ? guardOfNode(part) : guardOfAction(part)))
  if (guards.some((guard) => guard === null)) return null
  const all = guards as Guard[]
  if (all.length === 2) {
    const [type, action] = all as [Guard, Guard]
    return (input) => type(input) && action(input)
  }
  return (input) => all.every((guard) => guard(input))
}

function guardOfType(node: SchemaNode): Guard | null {
  switch (node.type) {
    case 'string':
      return (input) => typeof input === 'string'
    case 'number':
      // valibot's number() refuses NaN, which JSON has not, and takes Infinity, which 1e400 is.
      return (input) => typeof input === 'number' && !Number.isNaN(input)
    case 'boolean':
      return (input) => typeof input === 'boolean'
    case 'null':
      return (input) => input === null
    case 'unknown':
    case 'any':
      return () => true
    case 'literal': {
      const { literal } = node
      return (input) => input === literal
    }
    case 'picklist': {
      const options = new Set(node.options)
      return (input) => options.has(input)
    }
    case 'nullable':
    case 'optional':
    case 'nullish':
      return guardOfWrapper(node)
    case 'loose_object':
      return guardOfLooseObject(node)
    default:
      // object() drops unknown fields, so even what it accepts it does not give back as it is.
      return null
  }
}

function guardOfWrapper(node: SchemaNode): Guard | null {
  if (node.default !== undefined || !node.wrapped) return null
  const inner = guardOfNode(node.wrapped)
  if (!inner) return null
  const { type } = node
  return (input) =>
    inner(input) ||
    (input === null && type !== 'optional') ||
    (input === undefined && type !== 'nullable')
}

function guardOfLooseObject(node: SchemaNode): Guard | null {
  const names = Object.keys(node.entries ?? {})
  // A field that every object has by its prototype: what counts as missing is valibot's to judge.
  if (names.some((name) => name in Object.prototype)) return null
  const guards = names.map((name) => guardOfNode(node.entries![name]!))
  if (guards.some((guard) => guard === null)) return null
  const fields = guards as Guard[]
  const count = names.length
  return (input) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) return false
    // Own fields of these three names are dropped by valibot; it decides such records itself.
    if (Object.hasOwn(input, '__proto__')) return false
    const record = input as Record<string, unknown>
    if (record.constructor !== Object || record.prototype !== undefined) return false
    for (let i = 0; i < count; i++) {
      const value = record[names[i]!]
      // A missing field is valibot's to judge.
      if (value === undefined || !fields[i]!(value)) return false
    }
    return true
  }
}

function guardOfAction(node: SchemaNode): Guard | null {
  const { requirement } = node
  switch (node.type) {
    case 'finite':
      return (input) => Number.isFinite(input)
    case 'integer':
      return (input) => Number.isInteger(input)
    case 'safe_integer':
      return (input) => Number.isSafeInteger(input)
    case 'min_value':
      return typeof requirement === 'number' ? (input) => (input as number) >= requirement : null
    case 'max_value':
      return typeof requirement === 'number' ? (input) => (input as number) <= requirement : null
    case 'min_length':
      return (input) => (input as string).length >= (requirement as number)
    case 'max_length':
      return (input) => (input as string).length <= (requirement as number)
    case 'non_empty':
      return (input) => (input as string).length > 0
    default:
      return null
  }
}

function messageOfIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue)
  return `${path ? `${path}: ` : ''}${issue.message}`.slice(0, 300)
}
