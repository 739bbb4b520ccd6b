/**
 * Sketches: what they promise of their values, and that it does not show how the values were split and
 * in which order the parts were merged, be it here, in Redis or by the verification's own code.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { defineJob, type Job, type Meta } from '../../../actors/job.ts'
import type { Store } from '../../../actors/redis.ts'
import cellsLua from '../../../actors/windows/cells.lua' with { type: 'text' }
import type { TopEntry } from '../../../actors/windows/kinds.ts'
import { encodeState, type Place, type Sketch, sketchOf } from '../../../actors/windows/sketches.ts'
import { emptyCells } from '../../../actors/windows/aggregates.ts'
import { mergedState, storedAt, valuesOf } from '../../../actors/windows/state.ts'
import { RedisModel } from '../../../faults/simulation/redis/redis.ts'
import { problemOf } from '../../../verify/compare.ts'
import { readerOf } from '../../../verify/states.ts'
import { partAt, valueOf } from '../../../verify/rows.ts'
import { connect } from '../../support/redis.ts'
import * as v from 'valibot'

const job = defineJob({
  name: 'sketches',
  topic: 'none',
  schema: v.object({ t: v.number(), x: v.number(), s: v.string() }),
  eventTime: (row) => row.t,
  window: { size: '10 s' },
  groupBy: [],
  aggregates: ({ count, first, last, distinct, quantiles, topK, max }) => ({
    n: count(),
    first: first('x'),
    last: last('s'),
    different: distinct('s'),
    x: quantiles('x', [0.01, 0.25, 0.5, 0.9, 0.999, 1]),
    most: max('x'),
    top: topK('s', 5),
  }),
})

interface Row {
  t: number
  x: number
  s: string
  /** Where it comes from. */
  place: [partition: number, offset: number]
}

const NO_META = {} as Meta
const LAYOUT = { slots: 2, letters: 'FLRST'.split('') }
const script = `${cellsLua}\nreturn merge(shapeOf(ARGV[1]), ARGV[2], ARGV[3])`
const model = new RedisModel({ now: () => 0 })
let store: Store
beforeAll(async () => {
  store = await connect()
})
afterAll(() => store.close())

const mergedInRedis = (a: Buffer, b: Buffer) =>
  store.redis.callBuffer('EVAL', script, 0, job.ops, a, b) as Promise<Buffer>
const mergedInModel = (a: Buffer, b: Buffer) =>
  model.executeBuffer(['EVAL', script, 0, job.ops, a, b]) as Buffer

const mergedHere = (...states: Buffer[]) =>
  mergedState(
    job,
    states.map((state) => storedAt(job, state, 0)),
  )

const place = ({ t, place: [partition, offset] }: Row): Place => ({
  eventTime: t,
  partition,
  offset,
  row: 0,
})

/** The bytes of a group of these rows, as an executor commits them. */
function stateOf(rows: readonly Row[]): Buffer {
  const cells = emptyCells(job.slots)
  cells[0] = rows.length
  for (const { x } of rows) if (x > cells[1]!) cells[1] = x
  const sketched = job.aggregates.filter(({ aggregate }) => sketchOf(aggregate))
  const sketches = sketched.map(({ aggregate }) => {
    const sketch = sketchOf(aggregate)!.create()
    for (const row of rows) sketch.add(aggregate.of!(row, NO_META), place(row))
    return sketch
  })
  return Buffer.from(encodeState(cells, sketches))
}

const valuesIn = (...parts: Buffer[]) =>
  valuesOf(
    job,
    parts.map((part) => storedAt(job, part, 0)),
  )

const row = fc.record({
  t: fc.integer({ min: -3, max: 3 }),
  x: fc.oneof(
    fc.double({ min: -4e15, max: 4e15, noNaN: true }),
    fc.integer({ min: -3, max: 3 }),
    fc.double({ min: -1e-8, max: 1e-8, noNaN: true }),
  ),
  s: fc.oneof(fc.string({ maxLength: 3 }), fc.integer({ min: 0, max: 400 }).map(String)),
})
/** Rows with places of their own, in a number of parts. */
const parts = fc
  .tuple(fc.array(row, { maxLength: 600, size: 'max' }), fc.integer({ min: 1, max: 5 }), fc.nat())
  .map(([rows, count, seed]) => {
    const cut: Row[][] = Array.from({ length: count }, () => [])
    rows.forEach((one, i) => {
      cut[(Math.imul(i + 1, seed | 1) >>> 7) % count]!.push({ ...one, place: [i % 3, i] })
    })
    return cut
  })

