/** The demonstration's verdict, as a table. */
import type { CostReport } from '../supervisor/cost.ts'
import type { StageResult } from './stages.ts'

/** Prints what was seen; true where every promise was kept. */
export function printSummary(results: StageResult[], verified: boolean, cost: CostReport): boolean {
  const rows = results.map(({ stage, samples, met, secondsToScale }) => {
    const executors = samples.map((sample) => sample.executors)
    const known = samples.flatMap(({ p50, p99 }) =>
      p50 === null || p99 === null ? [] : [{ p50, p99 }],
    )
    return {
      stage: stage.name,
      load: `${stage.producers * 10}/s`,
      'executors (min–max)': `${Math.min(...executors)}–${Math.max(...executors)}`,
      'backlog peak': Math.max(...samples.map(({ backlog }) => backlog)),
      'result delay p50 / p99': delays(known),
      'time to scale': `${secondsToScale.toFixed(0)} s`,
      promised: stage.promise,
      seen: met ? 'yes' : 'NO',
    }
  })
  process.stdout.write(`\n${table(rows)}\n`)
  process.stdout.write(`\n${costLine(cost)}\n`)
  process.stdout.write(`windows against the topic: ${verified ? 'equal' : 'NOT EQUAL'}\n`)
  const passed = verified && results.every(({ met }) => met)
  process.stdout.write(passed ? 'demo: every stage was met\n' : 'demo: NOT every stage was met\n')
  return passed
}

/** Median over the stage of what was told each second, and the worst that was told. */
function delays(known: { p50: number; p99: number }[]): string {
  if (known.length === 0) return '–'
  const medians = known.map(({ p50 }) => p50).sort((a, b) => a - b)
  const median = medians[Math.floor(medians.length / 2)]!
  const worst = Math.max(...known.map(({ p99 }) => p99))
  return `${milliseconds(median)} / ${milliseconds(worst)}`
}

const milliseconds = (ms: number): string =>
  ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`

function costLine(cost: CostReport): string {
  const saved = cost.savedShare === null ? '–' : `${(cost.savedShare * 100).toFixed(0)} %`
  return `executor time ${cost.executorSeconds.toFixed(0)} s; a fleet that never scales: ${cost.staticExecutorSeconds.toFixed(0)} s; saved ${saved}`
}

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
