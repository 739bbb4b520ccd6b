import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GROUP } from '../../../actors/keys.ts'
import { Shard } from '../../support/shard.ts'
import { until } from '../../../faults/until.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('claim')
  await it.register(0)
  await it.beat('me')
})
afterEach(() => it.end())

/** Appends `count` entries of one record and reads them as `actor`. */
async function hold(actor: string, count: number) {
  const next = Number((await it.ledger())['0:next'])
  const args = Array.from({ length: count }, (_, i) => ({ from: next + i, to: next + i + 1 }))
  await it.append(0, next, args)
  return it.read(actor)
}

const consumers = async () => {
  const reply = (await it.redis.xinfo('CONSUMERS', it.keys.entries, GROUP)) as string[][]
  return reply.map((flat) => flat[flat.indexOf('name') + 1]!).sort()
}

describe('a claim', () => {
  test('takes nothing from the living, nor from oneself', async () => {
    await it.beat('other')
    await hold('other', 2)
    await hold('me', 2)
    expect(await it.claim('me')).toEqual([])
    expect(await consumers()).toEqual(['me', 'other'])
  })

  test('takes what the dead hold, in order, with suspicion', async () => {
    await it.beat('dead')
    const held = await hold('dead', 3)
    expect(await it.claim('me')).toEqual([])
    await it.call('bury', 'dead', '{}')
    const claimed = await it.claim('me')
    expect(claimed).toEqual(
      held.map((entry) => ({ ...entry, progress: '', crashes: 1, suspect: '' })),
    )
    expect(await consumers()).toEqual(['me'])
    expect(await it.redis.hgetall(it.keys.crashes)).toEqual(
      Object.fromEntries(held.map(({ id }) => [id, '1'])),
    )
  })

  test('takes what an executor left in order, without suspicion', async () => {
    await it.beat('gone')
    await hold('gone', 2)
    await it.call('leave', 'gone', '{}')
    expect(await consumers()).toEqual(['gone'])
    expect((await it.claim('me')).map(({ crashes }) => crashes)).toEqual([0, 0])
    expect(await it.redis.exists(it.keys.crashes, it.keys.left)).toBe(0)
    expect(await consumers()).toEqual(['me'])
  })

  test('frees a consumer’s name only when it holds nothing any more', async () => {
    await hold('dead', 5)
    expect(await it.claim('me', 2)).toHaveLength(2)
    expect(await consumers()).toEqual(['dead', 'me'])
    expect((await it.measure()).pending).toBe(5)
    expect(await it.claim('me', 2)).toHaveLength(2)
    expect(await it.claim('me', 2)).toHaveLength(1)
    expect(await consumers()).toEqual(['me'])
    expect((await it.measure()).pending).toBe(5)
    expect(await it.claim('me', 2)).toEqual([])
  })

  test('by two at once gives each entry to one of them', async () => {
    await it.beat('you')
    const held = await hold('dead', 20)
    const both = await Promise.all([it.claim('me', 7), it.claim('you', 7), it.claim('me', 7)])
    const ids = both.flat().map(({ id }) => id)
    expect(ids).toHaveLength(20)
    expect(new Set(ids)).toEqual(new Set(held.map(({ id }) => id)))
  })

  test('gathers from several dead and passes over the living between them', async () => {
    await it.beat('alive')
    const one = await hold('dead-1', 1)
    await hold('alive', 1)
    const two = await hold('dead-2', 1)
    const claimed = await it.claim('me')
    expect(claimed.map(({ id }) => id).sort()).toEqual([one[0]!.id, two[0]!.id])
  })

  test('of an executor whose lease ran out by itself needs nobody to say so', async () => {
    await it.beat('stopped', 1)
    await hold('stopped', 1)
    // The lease is 1 ms of Redis's own clock, which may not have passed yet.
    const claimed = await until('the lease to end', async () => {
      const entries = await it.claim('me')
      return entries.length > 0 ? entries : null
    })
    expect(claimed).toMatchObject([{ crashes: 1 }])
  })

  test('passes over entries that are gone from the stream', async () => {
    const held = await hold('dead', 3)
    await it.redis.xdel(it.keys.entries, held[1]!.id)
    expect((await it.claim('me')).map(({ from }) => from)).toEqual([0, 2])
    expect(await consumers()).toEqual(['me'])
  })
})

