/**
 * A sink that writes closed windows to a table of PostgreSQL, one row a group, and its position in the
 * same transaction: each window is there once, whatever is killed and whenever. The position's row is
 * locked and compared first, so that of two processes at once one is refused.
 *
 *   begin → lock and compare the position → delete the windows' rows → insert → position → commit
 *
 * A window that comes again (as a later revision; or because Redis was taken back in time) takes the place
 * of what it was, and of sessions all that end in the same time: since windows come in the order of their
 * position, the newest revision is there. The table and the one of positions are made where they are missing.
 */
import { SQL } from 'bun'
import { UsageError } from '../errors.ts'
import { JobError } from '../job.ts'
import { isRevised } from '../windows/revisions.ts'
import { isSession } from '../windows/span.ts'
import { checkColumns, type Column, columnsOf, type ColumnType, toldColumns } from './columns.ts'
import { iso } from './rows.ts'
import {
  type Batch,
  type ClosedRow,
  type ClosedWindow,
  declared,
  fromEnvironment,
  type Sink,
  SinkFenced,
  type SinkJob,
  type SinkOptions,
  SinkRefusal,
  variableName,
} from './sink.ts'

export interface PostgresOptions extends SinkOptions {
  /** The variable of the environment that has postgres://user:password@host:port/database. */
  urlFrom: string
  /** Of this job and this sink alone; `schema.table` or `table`. */
  table: string
}

const POSITIONS = 'millrace_positions'
const CONNECT_SECONDS = 5
/** A process that was stopped in a transaction must not hold its lock for longer, or no other could go on. */
const IDLE_MS = 5_000

/** The rows of a window, and those of a closing of sessions, that were there before. */
const inWindow = 'window_start = $1::timestamptz'
const inClosing = 'window_end > $1::timestamptz and window_end <= $2::timestamptz'

const bounds = (job: SinkJob, { start, end }: ClosedWindow): string[] =>
  isSession(job) ? [iso(start), iso(end)] : [iso(start)]

export function postgres(options: PostgresOptions): Sink {
  const base = declared('postgres', options)
  const variable = variableName(base.name, 'urlFrom', options.urlFrom)
  const table = tableName(base.name, options.table)
  return {
    ...base,
    address(job, environment) {
      checkColumns(base.name, job)
      const url = urlOf(base.name, variable, environment)
      return `${url.hostname}:${url.port || '5432'}${url.pathname}, table ${options.table}`
    },
    async open({ job, environment }) {
      const { href } = urlOf(base.name, variable, environment)
      const sql = new SQL({ url: href, max: 1, connectionTimeout: CONNECT_SECONDS, idleTimeout: 0 })
      const who = [job.name, base.name]
      try {
        await sql.unsafe(`set idle_in_transaction_session_timeout = ${IDLE_MS}`)
        await sql.unsafe(`set lock_timeout = ${2 * IDLE_MS}`)
        await prepare(sql, job, table)
        await claim(sql, who, options.table)
      } catch (error) {
        await sql.close({ timeout: 0 })
        throw error
      }
      const columns = columnsOf(job)
      const insert = insertOf(job, table)
      const replaced = `delete from ${table} where ${isSession(job) ? inClosing : inWindow}`
      return {
        async position() {
          const query = `select position from ${POSITIONS} where job = $1 and sink = $2`
          const [row] = (await sql.unsafe(query, who)) as { position: string }[]
          return row?.position || null
        },
        async write(batch, signal) {
          await sql.begin(async (transaction) => {
            await lock(transaction, who, batch.expected)
            for (const window of batch.windows) {
              await transaction.unsafe(replaced, bounds(job, window))
              const rows = JSON.stringify(
                window.rows.map((row) => rowOf(columns, window, row)),
                withoutNul,
              )
              await transaction.unsafe(insert, [rows]).catch(refusalOf)
            }
            signal.throwIfAborted()
            const moved = `update ${POSITIONS} set position = $3 where job = $1 and sink = $2`
            await transaction.unsafe(moved, [...who, batch.position])
          })
        },
        close: () => sql.close({ timeout: 0 }),
      }
    },
  }
}

function tableName(sink: string, table: unknown): string {
  const parts = typeof table === 'string' ? table.split('.') : []
  if (
    parts.length > 0 &&
    parts.length <= 2 &&
    parts.every((part) => /^[a-z_][a-z0-9_]{0,62}$/.test(part))
  ) {
    return parts.map(quoted).join('.')
  }
  throw new JobError(
    `sink ${sink}: table must be a name of lower-case letters, digits and _, such as windows or stats.windows, not ${JSON.stringify(table)}`,
  )
}

