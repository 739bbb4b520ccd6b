/**
 * What the growth benchmark found: a table and a chart for each series. Pure.
 */
import { aligned, whole } from '../report.ts'
import { median } from '../round.ts'
import type { Chart } from './chart.ts'
import type { Run } from './play.ts'
import type { Series } from './series.ts'

export interface Point {
  x: number
  runs: Run[]
}

export interface Result {
  series: Series
  points: Point[]
}

const processes = ['executor', 'redis', 'bridge', 'kafka'] as const
/** Supervisor, web and what else there is. */
const REST = 'rest'

/** The series' settings are the program's own; what was found is told. */
export function toJson({ series, points }: Result) {
  const { name, title, x } = series
  return {
    name,
    title,
    x,
    points: points.map((point) => ({
      x: point.x,
      recordsPerSecond: paceOf(point),
      cpuMicros: { sum: sumOf(point), ...Object.fromEntries(partsOf(point)) },
      runs: point.runs,
    })),
  }
}

export function seriesText({ series, points }: Result): string {
  const parts = [...processes, REST]
  const rows = points.map((point) => [
    whole(point.x),
    whole(paceOf(point)),
    sumOf(point).toFixed(2),
    ...partsOf(point).map(([, micros]) => micros.toFixed(2)),
  ])
  const heads = ['', 'records/s', 'CPU µs/record', ...parts]
  return [`${series.title} (${series.x})`, ...aligned([heads, ...rows])].join('\n')
}

export function chartOf({ series, points }: Result): Chart {
  const lineOf = (name: string, of: (point: Point) => number) => ({
    name,
    points: points.map((point) => ({ x: point.x, y: of(point) })),
  })
  const parts = [...processes, REST].map((name) =>
    lineOf(name, (point) => new Map(partsOf(point)).get(name) ?? 0),
  )
  const { title, x, logX } = series
  return { title, x, y: 'µs/record', logX, lines: [lineOf('all together', sumOf), ...parts] }
}

export const paceOf = ({ runs }: Point): number =>
  median(runs.map(({ recordsPerSecond }) => recordsPerSecond))

/** The median of the runs' sums: medians of the parts need not add up. */
export const sumOf = ({ runs }: Point): number =>
  median(runs.map(({ cpuMicros }) => Object.values(cpuMicros).reduce((sum, one) => sum + one, 0)))

function partsOf({ runs }: Point): [string, number][] {
  const partOf = (name: string) => median(runs.map(({ cpuMicros }) => cpuMicros[name] ?? 0))
  const rest = runs.map(({ cpuMicros }) =>
    Object.entries(cpuMicros)
      .filter(([name]) => !processes.some((known) => known === name))
      .reduce((sum, [, micros]) => sum + micros, 0),
  )
  return [...processes.map((name): [string, number] => [name, partOf(name)]), [REST, median(rest)]]
}
