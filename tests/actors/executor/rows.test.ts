/** Records that become rows, and what Kafka says of them as the job's functions see it. */
import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { Fold } from '../../../actors/executor/fold.ts'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { Scanner } from '../../../actors/executor/scanner.ts'
import { count, defineJob, type Job } from '../../../actors/job.ts'
import { encodeState } from '../../../actors/windows/sketches.ts'
import { storedAt, valuesOf } from '../../../actors/windows/state.ts'
import { type BatchOptions, type BatchRecord, encodeBatch } from '../../support/batches.ts'

interface Given extends Omit<BatchRecord, 'offset' | 'value'> {
  value: unknown
}

function fold(
  job: Job,
  records: Given[],
  options: BatchOptions & { closedTo?: number } = {},
): Fold {
  const folded = new Fold(job, { closedTo: options.closedTo ?? null, full: new Map() }, () => 1e13)
  folded.begin(2)
  const written = records.map((one, i) => ({
    ...one,
    offset: 7 + i,
    value: JSON.stringify(one.value),
  }))
  const cursor = new RecordCursor(encodeBatch(written, options), 0, 1_000)
  while (cursor.next() !== 'end') {
    const candidate = folded.check(cursor)
    if (candidate) folded.add(candidate, candidate.row, cursor)
  }
  return folded
}

const rows = (job: Job, { panes }: Fold): Record<string, unknown>[] =>
  [...panes.values()].flatMap(({ start, groups }) =>
    groups.map(({ key, cells, sketches }) => {
      const stored = storedAt(job, encodeState(cells, sketches), 0)
      return { start, key, ...valuesOf(job, [stored]) }
    }),
  )
const reasons = ({ rejects }: Fold) => rejects.map(({ offset, reason }) => [offset, reason])

describe('flatMap', () => {
  const job = defineJob({
    name: 'flat',
    topic: 'records',
    schema: v.object({ at: v.number(), items: v.any() }),
    eventTime: (row) => row.at,
    window: { size: '10 s', slide: '5 s' },
    flatMap: ({ items }) => items as { g: string; x: number }[],
    groupBy: { g: (item) => item.g },
    aggregates: ({ count, sum, first, last }) => ({
      n: count(),
      x: sum('x'),
      first: first('x'),
      last: last('x'),
    }),
  })

  test('counts a record once, and its rows in their groups', () => {
    const items = [
      { g: 'a', x: 1 },
      { g: 'b', x: 2 },
      { g: 'a', x: 3 },
    ]
    const folded = fold(job, [{ value: { at: 1, items } }, { value: { at: 2, items: [] } }])
    expect(folded).toMatchObject({ counted: 1, filtered: 1, rejected: 0, groups: 2 })
    expect(rows(job, folded)).toEqual([
      { start: 0, key: '["a"]', n: 2, x: 4, first: 1, last: 3 },
      { start: 0, key: '["b"]', n: 1, x: 2, first: 2, last: 2 },
    ])
  })

  test('takes all rows of a record or none, and leaves no empty group', () => {
    const good = { g: 'a', x: 1 }
    const bad: unknown[] = [
      [good, { x: 1 }],
      [good, { g: 'b', x: 1e300 }],
      [{ g: 'c', x: 1 }, null],
    ]
    const more = [Array(1_001).fill(good), 'no list', null]
    const folded = fold(
      job,
      [...bad, ...more].map((items) => ({ value: { at: 1, items } })),
    )
    expect(reasons(folded)).toEqual([
      [7, 'group'],
      [8, 'value'],
      [9, 'threw'],
      [10, 'rows'],
      [11, 'threw'],
      [12, 'threw'],
    ])
    expect(folded).toMatchObject({ counted: 0, groups: 0 })
    expect(rows(job, folded)).toEqual([])
  })

  test('is not asked for a late record; one that misses a window is so once', () => {
    const items = [
      { g: 'a', x: 1 },
      { g: 'b', x: 1 },
    ]
    const late = { value: { at: 1, items: 'would throw' } }
    const folded = fold(job, [late, { value: { at: 5_000, items } }], { closedTo: 10_000 })
    expect(folded).toMatchObject({ late: 1, counted: 1, partly: 1, rejected: 0 })
  })

  test('without groups makes one', () => {
    const whole = defineJob({
      name: 'whole',
      topic: 'records',
      schema: v.object({ xs: v.array(v.number()) }),
      eventTime: () => 1,
      window: { size: '1 s' },
      flatMap: ({ xs }) => xs.map((x) => ({ x })),
      groupBy: [],
      aggregates: ({ count, sum }) => ({ n: count(), x: sum('x') }),
    })
    const folded = fold(whole, [{ value: { xs: [1, 2] } }, { value: { xs: [4] } }])
    expect(rows(whole, folded)).toEqual([{ start: 0, key: '[]', n: 3, x: 7 }])
    expect(folded.groups).toBe(1)
  })
})

