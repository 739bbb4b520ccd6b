/**
 * The flags of `bun bench/growth.ts`.
 */
import { choicesFlag, parseFlags, wholeNumberFlag } from '../../actors/flags.ts'

export const seriesNames = ['rate', 'groups', 'windows', 'partitions', 'size', 'executors'] as const
export type SeriesName = (typeof seriesNames)[number]

export interface Options {
  series: SeriesName[]
  /** Records of a filled topic. */
  count: number
  rounds: number
  /** How long an offered rate is measured. */
  seconds: number
  /** Where the results go as JSON, and the directory for one chart a series, besides. */
  json: string | undefined
  svg: string | undefined
}

const command = {
  help: `
bun bench/growth.ts [options]

Measures how the CPU of a record grows with what is asked, process by process, with a Kafka and a
Redis of its own: with the rate, the groups, the windows that overlap, the partitions, the size of a
record, the executors.

  --series LIST    of ${seriesNames.join(',')}; default: all
  --count N        records of a run over a filled topic, at most 2.1 GB of them (3,000,000)
  --rounds N       runs of each point (1); medians are told
  --seconds N      how long an offered rate is measured (10)
  --json FILE      the results as JSON besides
  --svg DIR        a chart of each series besides
  --help           this text`,
  options: {
    series: { type: 'string' },
    count: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
  },
} as const

/** @throws UsageError that names the flag */
export function readOptions(argv?: string[]): Options {
  const { values } = parseFlags(command, argv)
  return {
    series: choicesFlag('series', values.series, seriesNames) ?? [...seriesNames],
    // Fewer would be in Redis before the pipeline is warm.
    count: wholeNumberFlag('count', values.count, { from: 1_000_000, to: 1e9 }) ?? 3_000_000,
    rounds: wholeNumberFlag('rounds', values.rounds, { from: 1, to: 20 }) ?? 1,
    seconds: wholeNumberFlag('seconds', values.seconds, { from: 1, to: 3_600 }) ?? 10,
    json: values.json,
    svg: values.svg,
  }
}
