/**
 * Records that Kafka has deleted before they were read: the bridge stops and names them, or goes on
 * behind them where the operator allows that.
 */
import { RefusalError } from '../errors.ts'
import type { TopicReader } from '../kafka.ts'
import type { BridgeOptions } from './bridge.ts'
import { type KnownTopic, partitionOf, topicOf } from '../topics.ts'
import { lose } from './listing.ts'
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
  known: readonly KnownTopic[],
): Promise<void> {
  const { acceptLoss, log } = options
  const job = { name: options.job.name, topic: topicOf(partition, known, options.job) }
  const position = ends.next.get(partition)!
  const first = ends.first.get(partition) ?? 0
  let last = ends.last.get(partition) ?? 0
  // Another bridge may have gone on while this one was held up since it asked for Kafka's ends.
  if (position > last) last = (await kafka.offsets('latest', [partition])).get(partition) ?? 0
  ends.last.set(partition, last)
  const lost = lostBefore({ job, partition: partitionOf(partition), position, first, last })
  if (lost === null) return
  if (!acceptLoss) throw new RefusalError(`${lost}; start with --accept-loss to go on without them`)
  log.error(lost)
  await lose(options, partition, position, first, known)
  ends.next.set(partition, first)
}
