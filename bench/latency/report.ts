/**
 * What the latency benchmark found, as tables with the goals beside. Pure.
 */
import type { Percentiles } from '../percentiles.ts'
import { aligned, whole } from '../report.ts'
import { type Played, stageSpans } from './played.ts'

/** At a rate, a share of all records is visible within so many ms. */
export const goals = [
  { rate: 40, of: 'p99', ms: 8 },
  { rate: 40, of: 'p999', ms: 30 },
  { rate: 10_000, of: 'p99', ms: 10 },
  { rate: 10_000, of: 'p999', ms: 30 },
] as const satisfies { rate: number; of: keyof Percentiles; ms: number }[]

const titles: Record<keyof Percentiles, string> = {
  p50: 'p50',
  p99: 'p99',
  p999: 'p99.9',
  max: 'max',
}
const shares = Object.keys(titles) as (keyof Percentiles)[]

export function reportText(results: Played[]): string {
  return [
    'produced → visible in the live window, ms: by the probes, and as the API has it of all records',
    ...aligned([delayHeads, ...results.map(delayCells)]),
    '',
    '% of one core meanwhile',
    ...aligned(cpuTable(results)),
    '',
    ...results.flatMap(stageLines),
    ...goalLines(results),
    ...results.filter(({ unseen }) => unseen > 0).map(unseenLine),
    '',
    ...METHOD,
  ].join('\n')
}

const METHOD = [
  'Probes: from the moment at which the record is handed to the producer to that at which the bench hears of',
  'the write of the live pane that has its group; read back: until a look that follows has answered with it.',
  'API: Kafka timestamp to the reply of the commit, in whole ms, each the upper bound of a bucket 19 % wide;',
  'what executors tell once a second, so the span begins and ends up to a second off the probes’. Stolen: for',
  'as long somebody here wanted to run, and the machine’s host had others run; no result is there before.',
]

const delayHeads = [
  'executors, records/s',
  'committed/s',
  'probes',
  ...shares.map((share) => titles[share]),
  'read back p50',
  'p99',
  ...shares.map((share) => `API ${titles[share]}`),
]

function delayCells(played: Played): string[] {
  return [
    named(played),
    whole(played.committedPerSecond),
    whole(played.probes),
    ...shares.map((share) => millis(played.delayMs[share])),
    millis(played.readBackMs.p50),
    millis(played.readBackMs.p99),
    ...shares.map((share) => millis(played.apiMs[share] ?? Number.NaN)),
  ]
}

function cpuTable(results: Played[]): string[][] {
  const names = [...new Set(results.flatMap(({ cpuPercent }) => Object.keys(cpuPercent)))]
  const rows = results.map((played) => [
    named(played),
    ...names.map((name) => (played.cpuPercent[name] ?? 0).toFixed(1)),
  ])
  return [['executors, records/s', ...names], ...rows]
}

function stageLines(played: Played): string[] {
  const { stages } = played
  if (!stages) return []
  const rows = stageSpans.map((span) => [
    span,
    ...shares.map((share) => millis(stages[span][share])),
  ])
  const heads = [named(played), ...shares.map((share) => titles[share])]
  return ['where the time goes, ms, with MONITOR on', ...aligned([heads, ...rows]), '']
}

function goalLines(results: Played[]): string[] {
  return results.flatMap((played) =>
    goals
      .filter(({ rate }) => rate === played.rate)
      .map(({ of, ms }) => {
        const reached = played.delayMs[of] <= ms ? 'reached' : 'MISSED'
        const found = millis(played.delayMs[of])
        return `goal: ${named(played)}: ${titles[of]} of ${ms} ms at the most: ${found} ms, ${reached}`
      }),
  )
}

const unseenLine = (played: Played): string =>
  `${named(played)}: ${played.unseen} of ${played.probes} probes were given up; each counts with ` +
  'what it had waited'

const named = ({ executors, rate }: Played): string => `${executors}, ${whole(rate)}`

const millis = (ms: number): string => (Number.isNaN(ms) ? '-' : ms.toFixed(2))
