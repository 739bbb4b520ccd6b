/**
 * A session of the bridge: what it knows, what ends it, and a wait that ends with it.
 */
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import type { KnownTopic, Listed } from '../topics.ts'

/** Partitions go by their numbers (topics.ts). */
export interface Session {
  /** Those that are read, and all that the ledger names, for messages. */
  topics: readonly Listed[]
  known: readonly KnownTopic[]
  positions: Positions
  /** Topics that match seem to be gone: that has to be looked at again. */
  isInDoubt: boolean
}

/** The next offsets of our partitions as this session knows them, and their ends in Kafka. */
export interface Positions {
  next: Map<number, number>
  high: Map<number, number>
  /** Up to where appends are known to have happened. */
  appended: Map<number, number>
}

/** Ends a session for a reason that is no failure: leaders or partitions changed, a rival appended. */
export class Stale extends Error {}

/** A fetch that got no answer for so long never will: kafkajs can lose sight of a connection. */
const fetchLateMs = bounds.fetchWaitMs + 30_000

/**
 * A fetch's answer, or null as soon as the signal is aborted: nobody waits for a fetch that waits for
 * records. Not Promise.race with one promise for all: that would keep every fetch's records for ever.
 */
export function answered<T>(
  promise: Promise<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve(null)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const answer = new AbortController()
    void clock.sleep(fetchLateMs, answer.signal).then(() => {
      if (!answer.signal.aborted) reject(new Stale('Kafka left a fetch unanswered'))
    })
    promise.then(resolve, reject).finally(() => {
      answer.abort()
      signal.removeEventListener('abort', stop)
    })
  })
}
