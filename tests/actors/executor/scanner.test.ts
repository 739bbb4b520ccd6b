import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { Fold } from '../../../actors/executor/fold.ts'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { Scanner } from '../../../actors/executor/scanner.ts'
import {
  avg,
  count,
  defineJob,
  type Job,
  type JobDeclaration,
  max,
  sum,
} from '../../../actors/job.ts'
import { encodeBatch } from '../../support/batches.ts'

const schema = v.looseObject({
  at: v.pipe(v.number(), v.finite()),
  who: v.string(),
  x: v.nullable(v.number()),
  note: v.string(),
})
type Declaration = JobDeclaration<typeof schema>
const declaration: Declaration = {
  name: 'scanner',
  topic: 'records',
  schema,
  filter: (record) => record.who !== 'nobody',
  eventTime: (record) => record.at,
  window: { size: '10 s', slide: '5 s' },
  groupBy: ['who'],
  aggregates: { n: count(), total: sum('x'), mean: avg('x'), most: max((record) => record.x) },
}
const job = defineJob(declaration)
/** The same, but that nobody can tell what it reaches. */
const hidden: Declaration['eventTime'] = (record) => ({ ...record }).at
const opaque = defineJob({ ...declaration, eventTime: hidden })

const dropping = [declaration, { ...declaration, eventTime: hidden }].map((one) =>
  defineJob({ ...one, schema: v.object(schema.entries) as unknown as typeof schema }),
) as [Job, Job]

function fold(of: Job, texts: string[]): Fold {
  const folded = new Fold(of, { closedTo: 15_000, full: new Map() }, () => 100_000)
  folded.begin(0)
  const records = texts.map((value, offset) => ({ offset, value }))
  const cursor = new RecordCursor(encodeBatch(records), 0, records.length)
  for (let step = cursor.next(); step !== 'end'; step = cursor.next()) {
    const candidate = folded.check(cursor)
    if (candidate) folded.add(candidate, candidate.row, cursor)
  }
  return folded
}

const outcome = (folded: Fold) => ({
  counted: folded.counted,
  filtered: folded.filtered,
  late: folded.late,
  partly: folded.partly,
  hash: folded.tally.hash,
  max: folded.maxEventTime,
  rejects: folded.rejects.map(({ offset, reason, message }) => [offset, reason, message]),
  panes: [...folded.panes.values()].map(({ start, groups }) => [
    start,
    groups.map(({ key, cells }) => [key, [...cells]]),
  ]),
})

describe('what can be scanned', () => {
  test('is a job whose code names the fields that it reaches', () => {
    expect(Scanner.of(job)).not.toBeNull()
  })

  const cases: [string, Partial<Declaration>][] = [
    ['whose event time reaches who knows what', { eventTime: (record) => ({ ...record }).at }],
    ['whose filter does', { filter: (record) => Object.keys(record).length > 0 }],
    ['whose aggregates do', { aggregates: { n: sum((record) => Object.keys(record).length) } }],
    [
      'that reaches a field which the schema does not have',
      { filter: (r) => (r as { other?: number }).other === 1 },
    ],
    ['that reaches what every object has', { filter: (r) => r.hasOwnProperty('x') }],
    ['with work', { work: (record) => record }],
  ]
  test.each(cases)('is no job %s', (_, changes) => {
    expect(Scanner.of(defineJob({ ...declaration, ...changes }))).toBeNull()
  })

  test('is one whose schema drops what it does not name, since nobody reaches that', () => {
    const schema = v.object(declaration.schema.entries)
    expect(
      Scanner.of(defineJob({ ...declaration, schema: schema as unknown as Declaration['schema'] })),
    ).not.toBeNull()
  })

  test('is no job with a schema that changes fields, or refuses more of them', () => {
    for (const other of [
      v.strictObject(schema.entries),
      v.pipe(
        schema,
        v.transform((record) => ({ ...record })),
      ),
      v.looseObject({ ...schema.entries, note: v.pipe(v.string(), v.trim()) }),
      v.looseObject({ ...schema.entries, note: v.optional(v.string(), 'none') }),
    ]) {
      expect(Scanner.of(defineJob({ ...declaration, schema: other as typeof schema }))).toBeNull()
    }
  })
})

test.each([
  ['keeps', job, opaque],
  ['drops', ...dropping],
])(
  'records fold to the same, scanned or parsed, where the schema %s other fields',
  (_, one, other) => {
    const values = {
      at: fc.oneof(
        fc.integer({ min: 0, max: 40_000 }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
      ),
      who: fc.oneof(
        fc.constantFrom('ann', 'bob', 'nobody', 'zoë'),
        fc.string({ unit: 'grapheme' }),
      ),
      x: fc.oneof(
        fc.constant(null),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.constant('no number'),
      ),
      note: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(7)),
    }
    const layouts = [
      (r: object) => JSON.stringify(r),
      (r: object) => JSON.stringify(Object.fromEntries(Object.entries(r).toReversed())),
      (r: object) => JSON.stringify(r, null, 1),
      (r: object) => JSON.stringify({ extra: 1, ...r }),
      (r: object) => JSON.stringify({ ...r, nested: {} }),
      (r: object) => JSON.stringify(r).slice(0, -1),
    ]
    const texts = fc
      .tuple(fc.record(values), fc.oneof(fc.constant(0), fc.nat({ max: layouts.length - 1 })))
      .map(([record, layout]) => layouts[layout]!(record))
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 90, size: '+1' }), (all) => {
        expect(outcome(fold(one, all))).toEqual(outcome(fold(other, all)))
      }),
      { numRuns: 1_000 },
    )
  },
)

