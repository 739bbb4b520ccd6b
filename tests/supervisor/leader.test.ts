import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { ReplyError } from 'ioredis'
import type { Store } from '../../actors/redis.ts'
import { Leadership } from '../../supervisor/leader.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'
import { openJob } from './family.ts'

const stores: Store[] = []

beforeAll(testServices, 120_000)
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
})

async function rivals(leaseMs: number) {
  const { store, keys } = await openJob('leader')
  stores.push(store)
  const of = (id: string) => new Leadership(store, keys, id, systemClock, leaseMs)
  return { first: of('first'), second: of('second'), store, keys }
}

describe('leader', () => {
  test('one leads, the other stands by and names it', async () => {
    const { first, second } = await rivals(3_000)
    expect(await first.look()).toBe('leading')
    expect(await second.look()).toBe('standby')
    expect(second.holder).toBe('first')
  })

  test('the other takes over when the lease ends, or at once when it is given back', async () => {
    const { first, second } = await rivals(300)
    await first.look()
    await until('takeover', async () => (await second.look()) === 'leading')
    await until('the first to notice', async () => (await first.look()) === 'standby')
    await second.resign()
    await until('the way back', async () => (await first.look()) === 'leading')
  })

  test('a renewed lease is kept', async () => {
    const { first, second } = await rivals(300)
    const end = performance.now() + 900
    await until('three leases to pass', async () => {
      expect(await first.look()).toBe('leading')
      expect(await second.look()).toBe('standby')
      return performance.now() > end
    })
  })

  test('a snapshot that names another ends the leading at once; an outage is unknown', async () => {
    const { first, store } = await rivals(3_000)
    await first.look()
    expect(first.heed('first')).toBe('leading')
    expect(first.heed('second')).toBe('unknown')
    expect(await first.look()).toBe('leading')
    const broken: Store = {
      ...store,
      call: () => Promise.reject(new ReplyError('LOADING Redis is loading the dataset in memory')),
    }
    const away = new Leadership(broken, (await openKeys()).keys, 'me', systemClock)
    expect(await away.look()).toBe('unknown')
  })
})

async function openKeys() {
  const opened = await openJob('leader-away')
  stores.push(opened.store)
  return opened
}