describe('merging', () => {
  test('in Redis, in its model and here gives what all rows together give', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.infiniteStream(fc.nat()), async (cut, dice) => {
        const bytes = cut.map(stateOf)
        const whole = valuesIn(stateOf(cut.flat()))
        const left = bytes.slice()
        while (left.length > 1) {
          const take = () => left.splice(dice.next().value! % left.length, 1)[0]!
          const [a, b] = [take(), take()]
          const merged = await mergedInRedis(a, b)
          expect(mergedInModel(a, b).equals(merged)).toBe(true)
          // One's own merge and Redis's mix: a shard's parts are Redis's, and are joined here.
          left.push(dice.next().value! % 2 === 0 ? merged : mergedHere(a, b))
        }
        const { top, ...exact } = valuesIn(left[0]!)
        const { top: topHere, ...exactHere } = valuesIn(...bytes)
        const { top: topOfAll, ...exactOfAll } = whole
        expect(exact).toEqual(exactOfAll)
        expect(exactHere).toEqual(exactOfAll)
        if (new Set(cut.flat().map(({ s }) => s)).size <= 128) {
          expect(top).toEqual(topOfAll)
          expect(topHere).toEqual(topOfAll)
        }
      }),
      { numRuns: 150 },
    )
  })

  test('leaves what the verification expects of the rows, by its own code', async () => {
    await fc.assert(
      fc.asyncProperty(parts, async (cut) => {
        let merged = stateOf(cut[0]!)
        for (const part of cut.slice(1)) merged = await mergedInRedis(merged, stateOf(part))
        const { part } = partAt(merged, 0, LAYOUT)
        let sketch = 0
        for (const { name, aggregate } of job.aggregates) {
          if (!sketchOf(aggregate)) continue
          const reader = readerOf(name, aggregate)
          const state = reader.create()
          for (const one of cut.flat()) {
            state.add(reader.read(one, NO_META), [one.t, ...one.place, 0])
          }
          const found = valueOf(aggregate, () => [], [part.sketches[sketch++]!])
          expect(problemOf(found, state.value(0))).toBeNull()
        }
      }),
      { numRuns: 150 },
    )
  })

  test('of states of another shape is refused', () => {
    const check = `${cellsLua}\nreturn fits(shapeOf(ARGV[1]), ARGV[2]) and 1 or 0`
    const fits = (ops: string, bytes: Buffer) => model.execute(['EVAL', check, 0, ops, bytes])
    const state = stateOf([{ t: 1, x: 2, s: 'a', place: [0, 0] }])
    expect(fits(job.ops, state)).toBe(1)
    expect(fits('nM/FLRSF', state)).toBe(0)
    expect(fits('nM/FLRS', state)).toBe(0)
    expect(fits('nM/FLRSTT', state)).toBe(0)
    expect(fits('n/FLRST', state)).toBe(0)
    expect(fits(job.ops, state.subarray(0, -1))).toBe(0)
    expect(fits(job.ops, Buffer.alloc(0))).toBe(0)
    expect(fits('nM', state)).toBe(0)
    expect(fits('nM', state.subarray(0, 16))).toBe(1)
  })
})

/** A sketch of one aggregate, filled with values. */
function filled(name: string, values: Iterable<unknown>): Sketch {
  const { aggregate } = job.aggregates.find((one) => one.name === name)!
  const sketch = sketchOf(aggregate)!.create()
  for (const value of values) sketch.add(value, { eventTime: 0, partition: 0, offset: 0, row: 0 })
  return sketch
}
const aggregateOf = (name: string, of: Job = job) =>
  of.aggregates.find((one) => one.name === name)!.aggregate

