/**
 * The flags of `bun bench/latency.ts`.
 */
import { UsageError } from '../../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../../actors/flags.ts'

export interface Options {
  /** Records a second, all producers together. */
  rates: number[]
  executors: number[]
  seconds: number
  warmUpSeconds: number
  /** How long the stages are looked at; 0 for not at all. */
  stageSeconds: number
  partitions: number
  /** Where the results go as JSON besides. */
  json: string | undefined
}

const command = {
  help: `
bun bench/latency.ts [options]

Measures how long a record takes from its production until its effect can be read in the live
window, with a Kafka and a Redis of its own: at each rate, with each number of executors.

  --rates LIST       records a second (40,1000,10000,100000)
  --executors LIST   numbers of executors, each pinned (1,4)
  --seconds N        how long each is measured (60)
  --warm-up N        seconds of the same load before, and of 10,000 records/s before all of them (60);
                     Kafka's compiler holds results up by 3 ms each time while it has work
  --stages N         seconds after it in which the way is looked at, stage by stage; at up to
                     1,000 records/s (10; 0 for none)
  --partitions N     partitions of the topic (4)
  --json FILE        the results as JSON besides
  --help             this text`,
  options: {
    rates: { type: 'string' },
    executors: { type: 'string' },
    seconds: { type: 'string' },
    'warm-up': { type: 'string' },
    stages: { type: 'string' },
    partitions: { type: 'string' },
    json: { type: 'string' },
  },
} as const

/** @throws UsageError that names the flag */
export function readOptions(argv?: string[]): Options {
  const { values } = parseFlags(command, argv)
  const seconds = (name: 'seconds' | 'warm-up' | 'stages', fallback: number, from: number) =>
    wholeNumberFlag(name, values[name], { from, to: 3_600 }) ?? fallback
  return {
    rates: listFlag('rates', values.rates, { from: 1, to: 1_000_000 }) ?? [
      40, 1_000, 10_000, 100_000,
    ],
    executors: listFlag('executors', values.executors, { from: 1, to: 64 }) ?? [1, 4],
    seconds: seconds('seconds', 60, 1),
    warmUpSeconds: seconds('warm-up', 60, 0),
    stageSeconds: seconds('stages', 10, 0),
    partitions: wholeNumberFlag('partitions', values.partitions, { from: 1, to: 64 }) ?? 4,
    json: values.json,
  }
}

/** Whole numbers within bounds, with commas between; undefined where the flag is absent. */
function listFlag(
  name: string,
  text: string | undefined,
  { from, to }: { from: number; to: number },
): number[] | undefined {
  if (text === undefined) return undefined
  const numbers = text.split(',').map((part) => (/^\d+$/.test(part) ? Number(part) : Number.NaN))
  if (numbers.every((number) => number >= from && number <= to)) return numbers
  throw new UsageError(
    `--${name} must be whole numbers from ${from} to ${to} with commas between, ` +
      `not ${JSON.stringify(text)}`,
  )
}
