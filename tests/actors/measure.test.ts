import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { keysOf } from '../../actors/keys.ts'
import { type Actor, noWork } from '../../actors/messages.ts'
import { measure } from '../../actors/measure.ts'
import type { Store } from '../../actors/redis.ts'

const keys = keysOf('measured')

/** Answers with these accounts, each by its actor's id. */
function storeOf(accounts: () => Record<string, string>): Store {
  const none = { '': '' }
  const rest = { totals: none, ledger: none, clock: none, joined: none, control: none }
  const more = { version: none, quota: none, hosts: none, leases: none, pendingOf: none }
  const counts = { at: '1', entries: 0, pending: 0, orphaned: 0, leader: '' }
  const reply = () => JSON.stringify({ ...rest, ...more, ...counts, actors: accounts() })
  return { call: async () => reply() } as unknown as Store
}

const said: Actor = {
  id: '',
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
}

const account = (id: string, progress: number) =>
  JSON.stringify({ ...said, id, progress, delays: [progress, 1, 2] })

test('an account that says the same again is checked once, and a newer one is seen', async () => {
  let progress = 1
  const store = storeOf(() => ({ a: account('a', progress), b: account('b', 0), '': '', c: '{' }))
  const look = async () => (await measure(store, keys)).actors
  const first = await look()
  progress = 2
  const second = await look()
  expect(first.map((one) => [one.id, one.progress])).toEqual([
    ['a', 1],
    ['b', 0],
  ])
  expect(second.map((one) => [one.id, one.progress])).toEqual([
    ['a', 2],
    ['b', 0],
  ])
  expect(second[1]!.delays).toBe(first[1]!.delays)
})

test('what an actor said before is not held on to', async () => {
  let progress = 0
  const store = storeOf(() => ({ d: account('d', ++progress) }))
  const held: WeakRef<number[]>[] = []
  for (let looks = 0; looks < 200; looks++) {
    const { actors } = await measure(store, keys)
    held.push(new WeakRef(actors[0]!.delays))
  }
  // What was asked for in a turn lives until its end.
  await systemClock.turn()
  Bun.gc(true)
  expect(held.filter((one) => one.deref()).length).toBeLessThan(20)
})
