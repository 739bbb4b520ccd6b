/**
 * Rows of windows as every engine writes them, and how one engine's differ from another's. Pure.
 */
import * as v from 'valibot'

/** One group's row in one window; the start in epoch ms. */
export const rowSchema = v.object({
  start: v.number(),
  course: v.string(),
  activity: v.string(),
  total_loc: v.number(),
  avg_cpu: v.number(),
  events: v.number(),
})
export type Row = v.InferOutput<typeof rowSchema>

export interface Comparison {
  /** Rows that were expected. */
  rows: number
  missing: number
  unexpected: number
  /** Rows that both have, with other values. */
  differing: number
  /** Events of the expected rows, and of what was found; a record counts in each of its windows. */
  eventsExpected: number
  eventsFound: number
}

/** Peers add decimals in floating point, in the order that they come in. */
const RELATIVE_TOLERANCE = 1e-6

/** Of several rows of a group and window the later ones in `found` count: updates of the earlier. */
export function compareRows(expected: Iterable<Row>, found: Iterable<Row>): Comparison {
  const wanted = new Map(Array.from(expected, (row) => [keyOf(row), row]))
  const given = new Map(Array.from(found, (row) => [keyOf(row), row]))
  const both = Array.from(wanted).flatMap(([key, row]) => {
    const other = given.get(key)
    return other ? [[row, other] as const] : []
  })
  return {
    rows: wanted.size,
    missing: wanted.size - both.length,
    unexpected: given.size - both.length,
    differing: both.filter(([row, other]) => !isSame(row, other)).length,
    eventsExpected: eventsOf(wanted.values()),
    eventsFound: eventsOf(given.values()),
  }
}

export const isEqual = ({ missing, unexpected, differing }: Comparison): boolean =>
  missing + unexpected + differing === 0

/** In words, for people. */
export function comparisonText(comparison: Comparison): string {
  const { rows, missing, unexpected, differing, eventsExpected, eventsFound } = comparison
  if (isEqual(comparison)) return `all ${rows.toLocaleString('en')} rows equal`
  const lost = eventsExpected - eventsFound
  const share = ((Math.abs(lost) / Math.max(1, eventsExpected)) * 100).toFixed(2)
  const events = lost < 0 ? 'too many' : 'lost'
  return (
    `of ${rows.toLocaleString('en')} rows ${missing} missing, ${unexpected} unexpected, ` +
    `${differing} different; ${share} % of the events ${events}`
  )
}

const keyOf = ({ start, course, activity }: Row): string =>
  JSON.stringify([start, course, activity])

function isSame(one: Row, other: Row): boolean {
  if (one.events !== other.events || one.total_loc !== other.total_loc) return false
  const off = Math.abs(one.avg_cpu - other.avg_cpu)
  return off <= Math.abs(one.avg_cpu) * RELATIVE_TOLERANCE
}

function eventsOf(rows: Iterable<Row>): number {
  let sum = 0
  for (const { events } of rows) sum += events
  return sum
}
