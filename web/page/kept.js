/**
 * How many windows and rows are kept: those that the server follows. What it no longer follows it does not
 * tell of any more, so that it must not look current.
 */
const ROWS_MOST = { open: 400, closed: 200 }
const TOTALS_MOST = 120

/** Newest window first; within one in the order of the group's values. */
export const newestFirst = (a, b) =>
  b.start.localeCompare(a.start) ||
  JSON.stringify(Object.values(a.key)).localeCompare(JSON.stringify(Object.values(b.key)))

/** Of a map of rows. Seldom, as a sort of all costs more than a few rows too many. */
export function trimRows(rows) {
  if (rows.size <= 1.5 * (ROWS_MOST.open + ROWS_MOST.closed)) return
  for (const [state, most] of Object.entries(ROWS_MOST)) {
    const held = [...rows].filter(([, row]) => row.state === state)
    held.sort(([, a], [, b]) => newestFirst(a, b))
    for (const [key] of held.slice(most)) rows.delete(key)
  }
}

/** Of a map of windows by their start, which may come in any order. */
export function trimTotals(totals) {
  if (totals.size > TOTALS_MOST) totals.delete([...totals.keys()].reduce(earlier))
}

const earlier = (a, b) => (a < b ? a : b)
