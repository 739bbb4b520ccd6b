/**
 * What the benchmark found, as a table with everything set against Millrace. Pure.
 */
import { type Comparison, comparisonText, isEqual } from './compare.ts'
import type { KafkaLimit, RedisLimit } from './limits.ts'
import { type Machine, machineText } from './machine.ts'
import { cpuSum, medianRound, type Round } from './round.ts'

export interface EngineResult {
  name: string
  label: string
  version: string
  settings: string
  firstResult: string
  rounds: Round[]
  /** With Millrace's rows, one a round; none for Millrace itself, whose rows `verify` recomputes. */
  comparisons: Comparison[]
}

export interface Limits {
  kafka: KafkaLimit | null
  redis: RedisLimit | null
}

export interface Result {
  at: string
  machine: Machine
  versions: Record<string, string>
  options: { count: number; partitions: number; compression: string; max: number; rounds: number }
  /** Millrace first. */
  engines: EngineResult[]
  limits: Limits
  notes: string[]
}

interface Column {
  title: string
  /** NaN where it is not known. */
  of: (round: Round, count: number) => number
  text: (value: number) => string
}

const columns: Column[] = [
  { title: 'records/s', of: (round, count) => count / round.seconds, text: whole },
  { title: 'warm records/s', of: (round) => round.warmPerSecond ?? Number.NaN, text: whole },
  { title: 'total s', of: (round) => round.seconds, text: (value) => value.toFixed(2) },
  { title: 'first result s', of: (round) => round.firstResultSeconds, text: (v) => v.toFixed(2) },
  { title: 'CPU µs/record', of: cpuSum, text: (value) => value.toFixed(2) },
  { title: 'memory MiB', of: (round) => round.peakBytes / 2 ** 20, text: whole },
]

export function reportText(result: Result): string {
  return [
    heading(result),
    '',
    ...table(result),
    '',
    ...result.engines.flatMap((engine) => engineLines(engine)),
    ...limitLines(result),
    ...result.notes,
    '',
    ...METHOD,
  ].join('\n')
}

const METHOD = [
  'records/s and total: from the command to the commit of the last record; warm: from the first progress',
  'report at 20 % of the topic or later to the end. CPU: of all processes, Kafka with them. Memory: the',
  'highest sum of proportional set sizes of the engine, with Redis for Millrace, Kafka for none.',
]

function heading({ machine, versions, options, engines }: Result): string {
  return (
    `${whole(options.count)} records in ${options.partitions} partitions, compression ` +
    `${options.compression}; medians of ${engines[0]?.rounds.length ?? 0}, in parentheses against ` +
    `Millrace\n${machineText(machine, versions)}`
  )
}

function table({ engines, options }: Result): string[] {
  const [base] = engines.map((engine) => medianRound(engine.rounds))
  if (!base) return []
  const rows = engines.map((engine, index) => [
    `${engine.label} ${engine.version}`.trim(),
    ...columns.map((column) => {
      const value = column.of(medianRound(engine.rounds), options.count)
      if (Number.isNaN(value)) return '-'
      const ratio = value / column.of(base, options.count)
      return index === 0 ? column.text(value) : `${column.text(value)} (${ratio.toFixed(2)})`
    }),
    rowsCell(engine),
  ])
  return aligned([['', ...columns.map(({ title }) => title), 'windows'], ...rows])
}

function rowsCell({ comparisons }: EngineResult): string {
  if (comparisons.length === 0) return 'recomputed, equal'
  return comparisons.every(isEqual) ? 'equal' : 'DIFFERENT'
}

/** The first column to the left, the others to the right. */
export function aligned(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join('  '),
  )
}

function engineLines(engine: EngineResult): string[] {
  const cpu = Object.entries(medianRound(engine.rounds).cpuMicros)
    .map(([name, micros]) => `${name} ${micros.toFixed(2)}`)
    .join(', ')
  const different = engine.comparisons.find((comparison) => !isEqual(comparison))
  const shown = different ?? engine.comparisons[0]
  return [
    `${engine.label}: ${engine.settings}; first result is ${engine.firstResult}`,
    `  CPU µs a record: ${cpu}`,
    ...(shown ? [`  ${comparisonText(shown)}`] : []),
  ]
}

function limitLines({ limits, engines, options }: Result): string[] {
  const base = engines[0] && medianRound(engines[0].rounds)
  if (!base) return []
  const pace = base.warmPerSecond ?? options.count / base.seconds
  const lines: string[] = []
  if (limits.kafka) {
    const { recordsPerSecond } = limits.kafka
    lines.push(
      `Kafka's limit: one consumer that only reads takes ${whole(recordsPerSecond)} records/s ` +
        `(kafka-consumer-perf-test); Millrace, warm, reaches ${share(pace, recordsPerSecond)} of it`,
    )
  }
  // Compressed batches hold more records a payload than the topic's values say.
  if (limits.kafka && limits.redis && options.compression === 'none') {
    const { pairsPerSecond, payloadBytes } = limits.redis
    const recordsPerSecond = (pairsPerSecond * payloadBytes) / limits.kafka.bytesPerRecord
    lines.push(
      `Redis's limit: ${payloadBytes / 1_024} KiB payloads in and out at ${whole(pairsPerSecond)}/s, ` +
        `the bytes of ${whole(recordsPerSecond)} records/s (redis-benchmark); Millrace, warm, reaches ` +
        `${share(pace, recordsPerSecond)} of it`,
    )
  }
  return lines
}

const share = (part: number, all: number): string => `${((part / all) * 100).toFixed(0)} %`

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}
