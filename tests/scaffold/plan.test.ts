/** What is made of records: the time, the groups, the numbers, and what is odd. */
import { describe, expect, test } from 'bun:test'
import { withoutOdd } from '../../scaffold/odd.ts'
import { planOf } from '../../scaffold/plan.ts'
import { placesOf, shapeOf } from '../../scaffold/shape.ts'
import { guessTime, timeOf, timeSource } from '../../scaffold/times.ts'

const timeIn = (...records: object[]) => guessTime(placesOf(shapeOf(records)))
const s = 1_767_225_600

const pathsOf = (places: readonly { path: readonly string[] }[]) =>
  places.map(({ path }) => path.join('.'))

describe('the time', () => {
  for (const [what, record, path, form] of [
    ['epoch milliseconds', { at: s * 1e3 }, ['at'], 'ms'],
    ['epoch seconds with a fraction', { timestamp: s + 0.25 }, ['timestamp'], 's'],
    ['microseconds', { ts: s * 1e6 }, ['ts'], 'us'],
    ['nanoseconds', { ts: s * 1e9 }, ['ts'], 'ns'],
    ['ISO 8601', { when: '2026-01-01T00:00:00Z' }, ['when'], 'iso'],
    ['ISO 8601 without a zone', { d: '2026-01-01 00:00:00' }, ['d'], 'iso-local'],
    ['milliseconds of any name', { x: s * 1e3 }, ['x'], 'ms'],
    ['the event’s before others', { created_at: s, eventTime: s, time: s }, ['eventTime'], 's'],
    ['not the last change', { updated_at: s, created_at: s }, ['created_at'], 's'],
    ['inside an object', { id: 1, meta: { time: s } }, ['meta', 'time'], 's'],
  ] as const) {
    test(what, () => {
      const time = timeIn(record)!
      expect({ path: time.path, form: time.form }).toEqual({ path: [...path], form })
      expect(Math.floor(timeOf(record, time) / 1_000)).toBe(s)
      // What is written computes the same.
      const field = `record${path.map((name) => `.${name}`).join('')}`
      // oxlint-disable-next-line typescript/no-implied-eval
      const written = new Function('record', `return ${timeSource(field, time)}`) as (
        record: object,
      ) => number
      expect(written(record)).toBe(timeOf(record, time))
    })
  }

  test('a number that is written as text', () => {
    const time = timeIn({ at: String(s * 1e3) })!
    expect(time).toEqual({ path: ['at'], form: 'ms', quoted: true })
    expect(timeOf({ at: String(s * 1e3) }, time)).toBe(s * 1e3)
  })

  test('is in every record; ten digits of any name, or zones here and there, are none', () => {
    expect(timeIn({ at: s }, {})).toBeNull()
    expect(timeIn({ at: s }, { at: null })).toBeNull()
    expect(timeIn({ user: s })).toBeNull()
    expect(timeIn({ at: 12 })).toBeNull()
    expect(timeIn({ at: '2026-01-01T00:00:00Z' }, { at: '2026-01-01T00:00:00' })).toBeNull()
  })
})

describe('the plan', () => {
  const records = Array.from({ length: 40 }, (_, i) => ({
    at: s * 1e3 + i,
    room: ['a', 'b', 'c'][i % 3]!,
    floor: ['1', '2'][i % 2]!,
    user: `u${i}`,
    user_id: i,
    on: i % 2 === 0,
    celsius: 20.5 + i,
    lines: i,
    huge: 5e9,
    other: null,
  }))
  const plan = planOf(shapeOf(records), undefined)

  test('groups by what has few values, the fewest first, in the order of the record', () => {
    expect(pathsOf(plan.groups)).toEqual(['floor', 'on'])
    expect(pathsOf(plan.otherGroups)).toEqual(['room'])
  })

  test('sums whole numbers, averages others, and neither where it would not fit', () => {
    expect(plan.aggregates.map(({ name, kind }) => [name, kind])).toEqual([
      ['avg_celsius', 'avg'],
      ['max_celsius', 'max'],
      ['total_lines', 'sum'],
      ['max_lines', 'max'],
      ['max_huge', 'max'],
    ])
  })

  test('a time that somebody names is taken, or refused with why', () => {
    const root = shapeOf([{ a: { t: s }, b: 1 }])
    expect(planOf(root, 'a.t').time?.path).toEqual(['a', 't'])
    expect(() => planOf(root, 'b')).toThrow('--time "b" must be in every record')
    expect(() => planOf(root, 'c')).toThrow('--time "c": these records have no such field')
    expect(planOf(shapeOf([{ b: 1 }]), undefined).time).toBeNull()
  })
})

describe('odd records', () => {
  const usual = Array.from({ length: 98 }, (_, i) => ({ a: i, b: 'x', ...(i % 2 && { c: 1 }) }))

  test('are left out, with what is odd of them', () => {
    const odd = withoutOdd([...usual, { b: 'x' }, { a: 'one', b: 'x' }])
    expect(odd.usual).toHaveLength(98)
    expect(odd.odd).toEqual(['1 in which a is missing', '1 in which a is a string'])
  })

  test('are no odder than the others where there are many of them, or few at all', () => {
    const many = [...usual, ...Array.from({ length: 5 }, () => ({ b: 'x' }))]
    expect(withoutOdd(many)).toEqual({ usual: many, odd: [] })
    const few = [...usual.slice(0, 40), { b: 'x' }]
    expect(withoutOdd(few)).toEqual({ usual: few, odd: [] })
  })
})

test('a dictionary is told by its many names, and names that mean something else are left out', () => {
  const counts = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`user${i}`, i]))
  const { objects } = shapeOf([
    JSON.parse('{"__proto__": 1, "constructor": 2, "a": 3}'),
    { counts },
  ])
  expect([...objects.fields.keys()]).toEqual(['a', 'counts'])
  expect(objects.fields.get('counts')!.objects).toMatchObject({ isDictionary: true })
})
