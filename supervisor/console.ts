/**
 * What a person at the terminal sees: one line a decision and, every few seconds, the windows that
 * changed since the last table, like Spark's update mode.
 *
 *   panes' versions, changed? → newest open windows → rows that differ from the last table → stdout
 */
import type { Clock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { AggregateValue } from '../actors/windows/kinds.ts'
import { paneVersions, readOpenWindows, type WindowRow } from '../actors/windows/read.ts'
import type { Decision } from './reasons.ts'

const everyMs = 5_000
const rowsMax = 20
/** Rows that are read and compared: changes among more groups than these are not looked for. */
const rowsRead = 500

export class Console {
  readonly #store: Store
  readonly #keys: Keys
  readonly #job: Job
  readonly #write: (text: string) => void
  #versions = ''
  #shown = new Map<string, string>()

  constructor(store: Store, keys: Keys, job: Job, write: (text: string) => void) {
    this.#store = store
    this.#keys = keys
    this.#job = job
    this.#write = write
  }

  decision({ at, sentence, reason }: Decision): void {
    this.#write(`${new Date(at).toISOString().slice(11, 19)}  ${sentence}  [${reason}]\n`)
  }

  /** Prints a table every few seconds until the signal; while Redis is away there is none. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal)
      if (signal.aborted) return
      // Tables are for the eye only: whatever keeps one from being made, the next may come.
      await this.table(clock.now()).catch(() => {})
    }
  }

  async table(now: number): Promise<void> {
    const panes = await paneVersions(this.#store, this.#keys)
    const versions = JSON.stringify([...panes])
    if (versions === this.#versions) return
    const rows = await readOpenWindows(this.#store, this.#keys, this.#job, { limit: rowsRead })
    this.#versions = versions
    const changed = rows.filter((row) => this.#shown.get(placeOf(row)) !== valuesOf(row))
    this.#shown = new Map(rows.map((row) => [placeOf(row), valuesOf(row)]))
    if (changed.length > 0) this.#write(tableOf(this.#job, changed, now))
  }
}

/** A table of the newest rows, with how many more there are. Pure. */
export function tableOf(job: Job, rows: readonly WindowRow[], now: number): string {
  const header = [
    'window',
    ...job.groups.map(({ name }) => name),
    ...job.aggregates.map(({ name }) => name),
  ]
  const body = rows
    .slice(0, rowsMax)
    .map((row) => [
      `${clockTime(row.start)}–${clockTime(row.end)}`,
      ...job.groups.map(({ name }) => plain(String(row.key[name]))),
      ...job.aggregates.map(({ name }) => valueText(row.values[name] ?? null)),
    ])
  const firstNumber = 1 + job.groups.length
  const widths = header.map((name, column) =>
    Math.max(name.length, ...body.map((cells) => cells[column]!.length)),
  )
  const line = (cells: string[]) =>
    cells
      .map((cell, column) =>
        column >= firstNumber ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
  const more = rows.length > rowsMax ? [`… and ${rows.length - rowsMax} more`] : []
  const title = `windows that changed, ${clockTime(now)} UTC`
  return `\n${[title, line(header), ...body.map(line), ...more].join('\n')}\n`
}

const placeOf = ({ start, key }: WindowRow) => `${start} ${JSON.stringify(key)}`
const valuesOf = ({ values }: WindowRow) => JSON.stringify(values)
const clockTime = (ms: number) => new Date(ms).toISOString().slice(11, 19)

function valueText(value: AggregateValue): string {
  if (value === null) return '–'
  if (typeof value === 'object') return plain(JSON.stringify(value))
  if (typeof value !== 'number') return plain(String(value))
  return Number.isInteger(value) ? String(value) : value.toFixed(2)
}

/** Group values are the world's: no control characters reach the terminal, and no endless lines. */
const plain = (text: string) => text.replace(/\p{C}/gu, '�').slice(0, 32)
