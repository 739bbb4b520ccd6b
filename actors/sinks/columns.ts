/**
 * A job's rows as columns of a table, the same for every sink that has columns: the times of the window
 * or the session, the group's values, the aggregates. Pure.
 */
import { UsageError } from '../errors.ts'
import type { Aggregate, AggregateValue } from '../windows/kinds.ts'
import { quantileName } from '../windows/buckets.ts'
import { isRevised } from '../windows/revisions.ts'
import { type Telling, toldWindow } from './rows.ts'
import type { ClosedRow, SinkJob } from './sink.ts'

/** Of a column's values; what a table's types are made of. All but times, keys, integers and booleans may be null. */
export type ColumnType =
  | { is: 'time' }
  | { is: 'key' }
  | { is: 'integer' }
  | { is: 'boolean' }
  | { is: 'text' }
  /** Exact in fixed point, as far as a number can be. */
  | { is: 'decimal' }
  | { is: 'number' }
  /** An object of numbers by these names, or null. */
  | { is: 'numbers'; names: readonly string[] }
  | { is: 'json' }

export interface Column {
  name: string
  type: ColumnType
  /** Times as epoch ms. */
  of: (window: Telling, row: ClosedRow) => AggregateValue
}

/** Columns beside those of the job's groups and aggregates. */
const own: readonly Column[] = [
  { name: 'window_start', type: { is: 'time' }, of: (_, { start }) => start },
  { name: 'window_end', type: { is: 'time' }, of: (_, { end }) => end },
  // The group's values as a JSON array: a key also where one of them is null.
  { name: 'group_key', type: { is: 'key' }, of: (_, { group }) => group },
]

/** Where windows are told more than once. */
export const toldColumns: readonly Column[] = [
  { name: 'state', type: { is: 'key' }, of: (window) => toldWindow(window).state ?? 'closed' },
  { name: 'revision', type: { is: 'integer' }, of: (window) => toldWindow(window).revision ?? 0 },
  { name: 'final', type: { is: 'boolean' }, of: (window) => toldWindow(window).final ?? true },
]

const ownOf = (job: SinkJob) => (isRevised(job) ? [...own, ...toldColumns] : own)

export const columnsOf = (job: SinkJob): Column[] => [
  ...ownOf(job),
  ...job.groups.map(
    ({ name }): Column => ({ name, type: { is: 'text' }, of: (_, { key }) => key[name] ?? null }),
  ),
  ...job.aggregates.map(
    ({ name, aggregate }): Column => ({
      name,
      type: typeOf(aggregate),
      of: (_, { values }) => values[name] ?? null,
    }),
  ),
]

/** @throws UsageError where two columns would have one name */
export function checkColumns(sink: string, job: SinkJob): void {
  const names = [...job.groups, ...job.aggregates].map(({ name }) => name)
  const taken = ownOf(job).map(({ name }) => name)
  const all = [...taken, ...names]
  const bad = names.find(
    (name, place) => all.indexOf(name) !== taken.length + place || !isColumnName(name),
  )
  if (bad === undefined) return
  throw new UsageError(
    `sink ${sink}: ${JSON.stringify(bad)} can't be a column: groups and aggregates must have different names, of at most 63 bytes, and none of ${taken.join(', ')}`,
  )
}

const isColumnName = (name: string): boolean =>
  name !== '' && Buffer.byteLength(name) <= 63 && !name.includes('\0')

function typeOf({ kind, wanted = [] }: Aggregate<unknown>): ColumnType {
  switch (kind) {
    case 'count':
    case 'distinct':
      return { is: 'integer' }
    case 'sum':
    case 'avg':
      return { is: 'decimal' }
    case 'min':
    case 'max':
      return { is: 'number' }
    case 'first':
    case 'last':
      return { is: 'text' }
    case 'quantiles':
      return { is: 'numbers', names: [...new Set(wanted.map(quantileName))] }
    case 'topK':
    case 'own':
      return { is: 'json' }
    default:
      return kind satisfies never
  }
}
