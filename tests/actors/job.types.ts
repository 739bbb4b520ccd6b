/**
 * What the compiler must refuse in a job, and what it must take. Checked by `bun run types`: an error
 * that does not come is itself one there. Nothing here runs.
 */
import { avg, count, defineJob, max, min, sum } from 'millrace'
import * as v from 'valibot'

const schema = v.object({
  at: v.number(),
  who: v.string(),
  x: v.number(),
  perhaps: v.optional(v.number()),
  price: v.object({ total: v.number() }),
})
const loose = v.looseObject({ at: v.number(), who: v.string(), x: v.nullable(v.number()) })
const union = v.variant('kind', [
  v.looseObject({ kind: v.literal('a'), at: v.number(), x: v.number() }),
  v.looseObject({ kind: v.literal('b'), at: v.number() }),
])

const base = { name: 'types', topic: 'types', window: { size: '1 s' } } as const

export const taken = [
  defineJob({
    ...base,
    schema,
    eventTime: (row) => row.at,
    filter: ({ x }) => x > 0,
    groupBy: ['who'],
    aggregates: {
      n: count(),
      named: sum('x'),
      optional: max('perhaps'),
      nested: avg((row: { price: { total: number } }) => row.price.total),
    },
  }),
  defineJob({
    ...base,
    schema,
    eventTime: (row) => row.at,
    groupBy: { who: (row) => row.who, dear: ({ price }) => price.total > 100 },
    aggregates: ({ count, sum, min }) => ({
      n: count(),
      named: sum('x'),
      nested: min((row) => row.price.total),
    }),
  }),
  defineJob({
    ...base,
    schema: loose,
    eventTime: (row) => row.at,
    groupBy: ['who'],
    work: (row) => ({ ...row, x: (row.x ?? 0) + 1 }),
    aggregates: { least: min('x') },
  }),
  defineJob({
    ...base,
    schema: union,
    eventTime: (row) => row.at,
    groupBy: ['kind'],
    aggregates: ({ sum }) => ({ x: sum((row) => (row.kind === 'a' ? row.x : null)) }),
  }),
  defineJob({
    name: 'types',
    topics: /^types\./,
    window: { size: '1 s' },
    schema,
    eventTime: (row) => row.at,
    // @ts-expect-error -- it is known what a record is
    groupBy: { who: (row) => row.whom, topic: (_, meta) => meta.topic },
    aggregates: { n: count() },
  }),
  // @ts-expect-error -- of neither a topic nor several
  defineJob({
    name: 'types',
    window: { size: '1 s' },
    schema,
    eventTime: (row) => row.at,
    groupBy: ['who'],
    aggregates: { n: count() },
  }),
  defineJob({
    ...base,
    schema: v.object({
      order: v.string(),
      lines: v.array(v.object({ sku: v.string(), n: v.number() })),
    }),
    eventTime: 'kafka',
    filter: (row, { headers }) => headers.kind !== 'test' && row.order !== '',
    flatMap: ({ order, lines }, { key }) => lines.map((line) => ({ ...line, order, key })),
    groupBy: { sku: ({ sku }) => sku, key: (line) => line.key },
    aggregates: ({ sum, distinct, first, last, quantiles, topK, aggregate }) => ({
      n: sum('n'),
      orders: distinct('order'),
      first: first('order'),
      last: last((line, meta) => `${line.order}/${meta.offset}`),
      sizes: quantiles('n', [0.5, 0.99]),
      keys: topK('key', 3),
      range: aggregate({
        parts: { least: 'min', most: 'max', n: 'sum' },
        of: (line) => ({ least: line.n, most: line.n, n: 1 }),
        value: ({ least, most, n }) =>
          least === null || most === null ? null : (most - least) / n,
      }),
    }),
  }),
]

export const refused = [
  defineJob({
    ...base,
    schema,
    // @ts-expect-error -- no such field
    eventTime: (row) => row.att,
    groupBy: [],
    aggregates: { n: count() },
  }),
  defineJob({
    ...base,
    schema: loose,
    // @ts-expect-error -- nor in a loose object
    eventTime: (row) => row.att,
    // @ts-expect-error
    filter: (row) => row.xx === 1,
    // @ts-expect-error
    groupBy: ['whom'],
    // @ts-expect-error
    aggregates: { n: sum('xx') },
  }),
  defineJob({
    ...base,
    schema,
    eventTime: (row) => row.at,
    // @ts-expect-error -- a group has no object for a name
    groupBy: ['price'],
    // @ts-expect-error -- no number
    aggregates: { n: sum('who') },
  }),
  defineJob({
    ...base,
    schema,
    eventTime: (row) => row.at,
    // @ts-expect-error
    groupBy: { who: (row) => row.whom },
    aggregates: {
      // @ts-expect-error -- the argument's type is not the record's
      n: avg((row: { price: { sum: number } }) => row.price.sum),
    },
  }),
  defineJob({
    ...base,
    schema,
    // @ts-expect-error -- Kafka says no such thing
    eventTime: (row, { time }) => time,
    flatMap: (row) => [{ name: row.who }],
    // @ts-expect-error -- a field of the record, not of its rows
    groupBy: { who: (row) => row.who },
    // @ts-expect-error
    aggregates: { x: sum('x') },
  }),
  defineJob({
    ...base,
    schema,
    eventTime: 'kafka',
    flatMap: (row) => [{ name: row.who }],
    groupBy: { name: (row) => row.name },
    aggregates: ({ distinct, aggregate }) => ({
      // @ts-expect-error
      who: distinct('who'),
      own: aggregate({
        parts: { n: 'sum' },
        // @ts-expect-error -- not the part that was named
        of: () => ({ m: 1 }),
        // @ts-expect-error
        value: ({ m }) => m,
      }),
    }),
  }),
  defineJob({
    ...base,
    schema,
    eventTime: (row) => row.at,
    groupBy: [],
    aggregates: ({ sum, max }) => ({
      // @ts-expect-error
      nested: sum((row) => row.price.sum),
      // @ts-expect-error
      named: max('who'),
    }),
  }),
]
