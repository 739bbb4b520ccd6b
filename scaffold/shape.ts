/**
 * What records look like: for each field which kinds of values it had, how often it was there, and
 * what tells a time, a group and a number from another. Pure.
 *
 *   records (JSON values) → shapeOf → Shape → schema, time, groups, aggregates
 */

/** Different strings that are remembered of a field; more than these are many. */
export const DISTINCT_MOST = 50
/** Objects inside objects that are looked into. */
const DEPTH_MOST = 4
/** An object with more names than this is taken for a dictionary, whose names are data. */
const NAMES_MOST = 100
/** valibot drops them, and `__proto__` means something else where source names it. */
const unusable = new Set(['__proto__', 'constructor', 'prototype'])

export const isUsable = (name: string): boolean => !unusable.has(name)

export interface Shape {
  /** Values seen here, null among them. */
  seen: number
  nulls: number
  booleans: number
  numbers: { count: number; whole: boolean; least: number; greatest: number }
  strings: {
    count: number
    /** In their order, no more than DISTINCT_MOST; `many` where there were more. */
    distinct: Set<string>
    many: boolean
    /** All of them, as far as they may tell a time: no more than DISTINCT_MOST. */
    first: string[]
  }
  arrays: { count: number; of: Shape | null }
  objects: { count: number; fields: Map<string, Shape>; isDictionary: boolean }
}

/** The shape of some values of the same place. */
export function shapeOf(values: readonly unknown[]): Shape {
  const shape = emptyShape()
  for (const value of values) add(shape, value, 0)
  return shape
}

/** Whether the field was missing in some of its objects. */
export const isOptional = (parent: Shape, field: Shape): boolean =>
  field.seen < parent.objects.count

/** The one kind that all values but null have; null where there are several, or none. */
export function kindOf(shape: Shape): 'boolean' | 'number' | 'string' | 'array' | 'object' | null {
  const kinds = kindsOf(shape)
  return kinds.length === 1 ? kinds[0]! : null
}

export function kindsOf(shape: Shape) {
  const counts = [
    ['boolean', shape.booleans],
    ['number', shape.numbers.count],
    ['string', shape.strings.count],
    ['array', shape.arrays.count],
    ['object', shape.objects.count],
  ] as const
  return counts.flatMap(([kind, count]) => (count > 0 ? [kind] : []))
}

export interface Place {
  path: readonly string[]
  shape: Shape
  /** It, or an object that it is in, was missing or null somewhere. */
  mayLack: boolean
  /** It was itself missing somewhere, though what it is in was there. */
  optional: boolean
}

/** All fields with a value of their own, in their order, those of inner objects too. */
export function placesOf(root: Shape): Place[] {
  const walk = (parent: Shape, path: readonly string[], lacks: boolean): Place[] =>
    [...parent.objects.fields].flatMap(([name, shape]) => {
      const here = [...path, name]
      const optional = isOptional(parent, shape)
      const mayLack = lacks || optional || shape.nulls > 0
      if (kindOf(shape) !== 'object') return [{ path: here, shape, mayLack, optional }]
      return shape.objects.isDictionary ? [] : walk(shape, here, mayLack)
    })
  return walk(root, [], false)
}

/** The value at a path of one record; undefined where there is none. */
export function valueAt(record: unknown, path: readonly string[]): unknown {
  let value = record
  for (const name of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

const emptyShape = (): Shape => ({
  seen: 0,
  nulls: 0,
  booleans: 0,
  numbers: { count: 0, whole: true, least: Infinity, greatest: -Infinity },
  strings: { count: 0, distinct: new Set(), many: false, first: [] },
  arrays: { count: 0, of: null },
  objects: { count: 0, fields: new Map(), isDictionary: false },
})

function add(shape: Shape, value: unknown, depth: number): void {
  shape.seen++
  if (value === null) shape.nulls++
  else if (typeof value === 'boolean') shape.booleans++
  else if (typeof value === 'number') addNumber(shape, value)
  else if (typeof value === 'string') addString(shape, value)
  else if (Array.isArray(value)) addArray(shape, value, depth)
  else addObject(shape, value as object, depth)
}

function addNumber({ numbers }: Shape, value: number): void {
  numbers.count++
  numbers.whole &&= Number.isInteger(value)
  numbers.least = Math.min(numbers.least, value)
  numbers.greatest = Math.max(numbers.greatest, value)
}

function addString({ strings }: Shape, value: string): void {
  strings.count++
  if (strings.first.length < DISTINCT_MOST) strings.first.push(value)
  if (strings.distinct.size < DISTINCT_MOST || strings.distinct.has(value)) {
    strings.distinct.add(value)
  } else {
    strings.many = true
  }
}

function addArray(shape: Shape, values: unknown[], depth: number): void {
  shape.arrays.count++
  if (values.length === 0 || depth >= DEPTH_MOST) return
  shape.arrays.of ??= emptyShape()
  for (const value of values) add(shape.arrays.of, value, depth + 1)
}

function addObject({ objects }: Shape, value: object, depth: number): void {
  objects.count++
  if (objects.isDictionary || depth >= DEPTH_MOST) return
  for (const [name, inner] of Object.entries(value)) {
    if (!isUsable(name)) continue
    let field = objects.fields.get(name)
    if (!field) objects.fields.set(name, (field = emptyShape()))
    add(field, inner, depth + 1)
  }
  if (depth === 0 || objects.fields.size <= NAMES_MOST) return
  objects.isDictionary = true
  objects.fields.clear()
}
