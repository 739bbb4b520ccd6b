import { describe, expect, test } from 'bun:test'
import { fieldReader, fieldsReached, reachesMeta } from '../../actors/fields.ts'

type Row = Record<string, unknown>
type Reader = (row: never) => unknown

/** A function of exactly this text: a transpiler would tidy it up. */
// oxlint-disable-next-line typescript/no-implied-eval
const read = (text: string) => new Function(`return ${text}`)() as Reader

const reached = (reader: Reader) => {
  const fields = fieldsReached(reader)
  return fields && [...fields]
}

test.each([
  ['(row) => row.at * 1000', ['at']],
  ['row => row.at', ['at']],
  ['(row) => row . at', ['at']],
  ['({ a, b }) => a + b', ['a', 'b']],
  ['(row) => row.a > 1 ? row.b : row?.c', ['a', 'b', 'c']],
  ['function (row) { return row.a }', ['a']],
  ['function named(row) { return row.a }', ['a']],
  ['({ method(row) { return row.a } }).method', ['a']],
  ['(row) => 1', []],
  ['($) => $.a', ['a']],
  ['(row) => [1].map((n) => n * row.a)', ['a']],
  ['(a) => a.a', ['a']],
  ['(row) => `${row.a}`', ['a']],
  ['(row) => row.a.b', ['a']],
  ['(row, meta) => row.a + meta.offset', ['a']],
  ['({ a }, { key, headers: h, }) => a + key + h', ['a']],
  ['function (row, meta) { return meta.row }', []],
])('%s reaches %j', (text, fields) => {
  expect(reached(read(text))).toEqual(fields)
})

test('what the functions of a job file reach is clear as well', () => {
  expect(reached((row: { timestamp: number }) => row.timestamp * 1000)).toEqual(['timestamp'])
  expect(reached(({ a, b }: Row) => [a, b])).toEqual(['a', 'b'])
})

test.each([
  '(row) => ({ ...row }).a',
  '(a) => [a.a, { ...a }]',
  '(row) => [row].map((other) => other.a)',
  '(row) => { const other = row; return other.a }',
  '(row) => row[row.a]',
  "(row) => row['a']",
  '(row) => JSON.stringify(row)',
  "(row) => 'a' in row",
  '({ a, ...rest }) => rest',
  '({ a = 1 }) => a',
  '({ a: b }) => b',
  '({ [`a`]: b }) => b',
  '(row = { a: 1 }) => row.a',
  '(row, other = row) => row.a',
  '(row, { key = row.b }) => row.a',
  '(row, ...others) => row.a',
  '(row, other, third) => row.a',
  '(...rows) => rows[0].a',
  '([a]) => a',
  'function (row) { return arguments[0].b }',
  'function () { return arguments[0].b }',
  "(row) => eval('row').b",
  '(row) => r\\u006fw.a',
  '(row) => /\\w/.test(row.a)',
  '((row) => row.a).bind(null)',
  'Math.abs',
  '({ async method(row) { return row.a } }).method',
  '({ *method(row) { yield row.a } }).method',
  'async (row) => row.a',
  'class { constructor(row) { this.a = row.a } }',
])('what %s reaches is not clear', (text) => {
  expect(reached(read(text))).toBeNull()
})

describe('what Kafka says of a record', () => {
  test.each(['(row) => row.a', 'row => 1', '({ a }) => a', 'function (row) { return row.a }'])(
    'is not reached by %s',
    (text) => expect(reachesMeta(read(text))).toBe(false),
  )
  test('is not reached by a reader made of a name', () => {
    expect(reachesMeta(fieldReader('a'))).toBe(false)
  })
  test.each([
    '(row, meta) => meta.key',
    '(row, { key }) => key',
    '(row, meta = null) => meta',
    '(...all) => all[1]',
    'function (row) { return arguments[1] }',
    '(row, ...[meta]) => meta',
    "(row) => eval('arguments')",
    '((row) => 1).bind(null)',
    '(row = 1) => row',
  ])('may be reached by %s', (text) => expect(reachesMeta(read(text))).toBe(true))
})

describe('a reader made of a name', () => {
  test.each(['a', 'a"b', "it's", '\u2028', '0', '${x}'])('gives the field %j', (name) => {
    const reader = fieldReader(name)
    expect(reader({ [name]: 7 })).toBe(7)
    expect(reader({})).toBeUndefined()
    expect(reached(reader)).toEqual([name])
  })
})
