/** Versions as people read them. */
import { cutText, escaped } from '../actors/escape.ts'
import { plural } from '../supervisor/figures.ts'
import type { Comparison, RowDifference } from './compare.ts'
import type { Held } from './list.ts'

export function heldText(jobs: readonly Held[]): string {
  if (jobs.length === 0) return 'Redis holds no job'
  const rows = jobs.map(({ name, snapshot }) => {
    const { leader, watermark, totals, actors } = snapshot
    const executors = actors.filter(({ kind, alive }) => kind === 'executor' && alive).length
    const state = leader === '' ? 'no supervisor' : `at work, ${plural(executors, 'executor')}`
    const until =
      watermark === null ? 'no watermark' : `watermark ${new Date(watermark).toISOString()}`
    return [name, state, until, `${totals.committed.toLocaleString('en')} records`]
  })
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function comparisonText(result: Comparison, names: readonly [string, string]): string {
  const { windows, onlyOne, equal, different, examples, aggregates } = result
  if (windows === 0)
    return `nothing to compare: ${names.join(' and ')} have no closed window in common yet`
  const rest = onlyOne > 0 ? `; ${onlyOne} windows that only one has` : ''
  return [
    `${windows} windows of ${names.join(' and ')}: ${equal} rows equal, ${different} different${rest}`,
    `compared: ${aggregates.join(', ')}`,
    ...examples.map((example) => exampleText(example, names)),
  ].join('\n')
}

function exampleText({ start, end, key, values }: RowDifference, names: readonly [string, string]) {
  const span = `${new Date(start).toISOString()} to ${new Date(end).toISOString()}`
  const group = Object.entries(key).map(
    ([name, value]) => `${name}=${escaped(cutText(String(value), 60))}`,
  )
  const sides = values.map(
    (side, i) => `    ${names[i]}: ${side ? JSON.stringify(side) : 'no such row'}`,
  )
  return [`  ${span}  ${group.join(' ')}`, ...sides].join('\n')
}
