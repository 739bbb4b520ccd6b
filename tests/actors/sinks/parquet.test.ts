/** Columns and their types, as a reader of Parquet that is not the writer finds them. */
import { expect, test } from 'bun:test'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { defineJob } from 'millrace'
import * as v from 'valibot'
import { systemClock } from '../../../actors/clock.ts'
import { files } from '../../../actors/sinks/files.ts'
import { assertParquet, parquetOf } from '../../../actors/sinks/parquet.ts'
import type { ClosedRow, ClosedWindow } from '../../../actors/sinks/sink.ts'

const T = Date.parse('2024-05-01T12:00:00Z')

const job = defineJob({
  name: 'columns',
  topic: 'columns',
  schema: v.object({ who: v.string(), x: v.number() }),
  eventTime: 'kafka',
  window: { size: '10 s' },
  groupBy: { who: (row) => row.who, n: (row) => (row.x > 0 ? row.x : null) },
  aggregates: ({ count, sum, avg, max, last, distinct, quantiles, topK, aggregate }) => ({
    events: count(),
    total: sum('x'),
    mean: avg('x'),
    most: max('x'),
    newest: last('x'),
    different: distinct('who'),
    ms: quantiles('x', [0.5, 0.999, 0.5]),
    top: topK('who', 2),
    own: aggregate({ parts: { n: 'sum' }, of: () => ({ n: 1 }), value: ({ n }) => n === 1 }),
  }),
})

const rowOf = (
  who: string,
  n: number | null,
  values: Partial<ClosedRow['values']> = {},
): ClosedRow => ({
  start: T,
  end: T + 10_000,
  group: JSON.stringify([who, n]),
  key: { who, n },
  values: {
    events: 2,
    total: 0.3,
    mean: 0.15,
    most: 0.2,
    newest: 0.2,
    different: 1,
    ms: { p50: 0.1, 'p99.9': 0.2 },
    top: [{ value: who, count: 2, error: 0 }],
    own: false,
    ...values,
  },
})

const windowOf = (rows: ClosedRow[]): ClosedWindow => ({
  start: T,
  end: T + 10_000,
  number: 1,
  rows,
  position: '',
})

const signal = new AbortController().signal

async function written(rows: ClosedRow[]): Promise<ArrayBuffer> {
  const bytes = await (await parquetOf(job, systemClock))(windowOf(rows), signal)
  return bytes.slice().buffer
}

const schemaOf = async (rows: ClosedRow[]) => parquetMetadata(await written(rows)).schema

test('a row has each value in a column of its type', async () => {
  const none = { most: null, mean: null, newest: null, ms: null, top: null, own: null }
  const file = await written([rowOf('a\0é"', 7), rowOf('b', null, none)])
  const first = {
    window_start: new Date(T),
    window_end: new Date(T + 10_000),
    group_key: '["a\\u0000é\\"",7]',
    who: 'a\0é"',
    n: '7',
    events: 2n,
    total: 0.3,
    mean: 0.15,
    most: 0.2,
    newest: '0.2',
    different: 1n,
    ms: { p50: 0.1, 'p99.9': 0.2 },
    top: [{ value: 'a\0é"', count: 2, error: 0 }],
    own: false,
  }
  const second = { ...first, group_key: '["b",null]', who: 'b', n: null, ...none }
  const rows = (await parquetReadObjects({ file })).map((row) => ({ ...row, ms: row.ms ?? null }))
  expect(rows).toEqual([first, second])
})

test('the types are the same whatever the rows are', async () => {
  const schema = await schemaOf([rowOf('a', 1)])
  expect(schema.map(({ name, type, converted_type: as }) => [name, as ?? type])).toEqual([
    ['root', undefined],
    ['window_start', 'TIMESTAMP_MILLIS'],
    ['window_end', 'TIMESTAMP_MILLIS'],
    ['group_key', 'UTF8'],
    ['who', 'UTF8'],
    ['n', 'UTF8'],
    ['events', 'INT64'],
    ['total', 'DOUBLE'],
    ['mean', 'DOUBLE'],
    ['most', 'DOUBLE'],
    ['newest', 'UTF8'],
    ['different', 'INT64'],
    ['ms', undefined],
    ['p50', 'DOUBLE'],
    ['p99.9', 'DOUBLE'],
    ['top', 'JSON'],
    ['own', 'JSON'],
  ])
  expect(await schemaOf([])).toEqual(schema)
  expect(await schemaOf([rowOf('b', null, { total: 1, most: null, own: 'text' })])).toEqual(schema)
})

test('the same window is the same bytes, in more than one row group', async () => {
  const rows = Array.from({ length: 12_000 }, (_, i) => rowOf(`w${i}`, i))
  const file = await written(rows)
  expect(Buffer.from(file).equals(Buffer.from(await written(rows)))).toBe(true)
  expect(parquetMetadata(file).row_groups.map((group) => Number(group.num_rows))).toEqual([
    10_000, 2_000,
  ])
  const read = await parquetReadObjects({ file, columns: ['n'] })
  expect(read.map(({ n }) => Number(n))).toEqual(rows.map(({ key }) => Number(key.n)))
})

test('what can’t be columns, and a package that is not there, are said before anything starts', () => {
  const sink = files({ directory: '.', format: 'parquet' })
  const [group] = job.groups
  const bad = { ...job, groups: [{ ...group!, name: 'window_end' }] }
  expect(() => sink.address(bad, {})).toThrow('sink files: "window_end" can\'t be a column')
  expect(sink.address(job, {})).toBe(process.cwd())
  expect(() => assertParquet('files', '/')).toThrow(
    /^sink files: format 'parquet' needs a package that is not installed: bun add --exact hyparquet-writer@\d/,
  )
})