/** An address as a person may write it; never told, as the password is in it. */
function urlOf(
  sink: string,
  variable: string,
  environment: Record<string, string | undefined>,
): URL {
  const allowed = 'postgres://user:password@host:port/database'
  const text = fromEnvironment(sink, variable, environment, allowed)
  const url = URL.canParse(text) ? new URL(text) : null
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname) return url
  throw new UsageError(`sink ${sink}: ${variable} must be ${allowed}`)
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

function sqlType({ is }: ColumnType): string {
  switch (is) {
    case 'time':
      return 'timestamptz'
    case 'integer':
      return 'bigint'
    case 'boolean':
      return 'boolean'
    case 'decimal':
      // Exact in fixed point, and so are their decimals here.
      return 'numeric'
    case 'number':
      return 'double precision'
    case 'key':
    case 'text':
      return 'text'
    case 'numbers':
    case 'json':
      return 'jsonb'
    default:
      return is satisfies never
  }
}

async function prepare(sql: SQL, job: SinkJob, table: string): Promise<void> {
  await sql.unsafe(`create table if not exists ${POSITIONS} (
    job text not null, sink text not null, rows_table text not null unique, position text not null,
    primary key (job, sink))`)
  const columns = columnsOf(job).map(({ name, type }) => {
    const required = type.is === 'time' || type.is === 'key' ? ' not null' : ''
    return `${quoted(name)} ${sqlType(type)}${required}`
  })
  const key = `primary key (${isSession(job) ? 'window_end' : 'window_start'}, group_key)`
  await sql.unsafe(`create table if not exists ${table} (${columns.join(', ')}, ${key})`)
  if (!isRevised(job)) return
  // The job may have told each window once before.
  for (const { name, type } of toldColumns) {
    const column = `${quoted(name)} ${sqlType(type)}`
    await sql.unsafe(`alter table ${table} add column if not exists ${column}`)
  }
}

/** A table is one sink's: its rows of a window are replaced as a whole. */
async function claim(sql: SQL, who: string[], table: string): Promise<void> {
  await sql.unsafe(
    `insert into ${POSITIONS} (job, sink, rows_table, position) values ($1, $2, $3, '')
     on conflict do nothing`,
    [...who, table],
  )
  const found = (await sql.unsafe(
    `select job, sink, rows_table from ${POSITIONS} where rows_table = $3 or (job = $1 and sink = $2)`,
    [...who, table],
  )) as { job: string; sink: string; rows_table: string }[]
  const other = found.find((row) => row.job !== who[0] || row.sink !== who[1])
  if (other) throw new Error(`table ${table} belongs to sink ${other.sink} of job ${other.job}`)
  const before = found.find(({ rows_table }) => rows_table !== table)
  if (before)
    throw new Error(
      `it has written to table ${before.rows_table}; another table needs another name`,
    )
}

async function lock(sql: SQL, who: string[], expected: Batch['expected']): Promise<void> {
  const query = `select position from ${POSITIONS} where job = $1 and sink = $2 for update`
  const [row] = (await sql.unsafe(query, who)) as { position: string }[]
  if ((row?.position || null) !== expected) throw new SinkFenced('the position has moved')
}

function insertOf(job: SinkJob, table: string): string {
  const columns = columnsOf(job)
  const names = columns.map(({ name }) => quoted(name)).join(', ')
  const typed = columns.map(({ name, type }) => `${quoted(name)} ${sqlType(type)}`).join(', ')
  return `insert into ${table} (${names}) select ${names} from json_to_recordset($1::text::json) as r(${typed})`
}

/** As JSON has it. */
function rowOf(columns: readonly Column[], window: ClosedWindow, row: ClosedRow) {
  return Object.fromEntries(
    columns.map(({ name, type, of }) => {
      const value = of(window, row)
      return [name, type.is === 'time' ? iso(value as number) : value]
    }),
  )
}

/** Text of PostgreSQL has no NUL; the group's key, JSON in itself, keeps it escaped. */
const withoutNul = (_: string, value: unknown): unknown =>
  typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value

/** Data that the table does not take, or a table that is not as it must be. */
function refusalOf(error: unknown): never {
  const { errno } = error as { errno?: unknown }
  if (/^(22|23|42)/.test(String(errno))) {
    throw new SinkRefusal((error as Error).message, { cause: error })
  }
  throw error
}
