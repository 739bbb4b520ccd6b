/** Versions as people read them. */
import { cutText, escaped } from '../actors/escape.ts'
import type { Lineage } from '../actors/lineage.ts'
import { plural } from '../supervisor/figures.ts'
import { versionReport } from '../supervisor/status.ts'
import type { Comparison, RowDifference } from './compare.ts'
import type { Held } from './list.ts'

export function heldText(jobs: readonly Held[]): string {
  if (jobs.length === 0) return 'Redis holds no job'
  const rows = jobs.map(({ name, shards, snapshot }) => {
    const { leader, watermark, totals, actors } = snapshot
    const executors = actors.filter(({ kind, alive }) => kind === 'executor' && alive).length
    const state = leader === '' ? 'no supervisor' : `at work, ${plural(executors, 'executor')}`
    const until =
      watermark === null ? 'no watermark' : `watermark ${new Date(watermark).toISOString()}`
    const divided = shards > 1 ? ` in ${shards} shards` : ''
    const records = `${totals.committed.toLocaleString('en')} records${divided}`
    return [name, state, until, records, versionText(snapshot.version)]
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

/** Among its versions; '' for one that stands alone. */
export function versionText(version: Lineage | null): string {
  if (!version) return ''
  const { stage, of = '', by = 'another' } = version
  switch (stage) {
    case 'shadow':
      return `shadow of ${of}`
    case 'live':
      return `took the place of ${of}`
    case 'ending':
      return `ends: ${by} takes its place`
    case 'replaced':
      return `replaced by ${by}`
    default:
      return stage satisfies never
  }
}

export function heldReport({ name, shards, snapshot }: Held) {
  const { leader, watermark, totals, actors } = snapshot
  const executors = actors.filter(({ kind, alive }) => kind === 'executor' && alive).length
  return {
    name,
    atWork: leader !== '',
    executors,
    shards,
    watermark: watermark === null ? null : new Date(watermark).toISOString(),
    records: totals.committed,
    version: versionReport(snapshot.version),
  }
}

/** One look of several, in a line. */
export function comparisonLine(
  at: string,
  result: Comparison,
  names: readonly [string, string],
): string {
  return `${at.slice(11, 19)}  ${comparisonText({ ...result, examples: [] }, names).split('\n')[0]}`
}

export function comparisonText(result: Comparison, names: readonly [string, string]): string {
  const { windows, onlyOne, equal, different, examples, aggregates } = result
  if (windows === 0)
    return `nothing to compare: ${names.join(' and ')} have no closed window in common yet`
  const rest = onlyOne > 0 ? `; ${plural(onlyOne, 'window')} that only one has` : ''
  return [
    `${plural(windows, 'window')} of ${names.join(' and ')}: ${plural(equal, 'row')} equal, ${different} different${rest}`,
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