test.each(['none', 'lz4'] as const)(
  'two batches (%s) fold to the same, one after the other or in turn, and one that is too large',
  (codec) => {
    const texts = (who: string, note = '') =>
      Array.from({ length: 100 }, (_, i) => JSON.stringify({ at: 20_000 + i, who, x: i, note }))
    const cursors = (large: string) =>
      [texts('ann'), texts('bob', large)].map((values) => {
        const records = values.map((value, offset) => ({ offset, value }))
        const cursor = new RecordCursor(encodeBatch(records, { codec }), 0, records.length)
        return Object.assign(cursor, { inArena: true })
      })
    const folds = [false, true].flatMap((inTurn) =>
      ['short', 'x'.repeat(50_000)].map((large) => {
        const folded = new Fold(job, { closedTo: null, full: new Map() }, () => 100_000)
        folded.begin(0)
        const both = cursors(large)
        const order = Array.from({ length: 200 }, (_, i) => (inTurn ? i % 2 : Math.floor(i / 100)))
        for (const which of order) {
          const cursor = both[which]!
          cursor.next()
          folded.add(folded.check(cursor)!, folded.check(cursor)!.row, cursor)
        }
        return outcome(folded)
      }),
    )
    expect(folds[0]!.panes).toHaveLength(1)
    for (const folded of folds) expect(folded).toEqual(folds[0]!)
  },
)

test('a schema that throws of a record rejects it alone, scanned or parsed', () => {
  const tagged = v.looseObject({ ...schema.entries, tag: v.pipe(v.any(), v.nonEmpty()) })
  const throwing = defineJob({ ...declaration, schema: tagged as unknown as typeof schema })
  const tags = Array.from({ length: 40 }, (_, i) => (i === 30 ? null : 'x'))
  const texts = tags.map((tag) => JSON.stringify({ at: 20_000, who: 'ann', x: 1, note: '', tag }))
  expect(outcome(fold(throwing, texts))).toMatchObject({
    counted: 39,
    rejects: [[30, 'threw', expect.any(String)]],
  })
})

describe('a scanner', () => {
  const text = (extra: object) => JSON.stringify({ at: 1, who: 'ann', x: 1, note: '', ...extra })
  /** How many of the texts it knew. */
  function hits(scanner: Scanner, texts: string[]): number {
    let known = 0
    const records = texts.map((value, offset) => ({ offset, value }))
    const cursor = new RecordCursor(encodeBatch(records), 0, records.length)
    for (let step = cursor.next(); step !== 'end'; step = cursor.next()) {
      if (scanner.scan(cursor) !== undefined) known++
      else scanner.learn(texts[cursor.offset]!)
    }
    return known
  }

  test('knows a layout once there are more than a few of its records', () => {
    const scanner = Scanner.of(job)!
    const texts = Array.from({ length: 17 }, () => text({}))
    expect(hits(scanner, texts)).toBe(0)
    expect(hits(scanner, texts)).toBe(17)
  })

  test('comes to know the layouts of several programs', () => {
    const texts = Array.from({ length: 400 }, (_, i) => text({ [`of${i % 4}`]: i }))
    const scanner = Scanner.of(job)!
    hits(scanner, texts)
    expect(hits(scanner, texts)).toBe(400)
  })

  test('keeps the layouts that it knows where one of them comes with values for JSON.parse', () => {
    const layouts = [0, 1, 2, 3].map((i) => text({ [`of${i}`]: i }))
    const scanner = Scanner.of(job)!
    hits(scanner, Array.from({ length: 100 }, () => layouts).flat())
    const escaped = text({ of0: 0, note: '"' })
    for (let round = 0; round < 500; round++) hits(scanner, [escaped, ...layouts.slice(0, 1)])
    expect(hits(scanner, layouts)).toBe(4)
  })

  test('rests where every record is different, and comes back', () => {
    const scanner = Scanner.of(job)!
    expect(
      hits(
        scanner,
        Array.from({ length: 5_000 }, (_, i) => text({ [`f${i}`]: 1 })),
      ),
    ).toBe(0)
    const same = Array.from({ length: 20_000 }, () => text({ [`f4999`]: 1 }))
    expect(hits(scanner, same)).toBeGreaterThan(10_000)
  })
})
