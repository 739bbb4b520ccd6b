import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { compileSchema, guardOf } from '../../../actors/executor/validate.ts'

const filled = v.pipe(v.string(), v.nonEmpty())

/** Schemas that the shortcut knows, with a name each. */
const schemas: Record<string, v.GenericSchema> = {
  students: v.looseObject({
    timestamp: v.pipe(v.number(), v.finite()),
    course: v.string(),
    lines: v.pipe(v.number(), v.integer(), v.minValue(0)),
    error: v.nullable(v.string()),
  }),
  nested: v.looseObject({
    a: v.looseObject({ b: v.looseObject({ c: v.boolean() }), d: v.unknown() }),
    e: v.nullish(v.literal('x')),
  }),
  choices: v.looseObject({
    a: v.picklist(['x', 'y', 1]),
    b: v.literal(0),
    c: v.null(),
    d: v.optional(v.string()),
  }),
  words: v.looseObject({ a: v.picklist(['x', '"\\\u2028', '__proto__']), b: v.literal(true) }),
  impossible: v.looseObject({ a: v.nullable(v.picklist([])) }),
  limits: v.looseObject({
    a: v.pipe(v.string(), v.minLength(1), v.maxLength(2)),
    b: v.pipe(v.number(), v.safeInteger(), v.maxValue(10), v.minValue(-10)),
  }),
  reused: v.looseObject({ a: v.pipe(filled, v.maxLength(3)), b: v.nullable(filled) }),
  twice: v.looseObject({ a: v.pipe(v.pipe(v.number(), v.minValue(1)), v.maxValue(2)) }),
  trimmed: v.looseObject({ a: v.pipe(v.pipe(v.string(), v.trim()), v.maxLength(3)) }),
  inherited: v.looseObject({ constructor: v.any(), toString: v.unknown(), a: v.string() }),
  plain: v.string(),
  number: v.number(),
  anything: v.unknown(),
}

const leaves = fc.oneof(
  fc.constantFrom('', 'x', 'y', 'ab', ' x ', 'abcd', 0, -0, 1, -1, 1.5, 10, 11, 2 ** 53),
  fc.constantFrom(Infinity, -Infinity, null, true, false, {}, []),
  fc.string(),
  fc.double({ noNaN: true }),
)
const names = fc.constantFrom(
  'a',
  'b',
  'c',
  'd',
  'e',
  'timestamp',
  'course',
  'lines',
  'error',
  'other',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
)
/** An object as JSON.parse would make it: `__proto__` is a field like any other. */
const objectOf = (values: fc.Arbitrary<unknown>) =>
  fc
    .array(fc.tuple(names, values), { maxLength: 9 })
    .map((fields) => Object.fromEntries(fields) as unknown)
const json = fc.oneof(
  { weight: 1, arbitrary: leaves },
  {
    weight: 6,
    arbitrary: objectOf(fc.oneof(leaves, objectOf(fc.oneof(leaves, objectOf(leaves))))),
  },
  { weight: 1, arbitrary: fc.array(leaves, { maxLength: 2 }) },
)

/** Inputs that are nearly what a schema wants, so that yes is met as often as no. */
const nearly = fc.oneof(
  objectOf(leaves).map((more) => ({
    ...(more as object),
    timestamp: 1.5,
    course: 'os',
    lines: 3,
    error: null,
  })),
  fc.tuple(objectOf(leaves), leaves, leaves, leaves).map(([more, a, b, c]) => ({
    ...(more as object),
    a,
    b,
    c,
  })),
  fc.tuple(leaves, leaves).map(([c, e]) => ({ a: { b: { c }, d: 1 }, e })),
  json,
)

describe('the shortcut', () => {
  test.each(Object.entries(schemas))(
    'for %s never says yes where valibot does not',
    (_, schema) => {
      const guard = guardOf(schema)
      fc.assert(
        fc.property(nearly, (input) => {
          if (!guard?.(input)) return
          const parsed = v.safeParse(schema, input)
          expect(parsed.success).toBe(true)
          expect(parsed.output).toEqual(input)
          expect(Object.keys(parsed.output ?? {}).sort()).toEqual(Object.keys(input ?? {}).sort())
        }),
        { numRuns: 1_000 },
      )
    },
  )

  test.each(Object.entries(schemas))('for %s and valibot come to one result', (_, schema) => {
    const validate = compileSchema(schema)
    fc.assert(
      fc.property(nearly, (input) => {
        const parsed = v.safeParse(schema, input)
        const validated = validate(input)
        expect(validated.success).toBe(parsed.success)
        if (validated.success) expect(validated.output).toEqual(parsed.output)
      }),
      { numRuns: 1_000 },
    )
  })

  test.each(['students', 'nested', 'words', 'limits', 'plain', 'number'])(
    'for %s exists, and says yes',
    (name) => {
      const guard = guardOf(schemas[name]!)!
      const good: Record<string, unknown> = {
        students: { timestamp: 1, course: 'os', lines: 0, error: null, more: [1] },
        nested: { a: { b: { c: true }, d: {} }, e: 'x' },
        words: { a: '"\\\u2028', b: true },
        limits: { a: 'ab', b: -10 },
        plain: '',
        number: Infinity,
      }
      expect(guard(good[name])).toBe(true)
    },
  )

  test.each([
    ['object(), which drops fields', v.object({ a: v.string() })],
    ['a transformation', v.looseObject({ a: v.pipe(v.string(), v.transform(Number)) })],
    [
      'a check of one’s own',
      v.looseObject({
        a: v.pipe(
          v.string(),
          v.check(() => true),
        ),
      }),
    ],
    ['a default', v.looseObject({ a: v.optional(v.string(), 'x') })],
    ['a union', v.looseObject({ a: v.union([v.string(), v.number()]) })],
    ['a regular expression', v.looseObject({ a: v.pipe(v.string(), v.regex(/x/g)) })],
  ])('leaves %s to valibot', (_, schema) => {
    expect(guardOf(schema)).toBeNull()
  })
})

test('a message names the field and what is wrong, in bounds', () => {
  const validate = compileSchema(schemas.nested!)
  const message = (input: unknown) => {
    const validated = validate(input)
    return validated.success ? '' : validated.message
  }
  expect(message({ a: { b: { c: 1 } } })).toBe(
    'a.b.c: Invalid type: Expected boolean but received 1',
  )
  expect(message([])).toMatch(/^a: Invalid key/)
  expect(message({ a: { b: { c: 'x'.repeat(9_000) } } }).length).toBeLessThanOrEqual(300)
})