describe('distinct', () => {
  /** Values that resemble each other, as ids do, and others. */
  const kinds: [string, (i: number) => unknown][] = [
    ['ids in a row', (i) => `CS-${2_021_000 + i}`],
    ['numbers', (i) => i],
    ['decimals', (i) => i * 0.25 - 1_000],
    ['UUIDs', (i) => new Bun.CryptoHasher('md5').update(String(i)).digest('hex')],
    ['long texts that differ at their end', (i) => `${'x'.repeat(200)}${i}`],
    ['long texts that differ at their beginning', (i) => `${i}${'é'.repeat(200)}`],
  ]
  test.each(kinds)('is off by 2.3 %% (one standard error) for %s', (_, make) => {
    for (const n of [100, 1_000, 10_000, 100_000]) {
      const rounds = Math.min(40, 400_000 / n)
      let squares = 0
      for (let round = 0; round < rounds; round++) {
        const values = Array.from({ length: n }, (__, i) => make(round * n + i))
        const error = Number(filled('different', values).value(aggregateOf('different'))) / n - 1
        squares += error * error
      }
      // Of so few rounds the root mean square itself is uncertain: by 1 ÷ √(2 × rounds).
      const most = 0.023 * (1 + 4 / Math.sqrt(2 * rounds))
      expect([n, Math.sqrt(squares / rounds) < most]).toEqual([n, true])
    }
  })

  test('tells a number from its text, and counts few exactly or nearly so', () => {
    const value = (values: unknown[]) => filled('different', values).value(aggregateOf('different'))
    expect(value([])).toBe(0)
    expect(value([1, '1', true, 'true', 1, '1'])).toBe(4)
    expect(value(Array.from({ length: 20 }, (_, i) => `u${i}`))).toBe(20)
  })
})

describe('quantiles', () => {
  test('are within 1 ÷ 129 of the value at their rank', () => {
    const size = fc.oneof(
      fc.double({ min: -4.5e15, max: 4.5e15, noNaN: true }),
      fc.double({ min: 1e-9, max: 1e3, noNaN: true }),
      fc.integer({ min: -1_000, max: 1_000 }),
    )
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 300 }), (values) => {
        const found = filled('x', values).value(aggregateOf('x')) as Record<string, number>
        const sorted = values.toSorted((a, b) => a - b)
        for (const [name, q] of [
          ['p1', 0.01],
          ['p25', 0.25],
          ['p50', 0.5],
          ['p90', 0.9],
          ['p99.9', 0.999],
          ['p100', 1],
        ] as const) {
          const exact = sorted[Math.ceil((q * 1_000 * values.length) / 1_000) - 1]!
          const error = Math.abs(found[name]! - exact)
          expect(error).toBeLessThanOrEqual(Math.abs(exact) / 129 + 2 ** -30)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('of nothing are null', () => {
    expect(filled('x', []).value(aggregateOf('x'))).toMatchObject({ p50: null, 'p99.9': null })
  })
})

describe('topK', () => {
  test('keeps its bounds with more values than counters', () => {
    const values = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2_000 })),
      { minLength: 500, maxLength: 3_000, size: 'max' },
    )
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 6 }), (numbers, pieces) => {
        const sketch = filled('top', [])
        for (let piece = 0; piece < pieces; piece++) {
          const part = numbers.filter((_, i) => i % pieces === piece)
          sketch.absorb(filled('top', part).encode())
        }
        const exact = new Map<number, number>()
        for (const number of numbers) exact.set(number, (exact.get(number) ?? 0) + 1)
        const top = sketch.value(aggregateOf('top')) as TopEntry[]
        for (const { value, count, error } of top) {
          const came = exact.get(value as number)!
          expect(error).toBeLessThanOrEqual(numbers.length / 129)
          expect(came).toBeGreaterThanOrEqual(count)
          expect(came).toBeLessThanOrEqual(count + error)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('is exact and in order with up to 128', () => {
    const values = Array.from({ length: 128 }, (_, i) => Array<string>(i + 1).fill(`v${i}`)).flat()
    const top = filled('top', values).value(aggregateOf('top')) as TopEntry[]
    expect(top.map(({ value, count }) => [value, count])).toEqual(
      [127, 126, 125, 124, 123].map((i) => [`v${i}`, i + 1]),
    )
    expect(top[0]!.error).toBe(0)
  })
})
