import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readConfig } from '../../actors/config.ts'
import { isOutage, openStore, untilReady } from '../../actors/redis.ts'
import { Proxy } from '../../faults/proxy.ts'
import { openPlace, type Place, silentLog, testRedisUrl } from '../support/redis.ts'
import { rejection } from '../support/rejection.ts'

let place: Place
beforeEach(async () => {
  place = await openPlace('redis-set')
})
afterEach(() => place.end())

/** Each byte that there is, also those that end a line. */
const value = (bytes: number, first = 0) =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (first + i * 7) & 0xff))
const key = (name: string) => `${place.keys.base}:${name}`

describe('a large value', () => {
  test('is set to the last byte, whatever its length, for so long', async () => {
    const { redis, setNew } = place.store
    for (const bytes of [1, 4_097, 131_072, 5_000_000]) {
      expect(await setNew(key(`wert-ä-${bytes}`), value(bytes), 60_000)).toBe('OK')
      const found = await redis.getBuffer(key(`wert-ä-${bytes}`))
      expect(found!.equals(value(bytes))).toBe(true)
      expect(await redis.pttl(key(`wert-ä-${bytes}`))).toBeWithin(50_000, 60_001)
    }
  })

  test('does not replace one, nor its expiry', async () => {
    const { redis, setNew } = place.store
    await redis.set(key('held'), 'before')
    expect(await setNew(key('held'), value(10_000), 60_000)).toBe(null)
    expect(await redis.get(key('held'))).toBe('before')
    expect(await redis.pttl(key('held'))).toBe(-1)
  })

  test('keeps its place among other commands, and so do the replies', async () => {
    const { redis, setNew } = place.store
    const sent = Array.from({ length: 40 }, (_, i) => [
      redis.incr(key('count')),
      setNew(key(`value-${i}`), value(100_000, i), 60_000),
      redis.strlen(key(`value-${i}`)),
      redis.strlen(key(`value-${i + 1}`)),
    ])
    const replies = await Promise.all(sent.map((some) => Promise.all(some)))
    expect(replies).toEqual(sent.map((_, i) => [i + 1, 'OK', 100_000, 0]))
    for (let i = 0; i < sent.length; i++) {
      const found = await redis.getBuffer(key(`value-${i}`))
      expect(found!.equals(value(100_000, i))).toBe(true)
    }
  })
})

describe('while Redis does not answer', () => {
  let proxy: Proxy
  beforeAll(() => {
    proxy = new Proxy({ target: Number(new URL(testRedisUrl).port) })
  })
  afterAll(() => proxy.stop())

  test('a large value is rejected as every command is, and later ones are whole', async () => {
    const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` })
    const store = openStore(config, silentLog)
    try {
      await untilReady(store)
      proxy.blackHole()
      const held = rejection(store.setNew(key('held'), value(8_000_000), 60_000))
      expect(isOutage(await held)).toBe(true)
      proxy.heal()
      await untilReady(store)
      expect(await store.setNew(key('after'), value(1_000_000), 60_000)).toBe('OK')
      const found = await place.store.redis.getBuffer(key('after'))
      expect(found!.equals(value(1_000_000))).toBe(true)
    } finally {
      await store.close()
    }
    const closed = await rejection(store.setNew(key('closed'), value(10_000), 60_000))
    expect(isOutage(closed)).toBe(true)
  }, 20_000)
})
