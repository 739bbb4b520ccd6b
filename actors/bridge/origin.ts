/**
 * How a job begins that has no ledger: for the first time, or because Redis lost what it held. Only
 * the operator may say that a loss is to be begun anew; otherwise it would pass for a first start,
 * and nobody would know that windows are missing.
 *
 * What tells the two apart is Kafka, where the executors' finished frontier is kept under the job's
 * group, and whatever of the job is still in Redis, if only the ledger was evicted.
 */
import { RefusalError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { TopicReader } from '../kafka.ts'
import { isKafkaOutage, kafkaMessage } from '../kafka-client.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'
import { keysLike } from '../scan.ts'
import { type KnownTopic, partitionOf, topicIndexOf } from '../topics.ts'
import { groupIdOf } from './frontiers.ts'

export interface OriginOptions {
  job: Job
  keys: Keys
  store: Store
  log: Log
  /** The operator's word to begin anew. */
  fresh: boolean
}

/**
 * Lets a job without a ledger begin; rejects while either server is away. `ends`: the partitions of
 * its topics, and where they end.
 * @throws RefusalError where the job has been at work before, unless it is to begin anew
 */
export async function beginOrRefuse(
  options: OriginOptions,
  kafka: TopicReader,
  ends: Map<number, number>,
  known: readonly KnownTopic[] = [],
): Promise<void> {
  const { store, keys, job, fresh, log } = options
  const left = await store.redis.exists(keys.totals, keys.panes, keys.closed)
  const committed = await committedOf(kafka, job, [...ends.keys()], log)
  const lost = lostLedger(job, committed, ends, left > 0, known)
  if (!lost) return
  if (!fresh) throw new RefusalError(lost)
  const readUpTo = committed.size > 0 ? placesOf(committed, known) : null
  log.warn(`beginning anew: what Redis held of job ${job.name} is lost`, { readUpTo })
  await removeLeftovers(store, keys)
}

/** What to say of a job that has no ledger; null where this is its first start. */
export function lostLedger(
  job: Pick<Job, 'name' | 'topic'>,
  committed: Map<number, number>,
  ends: Map<number, number>,
  left: boolean,
  known: readonly KnownTopic[] = [],
): string | null {
  // Told at its very start, 0 says nothing of how far it came, unless there was nothing to read.
  const read = new Map([...committed].filter(([p, offset]) => offset > 0 || ends.get(p)! > 0))
  if (read.size === 0 && !left) return null
  const several = known.length > 1
  const witness =
    read.size > 0
      ? `Kafka says that it has been at work on ${several ? 'topics' : 'topic'} ${job.topic} (up to ${placesOf(read, known)} at the least)`
      : 'parts of its windows are still there'
  return `Redis has lost the ledger of job ${job.name}, while ${witness}: it was emptied or replaced, and windows are lost with it; give Redis its data back, or start once with --fresh to begin anew (--from earliest reads again what Kafka still has)`
}

/** Partition:offset, only a few of them, so that the rest of the sentence is read as well. */
function placesOf(offsets: Map<number, number>, known: readonly KnownTopic[]): string {
  const topic = (number: number) =>
    known.length > 1 ? `${known[topicIndexOf(number)]?.name}:` : ''
  const places = [...offsets]
    .sort(([a], [b]) => a - b)
    .map(([number, offset]) => `${topic(number)}${partitionOf(number)}:${offset}`)
  const more = places.length > 3 ? ` and ${places.length - 3} more` : ''
  return `${places.slice(0, 3).join(', ')}${more}`
}

async function committedOf(
  kafka: TopicReader,
  job: Job,
  partitions: number[],
  log: Log,
): Promise<Map<number, number>> {
  try {
    return await kafka.committedOffsets(groupIdOf(job), partitions)
  } catch (error) {
    if (isKafkaOutage(error)) throw error
    // Not allowed to read a group: then Kafka can't be a witness, and the job must run all the same.
    log.warn('Kafka does not tell the group offsets', { error: kafkaMessage(error) })
    return new Map()
  }
}

/**
 * Where one shard has lost its ledger and others have not, the operator's word to begin anew is for all of
 * them: the windows that they share can't begin anew in one.
 */
export async function beginTogether({
  store,
  keys,
  job,
  fresh,
  log,
}: OriginOptions): Promise<void> {
  if (!fresh) return
  const ledgers = keys.shards.map(({ ledger }) => store.redis.exists(ledger))
  const begun = (await Promise.all(ledgers)).filter((found) => found === 1).length
  if (begun === 0 || begun === keys.shards.length) return
  log.warn(`beginning anew: some of the shards of job ${job.name} have lost what they held`)
  for (const shard of keys.shards) await removeLeftovers(store, shard)
}

/** Counts that are left would be counted again on top; the actors' own keys stay. */
async function removeLeftovers(store: Store, keys: Keys): Promise<void> {
  const { entries, finished, progress, crashes, suspects, hand, totals, clock } = keys
  const { ledger, panes, closed, rejects, verdicts, losses, base } = keys
  const data = [ledger, entries, finished, progress, crashes, suspects, hand, totals, clock]
  // What is joined of all shards is in the first one.
  const joined = [`${base}:closed`, `${base}:joined`]
  const rest = [panes, closed, ...joined, rejects, verdicts, losses, `${base}:emitted`]
  await store.redis.unlink(...data, ...rest)
  for (const match of [`${base}:pane:*`, `${base}:payload:*`]) {
    for await (const names of keysLike(store.redis, match)) await store.redis.unlink(...names)
  }
}
