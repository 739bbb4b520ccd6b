/**
 * Whether a job may share the panes that Redis holds under its name (shape.ts says what they mean).
 * Asked by whoever opens the ledger or is about to commit; rejects on an outage.
 */
import { RefusalError } from './errors.ts'
import type { Job } from './job.ts'
import type { Keys } from './keys.ts'
import type { Store } from './redis.ts'
import { isAskedFor, knownTopics, refuseDropped, topicText } from './topics.ts'
import { anotherShape, differencesOf, shapeText } from './shape.ts'

/**
 * The shape that the ledger has, with which the job's agrees; the job's own where there is none yet.
 * @throws RefusalError that says what differs
 */
export async function agreedShape(store: Store, keys: Keys, job: Job): Promise<string> {
  const kept = await keptShapes(store, keys)
  for (const shape of kept) {
    const differences = differencesOf(shape, job)
    if (differences.length > 0) throw new RefusalError(anotherShape(job.name, differences))
  }
  return kept[0] ?? shapeText(job)
}

/**
 * The operator's word that other functions mean the same, and that topics which the job does not name any
 * more are to be left: from now on the ledger has the job's shape.
 * @throws RefusalError where more than functions' texts differ
 */
export async function acceptChange(store: Store, keys: Keys, job: Job): Promise<void> {
  for (const shard of keys.shards) await leaveTopics(store, shard, job)
  for (const shape of await keptShapes(store, keys)) {
    const rest = differencesOf(shape, job).filter(({ isCode }) => !isCode)
    if (rest.length > 0) throw new RefusalError(anotherShape(job.name, rest))
  }
  for (const { ledger } of keys.shards) {
    // One that has none gets it as it is opened: what is written before would be a ledger that never began.
    if (await store.redis.hexists(ledger, 'shape')) {
      await store.redis.hset(ledger, 'shape', shapeText(job))
    }
  }
}

/** Of all shards that have one; each has its own, written as it is opened. */
async function keptShapes(store: Store, keys: Keys): Promise<string[]> {
  const kept = await Promise.all(keys.shards.map(({ ledger }) => store.redis.hget(ledger, 'shape')))
  return kept.filter((shape) => shape !== null)
}

/** @throws RefusalError where the job reads a topic no more that it has read */
export async function agreedTopics(store: Store, keys: Keys, job: Job): Promise<void> {
  for (const { ledger } of keys.shards) {
    refuseDropped(job, knownTopics(await store.redis.hgetall(ledger)))
  }
}

/** What was read of them counts. What Kafka holds beyond that is not read. */
async function leaveTopics(store: Store, keys: Keys, job: Job): Promise<void> {
  const known = knownTopics(await store.redis.hgetall(keys.ledger))
  const args = known.flatMap((topic, index) => {
    if (topic.left || isAskedFor(job, topic.name)) return []
    return [index, topicText(topic), topicText({ ...topic, left: true })]
  })
  // Where another one changes it meanwhile, the bridge says again what is dropped.
  if (args.length > 0) await store.call('list', keys.base, args)
}
