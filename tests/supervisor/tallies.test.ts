import { afterEach, beforeEach, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { type Actor, noWork } from '../../actors/messages.ts'
import { Register } from '../../supervisor/register.ts'
import { forget, readTallies } from '../../supervisor/tallies.ts'
import { measure } from '../../actors/measure.ts'
import { openPlace, type Place } from '../support/redis.ts'

let place: Place
beforeEach(async () => {
  place = await openPlace('tallies')
})
afterEach(() => place.end())

const actor = (given: Partial<Actor> & Pick<Actor, 'id'>): Actor => ({
  kind: 'executor',
  pid: 1,
  host: 'here',
  state: 'running',
  startedAt: 0,
  at: 0,
  stoppedAt: null,
  reason: null,
  rssBytes: 1,
  ...noWork,
  ...given,
})

const write = (account: Actor) =>
  place.store.redis.hset(place.keys.actors, account.id, JSON.stringify(account))
const read = async () => {
  const { delays, deaths } = await readTallies(place.store, place.keys)
  return { delays: delays.slice(0, 4), deaths }
}

test('the sums are of those in the register and of those that it has forgotten', async () => {
  const dead = actor({ id: 'e1', state: 'dead', delays: [1, 0, 2] })
  await write(dead)
  await write(actor({ id: 'e2', delays: [0, 3], eventDelays: [9] }))
  await write(actor({ id: 'b1', kind: 'bridge', state: 'dead' }))
  const before = await read()
  expect(before).toEqual({ delays: [1, 3, 2, 0], deaths: 1 })
  await forget(place.store, place.keys, dead)
  expect(await place.store.redis.hkeys(place.keys.actors)).not.toContain('e1')
  expect(await read()).toEqual(before)
})

test('two that forget the same one count it once', async () => {
  const stopped = actor({ id: 'e1', state: 'stopped', delays: [5] })
  await write(stopped)
  await Promise.all([1, 2, 3].map(() => forget(place.store, place.keys, stopped)))
  expect(await read()).toEqual({ delays: [5, 0, 0, 0], deaths: 0 })
})

test('the register forgets the long dead with what they counted', async () => {
  const { store, keys } = place
  const stoppedAt = systemClock.now() - 3_600_000
  await write(actor({ id: 'e1', state: 'dead', stoppedAt, delays: [7] }))
  const register = new Register(store, keys, systemClock)
  await register.sweep(await measure(store, keys), () => false)
  expect(await store.redis.hlen(keys.actors)).toBe(0)
  expect(await read()).toEqual({ delays: [7, 0, 0, 0], deaths: 1 })
})

test('counters never go back while executors come and go, however they are read', async () => {
  const { store, keys } = place
  const ids = Array.from({ length: 20 }, (_, k) => `e${k}`)
  const accounts = ids.map((id) => actor({ id, state: 'dead', delays: [1, 1] }))
  for (const account of accounts) await write(account)
  const seen: number[] = []
  const looks = Array.from({ length: 40 }, async () => seen.push((await read()).delays[0]!))
  await Promise.all([...accounts.map((account) => forget(store, keys, account)), ...looks])
  expect(new Set(seen)).toEqual(new Set([20]))
})
