/** Results for people: a table, and the list of what there is. */
import type { Result } from './contest.ts'
import type { Scenario } from './scenario.ts'

/** From this on time is told in hours, and executor time from a tenth of it on. */
const HOURS_FROM_SECONDS = 3_600

export function tableOf(results: readonly Result[]): string {
  const rows = results.map((result, i) => ({
    scenario: results[i - 1]?.scenario === result.scenario ? '' : result.scenario,
    policy: result.way,
    'executor time': time(result.cost.executorSeconds, result.cost.elapsedSeconds),
    saved: share(result.cost.savedShare),
    money: result.cost.money.used === null ? '–' : result.cost.money.used.toFixed(4),
    p50: milliseconds(result.delayMs.p50),
    p99: milliseconds(result.delayMs.p99),
    max: longest(result),
    scalings: changes(result),
  }))
  return aligned(rows)
}

/** What can't be read off the table, a line each. */
export function notesOf(results: readonly Result[]): string[] {
  return results.flatMap(({ scenario, way, undone, feasible }) => {
    if (feasible === false) {
      return [`${scenario}: not even the whole fleet can have every record in time`]
    }
    return undone > 0 ? [`${scenario}, ${way}: ${undone} records were never done`] : []
  })
}

export function listOf(scenarios: readonly Scenario[]): string {
  const width = Math.max(...scenarios.map(({ name }) => name.length))
  return scenarios
    .map(({ name, seconds, about }) => `${name.padEnd(width)}  ${duration(seconds)}  ${about}`)
    .join('\n')
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return '–'
  return ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

const duration = (seconds: number) =>
  (seconds < HOURS_FROM_SECONDS
    ? `${Math.round(seconds)} s`
    : `${(seconds / 3_600).toFixed(0)} h`
  ).padStart(6)

const time = (seconds: number, elapsed: number) =>
  elapsed >= HOURS_FROM_SECONDS && seconds >= HOURS_FROM_SECONDS / 10
    ? `${(seconds / 3_600).toFixed(2)} h`
    : `${seconds.toFixed(1)} s`

const share = (saved: number | null) => (saved === null ? '–' : `${(saved * 100).toFixed(2)} %`)

const longest = ({ delayMs, way }: Result) =>
  way === 'optimum' && delayMs.max !== null
    ? `≤ ${milliseconds(delayMs.max)}`
    : milliseconds(delayMs.max)

const changes = ({ scalings, reversals }: Result) =>
  scalings === null ? '–' : reversals ? `${scalings} (${reversals} back)` : String(scalings)

/** Columns under their names, text to the left and figures to the right. */
function aligned(rows: readonly Record<string, string>[]): string {
  const names = Object.keys(rows[0] ?? {})
  const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => row[name]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join(' │ ')
      .trimEnd()
  const rule = widths.map((width) => '─'.repeat(width)).join('─┼─')
  const body = rows.flatMap((row, i) => {
    const begins = i > 0 && row[names[0]!] !== ''
    return [...(begins ? [rule] : []), line(names.map((name) => row[name]!))]
  })
  return [line(names), rule, ...body].join('\n')
}
