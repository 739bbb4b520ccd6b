/** The number of a job's shards as Redis has it, also while it is being changed; and what each holds. */
import { RefusalError } from '../actors/errors.ts'
import { keysOf } from '../actors/keys.ts'
import { measure } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'
import { masterOf, nodeAddress } from '../actors/redis-connection.ts'
import { partitionOf, topicIndexOf } from '../actors/topics.ts'

export interface ShardNumber {
  /** As it stands there; '' of a job that was begun before shards were counted. */
  text: string
  from: number
  /** Null where it is not being changed. */
  to: number | null
  /** What an attempt put together is being taken: the change can only be ended. */
  decided: boolean
}

/** What can be done about a change that is under way. */
export const wayOut = ({ from, to, decided }: ShardNumber): string =>
  decided
    ? `run reshard --to ${to} to end that, as it has begun to be taken`
    : `run reshard --to ${to} to end that, or --to ${from} to give it up`

/** @throws RefusalError where Redis holds no such job */
export async function readNumber(store: Store, job: string): Promise<ShardNumber> {
  const { count, ledger, change } = keysOf(job)
  const [held, decided] = await Promise.all([
    store.redis.get(count),
    store.redis.hget(change, 'decided'),
  ])
  const text = held ?? ''
  if (text === '' && (await store.redis.exists(ledger)) === 0) {
    throw new RefusalError(
      `Redis holds no job ${job}: with REDIS_SHARDS a supervisor begins it with so many shards`,
    )
  }
  const [from, to] = (text || '1').split('>').map(Number) as [number, number | undefined]
  return { text, from, to: to ?? null, decided: to !== undefined && decided === '1' }
}

export interface ShardReport {
  shard: number
  /** The topic is null where the job reads only one. */
  partitions: { topic: string | null; partition: number }[]
  /** Records in its stream, and their bytes. */
  waiting: number
  waitingBytes: number
  /** The server that has it. */
  master: string
}

/** Of each shard that the job has; while that is being changed, of those that it had. */
export function readShards(store: Store, job: string, count: number): Promise<ShardReport[]> {
  return Promise.all(
    keysOf(job, count).shards.map(async (keys) => {
      const { partitions, topics, totals } = await measure(store, keys)
      return {
        shard: keys.shard,
        partitions: partitions.map(({ partition: number }) => ({
          topic: topics[topicIndexOf(number)]?.name ?? null,
          partition: partitionOf(number),
        })),
        waiting: totals.waiting,
        waitingBytes: totals.waitingBytes,
        master: nodeAddress(await masterOf(store.redis, keys.ledger)),
      }
    }),
  )
}
