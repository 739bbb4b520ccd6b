/**
 * A closed window as a file of Parquet: a column for each of columns.ts, with its type.
 *
 *   window_start, window_end   INT64, milliseconds in UTC
 *   group_key, groups          text; null where a group's value is
 *   state, revision, final     text, INT64, BOOLEAN; where windows are told more than once
 *   count, distinct            INT64
 *   sum, avg, min, max         DOUBLE, null where there was nothing
 *   first, last                text
 *   quantiles                  a struct of DOUBLEs
 *   topK, one's own            JSON
 *
 * The same window is always the same bytes. The package that writes them is optional: it is loaded by who
 * asks for it.
 */
import type { ColumnSource, SchemaElement } from 'hyparquet-writer'
import { compressSync } from 'snappy'
import { optionalDependencies } from '../../package.json'
import type { Clock } from '../clock.ts'
import { UsageError } from '../errors.ts'
import type { AggregateValue } from '../windows/kinds.ts'
import { type Column, columnsOf, type ColumnType } from './columns.ts'
import { chunked } from './rows.ts'
import type { ClosedWindow, SinkJob } from './sink.ts'

const PACKAGE = 'hyparquet-writer'

/**
 * Rows of a row group. Each is written without a pause, within which no lease can be renewed: 10,000 rows
 * take 0.2 s, and less than a second on a busy machine.
 */
const GROUP_ROWS = 10_000

/** Quicker than the writer's own, by a third of the whole. */
const compressors = {
  SNAPPY: ({ buffer, byteOffset, length }: Uint8Array) =>
    compressSync(Buffer.from(buffer, byteOffset, length)),
}

/** @throws UsageError that says what to install; `from` is the folder whose packages are looked at */
export function assertParquet(sink: string, from = import.meta.dir): void {
  try {
    Bun.resolveSync(PACKAGE, from)
  } catch {
    const version = optionalDependencies[PACKAGE]
    throw new UsageError(
      `sink ${sink}: format 'parquet' needs a package that is not installed: bun add --exact ${PACKAGE}@${version}`,
    )
  }
}

export type ParquetFile = (window: ClosedWindow, signal: AbortSignal) => Promise<Uint8Array>

/** Rejects where the package can't be loaded. */
export async function parquetOf(job: SinkJob, clock: Pick<Clock, 'turn'>): Promise<ParquetFile> {
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer')
  const columns = columnsOf(job)
  const schema = [
    { name: 'root', num_children: columns.length },
    ...columns.flatMap(({ name, type }) => elementsOf(name, type)),
  ]
  return async (window, signal) => {
    const writer = new ByteWriter()
    const file = new ParquetWriter({ writer, schema, compressors, createdBy: 'millrace' })
    for (const rows of chunked(window.rows, GROUP_ROWS)) {
      const columnData = columns.map((column) => dataOf(column, { ...window, rows }))
      await file.write({ columnData, rowGroupSize: GROUP_ROWS })
      await clock.turn()
      signal.throwIfAborted()
    }
    await file.finish()
    return writer.getBytes()
  }
}

function elementsOf(name: string, type: ColumnType): SchemaElement[] {
  switch (type.is) {
    case 'time':
      return [
        {
          name,
          type: 'INT64',
          converted_type: 'TIMESTAMP_MILLIS',
          logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
          repetition_type: 'REQUIRED',
        },
      ]
    case 'key':
      return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' }]
    case 'integer':
      return [{ name, type: 'INT64', repetition_type: 'REQUIRED' }]
    case 'boolean':
      return [{ name, type: 'BOOLEAN', repetition_type: 'REQUIRED' }]
    case 'text':
      return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }]
    case 'decimal':
    case 'number':
      return [{ name, type: 'DOUBLE', repetition_type: 'OPTIONAL' }]
    case 'numbers':
      return [
        { name, repetition_type: 'OPTIONAL', num_children: type.names.length },
        ...type.names.flatMap((name) => elementsOf(name, { is: 'number' })),
      ]
    case 'json':
      return [{ name, type: 'BYTE_ARRAY', converted_type: 'JSON', repetition_type: 'OPTIONAL' }]
    default:
      return type satisfies never
  }
}

const dataOf = ({ name, type, of }: Column, window: ClosedWindow): ColumnSource => ({
  name,
  data: window.rows.map((row) => valueOf(type, of(window, row))),
})

function valueOf({ is }: ColumnType, value: AggregateValue): unknown {
  if (value === null) return null
  switch (is) {
    case 'time':
      return new Date(value as number)
    case 'integer':
      return BigInt(value as number)
    case 'key':
    case 'text':
      return typeof value === 'string' ? value : JSON.stringify(value)
    case 'boolean':
    case 'decimal':
    case 'number':
    case 'numbers':
    case 'json':
      return value
    default:
      return is satisfies never
  }
}
