/**
 * A connection to the tests' Redis and a job's keys there; for tests that need no Kafka, so that a
 * file of them that runs alone need not wait for one where MILLRACE_TEST_REDIS names a Redis.
 */
import { readConfig } from '../../actors/config.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, type StoreOptions, untilReady } from '../../actors/redis.ts'
import { uniqueName } from '../../faults/names.ts'
import { testServices } from './services.ts'

export const silentLog = createLog('test', 'error', () => undefined, false)

/** Asked for while files load, because a first start takes longer than a test's hooks may. */
export const testRedisUrl = process.env.MILLRACE_TEST_REDIS ?? (await testServices()).redisUrl

/** A connection that answers; without `url` to the Redis that the tests share. */
export async function connect(options: StoreOptions = {}, url?: string): Promise<Store> {
  const config = readConfig({ REDIS_URL: url ?? testRedisUrl })
  const store = openStore(config, silentLog, options)
  await untilReady(store)
  return store
}

export interface Place {
  /** Name of a job that no other test has. */
  name: string
  store: Store
  keys: Keys
  /** Removes the job's keys and closes the connection. */
  end(): Promise<void>
}

export async function openPlace(label: string, url?: string): Promise<Place> {
  const store = await connect({}, url)
  const name = uniqueName(label)
  const keys = keysOf(name)
  return {
    name,
    store,
    keys,
    async end() {
      const found = await store.redis.keys(`${keys.base}:*`)
      if (found.length > 0) await store.redis.del(found)
      await store.close()
    },
  }
}
