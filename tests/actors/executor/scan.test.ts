import { isUtf8 } from 'node:buffer'
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { arena } from '../../../actors/executor/arena.ts'
import { layoutOf } from '../../../actors/executor/layout.ts'
import { compileScan, type Scan } from '../../../actors/executor/scan.ts'
import type { SchemaNode } from '../../../actors/executor/validate.ts'

type Schema = v.GenericSchema & { entries: Record<string, SchemaNode> }
const schemaOf = (entries: v.ObjectEntries) => v.looseObject(entries) as unknown as Schema

const students = schemaOf({
  at: v.pipe(v.number(), v.finite()),
  id: v.string(),
  course: v.string(),
  lines: v.pipe(v.number(), v.integer(), v.minValue(0)),
  error: v.nullable(v.string()),
  busy: v.boolean(),
  level: v.picklist(['low', 'high', 3]),
  note: v.nullish(v.pipe(v.string(), v.maxLength(3))),
  free: v.number(),
  any: v.unknown(),
})
const record = {
  at: 1764115200.123,
  id: 'CS-1',
  course: 'Linear Algebra',
  lines: 7,
  error: null,
  busy: true,
  level: 'low',
  note: 'abc',
  free: -1.5,
  any: 'x',
  beyond: 12,
  further: 'text',
}
const wanted = ['at', 'course', 'lines', 'error', 'busy', 'level', 'note', 'any']

function scanOf(schema: Schema, sample: string, fields: string[]): Scan {
  return compileScan(layoutOf(sample)!, { entries: schema.entries, fields: new Set(fields) })!
}

/** In the middle of other bytes, as records lie in a batch. */
function scan(scanner: Scan, text: string | Buffer): unknown {
  const record = Buffer.from(text as string)
  const bytes = Buffer.concat([Buffer.from('"'), record, Buffer.from('}'.repeat(9))])
  arena().hold(bytes)
  return scanner(1, 1 + record.length)
}

/** What the long way makes of it: the whole record, or undefined for one that it refuses or changes. */
function parsed(schema: Schema, bytes: Buffer): Record<string, unknown> | undefined {
  if (!isUtf8(bytes)) return undefined
  try {
    const json: unknown = JSON.parse(bytes.toString())
    const result = v.safeParse(schema, json)
    return result.success ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function expectAgreement(schema: Schema, scanner: Scan, bytes: Buffer, fields: string[]): boolean {
  const row = scan(scanner, bytes) as Record<string, unknown> | undefined
  if (row === undefined) return false
  const whole = parsed(schema, bytes)
  if (!whole) throw new Error(`scanned what is refused: ${bytes.toString()}`)
  expect(Object.keys(row)).toEqual(fields)
  for (const field of fields) {
    if (!Object.is(row[field], whole[field])) {
      throw new Error(`${field} is ${String(row[field])} in ${bytes.toString()}`)
    }
  }
  return true
}

const sample = JSON.stringify(record)
const scanner = scanOf(students, sample, wanted)

describe('a scan', () => {
  test('gives the fields that were asked for', () => {
    expect(scan(scanner, sample)).toEqual(
      Object.fromEntries(Object.entries(record).filter(([name]) => wanted.includes(name))),
    )
  })

  const others = fc.record({
    at: fc.double({ noNaN: true, noDefaultInfinity: true }),
    id: fc.string({ unit: 'grapheme' }),
    course: fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ maxLength: 99 })),
    lines: fc.oneof(fc.nat(), fc.integer(), fc.double({ noNaN: true })),
    error: fc.oneof(fc.constant(null), fc.string(), fc.nat()),
    busy: fc.oneof(fc.boolean(), fc.constant(null)),
    level: fc.constantFrom('low', 'high', 3, 'other', 4, null),
    note: fc.oneof(fc.string({ maxLength: 5 }), fc.constant(null), fc.nat()),
    free: fc.oneof(fc.double({ noNaN: true }), fc.string()),
    any: fc.oneof(fc.string(), fc.nat(), fc.boolean(), fc.constant(null), fc.constant({})),
    beyond: fc.oneof(fc.nat(), fc.string(), fc.constant([])),
    further: fc.oneof(fc.string(), fc.constant(null), fc.boolean()),
  })

  test('agrees with JSON.parse and valibot wherever it says yes', () => {
    let yes = 0
    fc.assert(
      fc.property(others, (other) => {
        if (expectAgreement(students, scanner, Buffer.from(JSON.stringify(other)), wanted)) yes++
      }),
      { numRuns: 20_000 },
    )
    // About 220 of them are records that a scan takes; the rest have an escape somewhere.
    expect(yes).toBeGreaterThan(100)
  })

  test('agrees with them on records that are damaged by some bytes', () => {
    const valid = fc.record({
      at: fc.double({ noNaN: true, noDefaultInfinity: true }),
      lines: fc.nat(),
      id: fc.string({ unit: 'grapheme' }),
      course: fc.string({ unit: 'grapheme' }),
    })
    const byte = fc.oneof(
      fc.constantFrom(...Buffer.from('"\\{}[],: \n\t0123456789.eE+-ntf')),
      fc.integer({ min: 0, max: 255 }),
    )
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 2 }), byte), { maxLength: 3 })
    let yes = 0
    fc.assert(
      fc.property(valid, edits, (values, changes) => {
        const bytes = [...Buffer.from(JSON.stringify({ ...record, ...values }))]
        for (const [place, kind, value] of changes) {
          const at = place % bytes.length
          if (kind === 0) bytes[at] = value
          else bytes.splice(at, kind === 1 ? 1 : 0, ...(kind === 1 ? [] : [value]))
        }
        if (expectAgreement(students, scanner, Buffer.from(bytes), wanted)) yes++
      }),
      { numRuns: 30_000 },
    )
    expect(yes).toBeGreaterThan(3_000)
  })
})

