/**
 * The flags of `bun run bench`.
 */
import { UsageError } from '../actors/errors.ts'
import { choiceFlag, choicesFlag, parseFlags, wholeNumberFlag } from '../actors/flags.ts'

export const peerNames = ['flink', 'streams', 'spark'] as const
export type PeerName = (typeof peerNames)[number]

const compressions = ['none', 'lz4', 'zstd'] as const

export interface Options {
  count: number
  partitions: number
  max: number
  rounds: number
  compression: (typeof compressions)[number]
  peers: PeerName[]
  /** Redis by its socket. */
  socket: boolean
  /** Where the results go as JSON besides. */
  json: string | undefined
}

const command = {
  help: `
Usage: bun run bench [options]

Fills a topic once and measures how fast the shipped job takes it from start to end: Millrace, and
beside it Apache Flink, Kafka Streams and Spark Structured Streaming, each alone in turn, Kafka and
Redis on the same machine. All must give the same windows. Peers are fetched when they are first
wanted (Maven and pip, about 700 MB under .millrace/); one that can't be had is left out.

  --quick          Millrace alone
  --peers LIST     of ${peerNames.join(',')}; default: all
  --count N        records (5,000,000)
  --partitions N   partitions of the topic (4)
  --rounds N       runs of each over the same topic (3); medians are told
  --max N          Millrace's executors at the most (4)
  --compression ${compressions.join('|')}   of the record batches (none)
  --socket         Redis by its socket (unix://), not by TCP
  --json FILE      the results as JSON besides
  --help           this text

Exit code: 0; 1 where something could not be measured; 2 for a mistake in the command.`,
  options: {
    quick: { type: 'boolean' },
    peers: { type: 'string' },
    count: { type: 'string' },
    partitions: { type: 'string' },
    rounds: { type: 'string' },
    max: { type: 'string' },
    compression: { type: 'string' },
    socket: { type: 'boolean' },
    json: { type: 'string' },
  },
} as const

/** @throws UsageError that names the flag */
export function readOptions(argv?: string[]): Options {
  const { values } = parseFlags(command, argv)
  const number = (name: 'count' | 'partitions' | 'rounds' | 'max', fallback: number, to: number) =>
    wholeNumberFlag(name, values[name], { from: 1, to }) ?? fallback
  if (values.quick && values.peers !== undefined) {
    throw new UsageError('--quick is Millrace alone and takes no --peers')
  }
  return {
    count: number('count', 5_000_000, 1_000_000_000),
    partitions: number('partitions', 4, 64),
    max: number('max', 4, 64),
    rounds: number('rounds', 3, 20),
    compression: choiceFlag('compression', values.compression, compressions) ?? 'none',
    peers: values.quick ? [] : (choicesFlag('peers', values.peers, peerNames) ?? [...peerNames]),
    socket: values.socket ?? false,
    json: values.json,
  }
}