describe('what Kafka says of a record', () => {
  const schema = v.looseObject({ a: v.number() })
  const job = defineJob({
    name: 'meta',
    topic: 'records',
    schema,
    eventTime: (_, { timestamp }) => timestamp,
    filter: (_, { headers }) => headers.skip !== 'yes',
    window: { size: '10 s' },
    groupBy: { key: (_, { key }) => key, at: (_, { topic, partition }) => `${topic}/${partition}` },
    aggregates: ({ sum, last }) => ({
      offsets: sum((row, { offset }) => offset * row.a),
      trace: last((_, { headers }) => headers.trace),
    }),
  })

  const given: Given[] = [
    {
      value: { a: 1 },
      timestamp: 1_000,
      key: 'é',
      headers: [
        ['trace', 'one'],
        ['trace', 'two'],
      ],
    },
    {
      value: { a: 10 },
      timestamp: 2_000,
      key: 'é',
      headers: [
        ['__proto__', 'x'],
        ['trace', null],
      ],
    },
    { value: { a: 100 }, timestamp: 3_000, headers: [['skip', 'yes']] },
    { value: { a: 1_000 }, timestamp: 4_000, key: null },
  ]
  test('is known to its functions, also of records that are scanned', () => {
    expect(Scanner.of(job)).not.toBeNull()
    const folded = fold(job, given)
    expect(folded).toMatchObject({ counted: 3, filtered: 1 })
    expect(rows(job, folded)).toEqual([
      { start: 0, key: '["é","records/2"]', offsets: 7 + 80, trace: 'two' },
      { start: 0, key: '[null,"records/2"]', offsets: 10_000, trace: null },
    ])
  })

  test('is the same of a compressed batch, and of one that the broker has stamped', () => {
    const folded = fold(job, given, { codec: 'gzip', appendTime: 20_500 })
    expect(rows(job, folded).map(({ start }) => start)).toEqual([20_000, 20_000])
  })

  test("can be the event time, as 'kafka'", () => {
    const byKafka = defineJob({
      name: 'kafka',
      topic: 'records',
      schema,
      eventTime: 'kafka',
      window: { size: '1 s' },
      groupBy: [],
      aggregates: { n: count() },
    })
    expect(byKafka.usesMeta).toBe(false)
    expect(Scanner.of(byKafka)).not.toBeNull()
    const folded = fold(byKafka, [...given, { value: { a: 1 }, timestamp: -1 }])
    expect(rows(byKafka, folded).map(({ start }) => start)).toEqual([1_000, 2_000, 3_000, 4_000])
    expect(reasons(folded)).toEqual([[11, 'time']])
  })

  test('outlives the cursor, for work', () => {
    const folded = new Fold(job, { closedTo: null, full: new Map() }, () => 1e13)
    folded.begin(0)
    const batches = ['k1', 'k2'].map((key, i) =>
      encodeBatch([{ offset: i, key, value: '{"a":1}' }]),
    )
    const cursor = new RecordCursor(Buffer.concat(batches), 0, 10)
    const metas = ['k1', 'k2'].map(() => {
      cursor.next()
      return folded.check(cursor, true)!.meta
    })
    expect(metas.map(({ key, offset }) => [key, offset])).toEqual([
      ['k1', 0],
      ['k2', 1],
    ])
  })
})