describe('a number', () => {
  const numbers = schemaOf({ n: v.number() })
  const one = scanOf(numbers, '{"n":1}', ['n'])
  const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`))
  const whole = fc.oneof(
    fc.constant('0'),
    digits(25).map((text) => text.replace(/^0+(?=.)/, '')),
  )
  const text = fc
    .tuple(
      fc.constantFrom('', '-'),
      whole,
      fc.option(digits(25)),
      fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-'), digits(3))),
    )
    .map(([sign, integer, places, exponent]) =>
      [sign, integer, places === null ? '' : `.${places}`, exponent?.join('') ?? ''].join(''),
    )

  test('is the double that JSON.parse reads, however many digits it has', () => {
    fc.assert(
      fc.property(text, (number) => {
        const row = scan(one, `{"n":${number}}`) as { n: number }
        if (!Object.is(row.n, JSON.parse(number))) throw new Error(`${number} is ${row.n}`)
      }),
      { numRuns: 50_000 },
    )
  })

  test('that a clock gives is', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e9, max: 2e9, noNaN: true }),
        fc.nat({ max: 9 }),
        (at, places) => {
          for (const number of [String(at), at.toFixed(places)]) {
            expect((scan(one, `{"n":${number}}`) as { n: number }).n).toBe(Number(number))
          }
        },
      ),
    )
  })

  const wrong = [
    '',
    '-',
    '01',
    '-01',
    '1.',
    '.5',
    '1.e3',
    '1e',
    '1e+',
    '+1',
    '0x1',
    'NaN',
    '1 1',
    '--1',
  ]
  test.each(wrong)('is not %p', (number) => {
    expect(scan(one, `{"n":${number}}`)).toBeUndefined()
  })
})

describe('a string', () => {
  const strings = schemaOf({ a: v.string(), b: v.string() })
  const one = scanOf(strings, '{"a":"x","b":"y"}', ['a'])

  test('is itself, again and again, and beside others', () => {
    const values = [
      '',
      'x',
      'coding',
      'Linear Algebra',
      'café',
      '日本',
      '🙂',
      'x'.repeat(500),
      '\uFFFD',
    ]
    for (const value of [...values, ...values]) {
      expect(scan(one, JSON.stringify({ a: value, b: value }))).toEqual({ a: value })
    }
  })

  test('of any length is itself, known or not, up to the end of the records', () => {
    const both = scanOf(strings, '{"a":"x","b":"y"}', ['a', 'b'])
    for (const round of ['a', 'b', 'a']) {
      for (let length = 0; length < 100; length++) {
        const row = { a: round.repeat(length), b: `${round.repeat(length)}!` }
        const bytes = Buffer.from(JSON.stringify(row))
        arena().hold(bytes)
        expect(both(0, bytes.length)).toEqual(row)
        // What comes behind the records, or was there before, is none of theirs.
        arena().hold(bytes.subarray(0, -1))
        expect(both(0, bytes.length - 1)).toBeUndefined()
        expect(both(0, bytes.length)).toBeUndefined()
      }
    }
  })

  test('is not taken for another, however many there are', () => {
    for (let i = 0; i < 50_000; i++) {
      const row = { a: `user-${i}` }
      expect(scan(one, JSON.stringify({ ...row, b: '' }))).toEqual(row)
    }
  })

  test('is not taken for its neighbour in the record, whatever slots they share', () => {
    const both = scanOf(strings, '{"a":"x","b":"y"}', ['a', 'b'])
    const users = Array.from({ length: 300 }, (_, i) => `user-${i}`)
    // Some pairs have both in one slot; each is known, new, or was displaced by the other.
    for (const a of users) {
      for (const b of users) expect(scan(both, JSON.stringify({ a, b }))).toEqual({ a, b })
    }
  })

  test('that is not UTF-8 is refused, also in a field that nobody asks for', () => {
    const text = Buffer.from('{"a":"x","b":"y?"}')
    text[text.indexOf('?')] = 0xe9
    expect(scan(one, text)).toBeUndefined()
  })

  test('with an escape or a control character is for JSON.parse', () => {
    for (const value of ['\\n', '\\u0041', '\n', '\0', '\\"']) {
      expect(scan(one, `{"a":"${value}","b":""}`)).toBeUndefined()
      expect(scan(one, `{"a":"","b":"${value}"}`)).toBeUndefined()
    }
  })
})

describe('a layout', () => {
  test.each([
    ['spaces', '{"a": 1, "b": "x"}'],
    ['lines', '{\n  "a": 1,\n  "b": "x"\n}\n'],
    ['a name beyond ASCII', '{"naïve":true,"a":1,"b":"x"}'],
  ])('with %s is learned', (_, text) => {
    const schema = schemaOf({ a: v.number(), b: v.string() })
    expect(scan(scanOf(schema, text, ['a', 'b']), text.replace('1', '23'))).toEqual({
      a: 23,
      b: 'x',
    })
  })

  test.each(['{}', '[]', '1', '{"a":{}}', '{"a":[1]}', '{"a":1,"a":2}', '{"\\u0061":1}'])(
    'of %p is none',
    (text) => {
      expect(layoutOf(text)).toBeNull()
    },
  )

  test('of which not all is read by vectors alone is compiled to a module that is valid', () => {
    const text = JSON.stringify({ ...record, 'a name that is longer than eight bytes': true, z: 1 })
    expect(scan(scanOf(students, text, wanted), text)).toEqual(scan(scanner, sample))
  })

  test('of more bytes than a program may read at once is not compiled', () => {
    const schema = schemaOf({ a: v.number() })
    const wants = { entries: schema.entries, fields: new Set(['a']) }
    expect(compileScan(layoutOf(`{"${'x'.repeat(9_000)}":1,"a":1}`)!, wants)).toBeNull()
    expect(compileScan(layoutOf(`{"a":1${' '.repeat(9_000)}}`)!, wants)).toBeNull()
  })

  test.each([
    ['lacks a field of the schema', '{"a":1}'],
    ['has a name that valibot drops', '{"a":1,"b":"x","__proto__":1}'],
    ['has a name of every object', '{"a":1,"b":"x","toString":1}'],
  ])('that %s is not compiled', (_, text) => {
    const schema = schemaOf({ a: v.number(), b: v.string() })
    const wants = { entries: schema.entries, fields: new Set(['a']) }
    expect(compileScan(layoutOf(text)!, wants)).toBeNull()
  })

  test('of a schema with a part that only valibot knows is not compiled', () => {
    const schema = schemaOf({ a: v.pipe(v.string(), v.email()) })
    const wants = { entries: schema.entries, fields: new Set(['a']) }
    expect(compileScan(layoutOf('{"a":"x"}')!, wants)).toBeNull()
  })
})
