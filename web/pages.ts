/** Pages of rows, newest first: one row more than was asked for says that there is a next one. Pure. */

export interface Page<Row> {
  rows: Row[]
  /** Where the next page goes on: the id of this one's last row. */
  next?: string
}

export function pageOf<Row extends { id: string }>(found: Row[], limit: number): Page<Row> {
  const rows = found.slice(0, limit)
  return found.length > limit ? { rows, next: rows[limit - 1]!.id } : { rows }
}