describe('suspicion', () => {
  const inHand = (executor: string, entry: string, offset: number) =>
    it.redis.hset(it.keys.hand, executor, `${entry}|${offset}`)

  test('counts the deaths of each entry, and those with the same record in hand', async () => {
    const [held] = await hold('dead-1', 1)
    await inHand('dead-1', held!.id, 0)
    expect(await it.claim('dead-2')).toMatchObject([{ crashes: 1, suspect: '0|1' }])
    await inHand('dead-2', held!.id, 0)
    expect(await it.claim('dead-3')).toMatchObject([{ crashes: 2, suspect: '0|2' }])
    // A second one does not clear the first.
    await inHand('dead-3', held!.id, 7)
    expect(await it.claim('dead-4')).toMatchObject([{ crashes: 3, suspect: '7|1,0|2' }])
    // It died before it had a record in hand.
    expect(await it.claim('me')).toMatchObject([{ crashes: 4, suspect: '7|1,0|2' }])
    await it.commit({ me: 'me', slices: [{ entry: held! }] })
    expect(await it.redis.exists(it.keys.crashes, it.keys.suspects, it.keys.hand)).toBe(0)
  })

  test('falls on the entry that was in hand, and on no other of the same executor', async () => {
    const [first, second] = await hold('dead', 2)
    await inHand('dead', second!.id, 1)
    const claimed = await it.claim('me')
    expect(claimed.map(({ id, suspect }) => [id, suspect])).toEqual([
      [first!.id, ''],
      [second!.id, '1|1'],
    ])
  })

  test('falls on each of several records in hand, and grows for those that were in hand again', async () => {
    const [held] = await hold('dead-1', 1)
    await it.call('mark', 'dead-1', held!.id, '3,4,5')
    expect(await it.claim('dead-2')).toMatchObject([{ suspect: '3|1,4|1,5|1' }])
    await it.call('mark', 'dead-2', held!.id, 4)
    expect(await it.claim('me')).toMatchObject([{ crashes: 2, suspect: '4|2,3|1,5|1' }])
  })

  test('leaves nothing lying of an executor that is told of late, when others have its entries', async () => {
    const [held] = await hold('dead', 1)
    await it.claim('me')
    await it.call('bury', 'dead', '{}', `${held!.id}|7`)
    await it.call('mark', 'dead', held!.id, 7)
    expect(await it.redis.exists(it.keys.hand)).toBe(0)
    await it.call('mark', 'me', held!.id, 7)
    expect(await it.redis.hget(it.keys.hand, 'me')).toBe(`${held!.id}|7`)
  })

  test('goes by what the burial says was in hand, also where that was nothing', async () => {
    const [held] = await hold('dead-1', 1)
    await it.call('bury', 'dead-1', '{}', `${held!.id}|8,9`)
    expect(await it.claim('dead-2')).toMatchObject([{ crashes: 1, suspect: '8|1,9|1' }])
    await inHand('dead-2', held!.id, 8)
    await it.call('bury', 'dead-2', '{}', '')
    expect(await it.claim('me')).toMatchObject([{ crashes: 2, suspect: '8|1,9|1' }])
  })

  test('is kept, not raised, where its holder left in order', async () => {
    const [held] = await hold('dead', 1)
    await inHand('dead', held!.id, 0)
    await it.claim('gone')
    await inHand('gone', held!.id, 0)
    await it.call('leave', 'gone', '{}')
    expect(await it.claim('me')).toMatchObject([{ crashes: 1, suspect: '0|1' }])
  })
})
