/** What hosts set aside of a job's executors: never more together than there may be, by who leads alone. */
import { afterEach, describe, expect, test } from 'bun:test'
import { openPlace, type Place } from '../../support/redis.ts'

const places: Place[] = []
afterEach(async () => {
  for (const place of places.splice(0)) await place.end()
})

/** A job with a leader and others, whose leases run. */
async function job(...supervisors: [string, ...string[]]) {
  const place = await openPlace('places')
  places.push(place)
  const { store, keys } = place
  const { base } = keys
  const beat = (id: string, ms: number) => store.call('beat', base, [id, '{}', ms])
  for (const id of supervisors) await beat(id, 60_000)
  const lead = async (id: string) => {
    await store.redis.del(keys.leader)
    await store.call('lead', base, ['leader', id, 60_000])
  }
  await lead(supervisors[0])
  return {
    beat,
    lead,
    /** By supervisor what it is to have, and what it is seen to have. */
    place: (leader: string, room: number, numbers: Record<string, [number, number]>) =>
      store.call('place', base, [leader, room, ...Object.entries(numbers).flat(2)]),
    occupy: (id: string, present: number) => store.call('occupy', base, [id, present]),
    hosts: () => store.redis.hgetall(keys.hosts),
    wakes: () => store.redis.xlen(keys.mailbox('supervisor')),
  }
}

describe('hosts', () => {
  test('each may have what the leader says, and others are woken where it says something new', async () => {
    const it = await job('a', 'b')
    expect(await it.place('a', 4, { a: [3, 0], b: [1, 0] })).toBe(3)
    expect(await it.occupy('b', 0)).toBe(1)
    expect(await it.wakes()).toBe(1)
    expect(await it.place('a', 4, { a: [3, 3], b: [1, 1] })).toBe(3)
    expect(await it.wakes()).toBe(1)
    expect(await it.hosts()).toEqual({
      leader: 'a',
      room: '4',
      'want:a': '3',
      'held:a': '3',
      'want:b': '1',
      'held:b': '1',
    })
  })

  test('one that is to have more waits until another has fewer', async () => {
    const it = await job('a', 'b')
    await it.place('a', 4, { a: [4, 0], b: [0, 0] })
    await it.place('a', 4, { a: [2, 4], b: [2, 0] })
    expect(await it.occupy('b', 0)).toBe(0)
    // One of them has ended.
    await it.place('a', 4, { a: [2, 3], b: [2, 0] })
    expect(await it.occupy('b', 0)).toBe(1)
    expect(await it.occupy('b', 1)).toBe(1)
    await it.place('a', 4, { a: [2, 2], b: [2, 1] })
    expect(await it.occupy('b', 1)).toBe(2)
  })

  test('what a host is seen to have counts before it says so itself', async () => {
    const it = await job('a', 'b')
    expect(await it.place('a', 2, { a: [2, 0], b: [0, 2] })).toBe(0)
    await it.occupy('b', 0)
    expect(await it.place('a', 2, { a: [2, 0], b: [0, 0] })).toBe(2)
  })

  test('what a dead one had set aside is free when its lease ends', async () => {
    const it = await job('a', 'b')
    await it.place('a', 4, { a: [1, 0], b: [3, 0] })
    await it.occupy('b', 0)
    await it.beat('b', -1)
    expect(await it.place('a', 4, { a: [4, 1] })).toBe(4)
    expect(Object.keys(await it.hosts()).toSorted()).toEqual(['held:a', 'leader', 'room', 'want:a'])
  })

  test('the word of who does not lead any more is not taken, nor followed', async () => {
    const it = await job('a', 'b')
    await it.place('a', 4, { a: [1, 0], b: [3, 0] })
    await it.lead('b')
    expect(await it.place('a', 4, { a: [4, 0], b: [0, 0] })).toBe(-1)
    expect(await it.occupy('a', 1)).toBe(-1)
    expect(await it.hosts()).toMatchObject({ 'want:a': '1', 'want:b': '3' })
    expect(await it.place('b', 4, { b: [2, 0], a: [2, 1] })).toBe(2)
    expect(await it.occupy('a', 1)).toBe(2)
  })
})
