/**
 * The topics of a job in its ledger: read when a session begins, put right where Kafka has others now,
 * and left where Kafka has one no more.
 */
import { bounds } from '../config.ts'
import { RefusalError } from '../errors.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'
import {
  type Declared,
  type KnownTopic,
  knownTopics,
  type Listing,
  listTopics,
  placeText,
  topicIndexOf,
  type TopicInfo,
  topicText,
} from '../topics.ts'
import { Stale } from './session.ts'

export interface ListingOptions {
  job: Declared
  keys: Keys
  store: Store
  acceptLoss: boolean
  log: Log
}

/**
 * The topics as a shard has to name them in its ledger: by the numbers that the first shard has. Whether it still reads one, each says for itself.
 * @throws Stale where the first shard has not named one of them yet
 */
export async function listTopicsOf(
  { job, store, keys, first }: Pick<ListingOptions, 'job' | 'store' | 'keys'> & { first: Keys },
  found: readonly TopicInfo[],
  ledger: Readonly<Record<string, string>>,
): Promise<Listing> {
  const before = knownTopics(ledger)
  const id = ledger.topicId ?? null
  if (keys.base === first.base) return listTopics(job, found, before, id)
  const theirs = await store.redis.hgetall(first.ledger)
  const named = knownTopics(theirs).map((topic, i) => ({ ...topic, ...before[i] }))
  const listing = listTopics(job, found, named, theirs.topicId ?? null)
  const missing = theirs.topicId === undefined || listing.known.length > Math.max(named.length, 1)
  if (missing) throw new Stale('the first shard has not begun with all topics yet')
  const known = Math.max(before.length, id === null ? 0 : 1)
  const topics = listing.topics.map((topic) => ({ ...topic, isNew: topic.index >= known }))
  return { ...listing, topics }
}

/**
 * Names the topics in the ledger as `known` has them; a ledger of one topic goes without names.
 * @throws Stale where another bridge has named others
 */
export async function enlist(
  { job, store, keys }: ListingOptions,
  before: readonly KnownTopic[],
  known: readonly KnownTopic[],
): Promise<void> {
  if (job.topics === null && before.length === 0) return
  const args = known.flatMap((topic, index) => {
    const [was, is] = [before[index] ? topicText(before[index]) : '', topicText(topic)]
    return was === is ? [] : [index, was, is]
  })
  if (args.length === 0) return
  const [done] = (await store.call('list', keys.base, args)) as [number]
  if (done === 0) throw new Stale(`the topics of job ${job.name} are others now; looking again`)
}

/**
 * Topics that match and that Kafka has no more. What was read of them counts; they are left, so that
 * they hold the watermark no longer than until that is finished.
 * @throws RefusalError where records went with them that were not read, unless that is accepted
 */
export async function leaveGone(
  options: ListingOptions,
  ledger: Readonly<Record<string, string>>,
  { gone, known }: Listing,
): Promise<void> {
  for (const index of gone) {
    const { name } = known[index]!
    const unread = unreadOf(ledger, index)
    const what = `topic ${name} was deleted`
    const lost = unread.map(
      (one) => `${one.from} to ${one.to - 1} of ${placeText(one.number, known)}`,
    )
    const records =
      lost.length > 0 ? `, and with it records that were not read: ${lost.join(', ')}` : ''
    if (lost.length > 0 && !options.acceptLoss) {
      throw new RefusalError(`${what}${records}; start with --accept-loss to go on without them`)
    }
    options.log.warn(`${what}${records}; what was read of it counts`)
    for (const { number, from, to } of unread) await lose(options, number, from, to, known)
    const left = known.map((topic, at) => (at === index ? { ...topic, left: true } : topic))
    await enlist(options, known, left)
  }
}

/** Up to where Kafka's end was seen last: what came after that nobody knows. */
function unreadOf(ledger: Readonly<Record<string, string>>, index: number) {
  const numbers = Object.keys(ledger).flatMap((field) => {
    const number = Number(/^(\d+):next$/.exec(field)?.[1] ?? -1)
    return number >= 0 && topicIndexOf(number) === index ? [number] : []
  })
  const ranges = numbers.map((number) => ({
    number,
    from: Number(ledger[`${number}:next`]),
    to: Number(ledger[`${number}:high`]),
  }))
  return ranges.filter(({ from, to }) => from < to).sort((a, b) => a.number - b.number)
}

/** The operator allows it: the ledger goes on behind a range that nobody has read. */
export async function lose(
  { store, keys }: Pick<ListingOptions, 'store' | 'keys'>,
  number: number,
  expected: number,
  next: number,
  known: readonly KnownTopic[],
): Promise<void> {
  const args = [number, expected, next, next, bounds.lossesKept]
  const reply = (await store.call('lose', keys.base, args)) as [number, string?]
  if (reply[0] === 0) throw overtaken(placeText(number, known), expected, reply[1] ?? '')
}

/** The ledger is not where a session left it. Is all of it gone, the next session refuses. */
export const overtaken = (place: string, expected: number, held: string): Stale =>
  new Stale(
    held === ''
      ? unknownPartition(place)
      : `${place}: the ledger says ${held}, not ${expected}; reading from there`,
  )

/** Redis came back as it was before the partition was added, or without any ledger at all. */
export const unknownPartition = (place: string): string =>
  `the ledger knows nothing of ${place}; looking again`
