/** The demonstration's verdict, as a table. */
import type { CostReport } from '../supervisor/cost.ts'
import { delayQuantile } from '../supervisor/latency.ts'
import type { StageResult } from './stages.ts'

/** Prints what was seen; true where every promise was kept. */
export function printSummary(results: StageResult[], verified: boolean, cost: CostReport): boolean {
  process.stdout.write(`\n${summaryOf(results)}\n\n${costText(cost)}\n`)
  process.stdout.write(`windows against the topic: ${verified ? 'equal' : 'NOT EQUAL'}\n`)
  const passed = verified && results.every(({ met }) => met)
  process.stdout.write(passed ? 'demo: every stage was met\n' : 'demo: NOT every stage was met\n')
  return passed
}

/** The same for programs; delays in ms. */
export function summaryReport(
  results: readonly StageResult[],
  verified: boolean,
  passed: boolean,
  cost: CostReport,
) {
  const stages = results.map(({ stage, seen, met, secondsToScale, delays }) => {
    const executors = seen.samples.map((sample) => sample.executors)
    return {
      stage: stage.name,
      recordsPerSecond: stage.producers * 10,
      executors: { min: Math.min(...executors), max: Math.max(...executors) },
      backlogPeak: Math.max(...seen.samples.map(({ backlog }) => backlog)),
      resultDelayMs: { p50: delayQuantile(delays, 0.5), p99: delayQuantile(delays, 0.99) },
      secondsToScale,
      promised: stage.promise,
      met,
    }
  })
  return { passed, windowsEqual: verified, stages, cost }
}

/** The table, and how its columns were measured. Pure. */
export function summaryOf(results: readonly StageResult[]): string {
  const rows = results.map(({ stage, seen, met, secondsToScale, delays }) => {
    const executors = seen.samples.map((sample) => sample.executors)
    return {
      stage: stage.name,
      load: `${stage.producers * 10}/s`,
      'executors (min–max)': `${Math.min(...executors)}–${Math.max(...executors)}`,
      'backlog peak': Math.max(...seen.samples.map(({ backlog }) => backlog)),
      'result delay p50 / p99': delaysText(delays),
      'time to scale': secondsToScale === null ? '–' : `${secondsToScale.toFixed(1)} s`,
      promised: stage.promise,
      seen: met ? 'yes' : 'NO',
    }
  })
  return [
    table(rows),
    '',
    'result delay: Kafka timestamp to commit, of the records committed in the stage (buckets of 19 %)',
    "time to scale: from the producers' start, or end, until the executors that were decided were at work, or gone",
  ].join('\n')
}

function delaysText(delays: readonly number[]): string {
  const [p50, p99] = [delayQuantile(delays, 0.5), delayQuantile(delays, 0.99)]
  return p50 === null || p99 === null ? '–' : `${milliseconds(p50)} / ${milliseconds(p99)}`
}

const milliseconds = (ms: number): string =>
  ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`

/** Executor time against a fleet that never scales, in money where there is a price. Pure. */
export function costText(cost: CostReport): string {
  const { executorSeconds, staticExecutorSeconds, elapsedSeconds, savedShare, money } = cost
  const fleet = elapsedSeconds > 0 ? Math.round(staticExecutorSeconds / elapsedSeconds) : 0
  const saved = savedShare === null ? '–' : `${(savedShare * 100).toFixed(0)} %`
  const used = `executor time ${executorSeconds.toFixed(0)} s${moneyText(money.used)}`
  const fixed = `a static fleet of ${fleet} ${staticExecutorSeconds.toFixed(0)} s${moneyText(money.static)}`
  const price = cost.pricePerExecutorHour
  const at = price === null ? '' : ` at ${price} an executor-hour`
  return `${used}, ${fixed}: saved ${saved}${moneyText(money.saved)}${at}`
}

const moneyText = (amount: number | null): string =>
  amount === null ? '' : ` (${amount.toLocaleString('en', { maximumSignificantDigits: 2 })})`

function table(rows: Record<string, string | number>[]): string {
  const names = Object.keys(rows[0] ?? {})
  const widths = names.map((name) =>
    Math.max(name.length, ...rows.map((row) => String(row[name]).length)),
  )
  const line = (cells: string[]) => cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' │ ')
  const rule = widths.map((width) => '─'.repeat(width)).join('─┼─')
  return [
    line(names),
    rule,
    ...rows.map((row) => line(names.map((name) => String(row[name])))),
  ].join('\n')
}
