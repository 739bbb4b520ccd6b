/**
 * Records that Kafka has deleted before they were read: the bridge stops and names them, or goes on
 * behind them where the operator allows that.
 */
import { bounds } from '../config.ts'
import { RefusalError } from '../errors.ts'
import type { TopicReader } from '../kafka.ts'
import type { BridgeOptions } from './bridge.ts'
import { overtaken } from './frontiers.ts'
import { lostBefore } from './retention.ts'

/** Offsets by partition: the job's next ones, and Kafka's first and last. */
interface Ends {
  next: Map<number, number>
  first: ReadonlyMap<number, number>
  last: Map<number, number>
}

/**
 * Looks whether a partition can be read on where the job stands; `next` and `last` are put right.
 * @throws RefusalError where it can't
 */
export async function passLoss(
  options: BridgeOptions,
  kafka: TopicReader,
  partition: number,
  ends: Ends,
): Promise<void> {
  const { job, acceptLoss, log } = options
  const position = ends.next.get(partition)!
  const first = ends.first.get(partition) ?? 0
  let last = ends.last.get(partition) ?? 0
  // Another bridge may have gone on while this one was held up since it asked for Kafka's ends.
  if (position > last) last = (await kafka.offsets('latest', [partition])).get(partition) ?? 0
  ends.last.set(partition, last)
  const lost = lostBefore({ job, partition, position, first, last })
  if (lost === null) return
  if (!acceptLoss) throw new RefusalError(`${lost}; start with --accept-loss to go on without them`)
  log.error(lost)
  await lose(options, partition, position, first)
  ends.next.set(partition, first)
}

/** The operator allows it: the ledger goes on behind a range that nobody has read. */
async function lose(
  { store, keys }: BridgeOptions,
  partition: number,
  expected: number,
  next: number,
): Promise<void> {
  const args = [partition, expected, next, next, bounds.lossesKept]
  const reply = (await store.call('lose', keys.base, args)) as [number, string?]
  if (reply[0] === 0) throw overtaken(partition, expected, reply[1] ?? '')
}
