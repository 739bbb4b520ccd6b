/**
 * A job's state in Redis, for a command that only looks: opened, read, closed. That Redis does not
 * answer is one line that names its address.
 */
import { systemClock } from '../actors/clock.ts'
import { type Config, readConfig, redisAddress, redisHint } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import { loadJob } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { isOutage, openStore, type Store, untilReady } from '../actors/redis.ts'
import { heldKeys } from '../actors/shards.ts'
import { createStatusReader, type StatusReader } from '../supervisor/status-reader.ts'

export interface Place {
  job: Job
  keys: Keys
  store: Store
  reader: StatusReader
  /** What to say while Redis does not answer. */
  silence: string
}

/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 3_000

/** @throws UsageError for the job file or the environment, RefusalError while Redis is away */
export async function withPlace(
  file: string,
  look: (place: Place) => Promise<number>,
): Promise<number> {
  const config = readConfig()
  const job = await loadJob(file)
  const store = openStore(
    config,
    createLog('status', 'error', () => {}),
  )
  const silence = silenceOf(config)
  try {
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    const keys = await heldKeys(store, job.name)
    const reader = createStatusReader(store, keys, job, systemClock, { sampleEveryMs: 0 })
    return await look({ job, keys, store, reader, silence })
  } catch (error) {
    throw isOutage(error) ? new RefusalError(silence, { cause: error }) : error
  } finally {
    await store.close()
  }
}

const silenceOf = (config: Config) =>
  `Redis at ${redisAddress(config)} does not answer; ${redisHint(config)}`
