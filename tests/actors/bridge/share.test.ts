import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { seededRandom, systemClock } from '../../../actors/clock.ts'
import { Shard } from '../../support/shard.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('share')
})
afterEach(() => it.end())

const PARTITIONS = [0, 1, 2, 3, 4, 5]
const LEASE_MS = 60_000

/** A bridge as far as shares go: reads what it was told last, once it has let go of the rest. */
class Sharer {
  reads: string[] = []

  constructor(readonly id: string) {}

  /** One look; with another share it stops reading, and asks anew. */
  async look(): Promise<string[]> {
    const share = await this.ask(this.reads)
    if (share.join() === this.reads.join()) return share
    this.reads = []
    this.reads = await this.ask([])
    return this.reads
  }

  async ask(reads: readonly string[]): Promise<string[]> {
    return (await it.call('share', this.id, LEASE_MS, 0, 1, ...reads)) as string[]
  }
}

const sharers = (...ids: string[]) => ids.map((id) => new Sharer(id))
const begin = () => it.register(...PARTITIONS.map(() => 0))

/** As if it had been silent for longer than its lease. */
const expire = (id: string) => it.redis.zadd(it.keys.bridges, 1, id)

/** Looks of all, by turns, until nobody gets anything else. */
async function settle(all: readonly Sharer[]): Promise<string[][]> {
  for (let last = ''; ; ) {
    for (const one of all) await one.look()
    const now = JSON.stringify(all.map(({ reads }) => reads))
    if (now === last) return all.map(({ reads }) => reads)
    last = now
  }
}

const byNumber = (a: number | string, b: number | string) => Number(a) - Number(b)

describe('share', () => {
  test('alone it reads all there is, also what nobody has registered yet', async () => {
    const [a] = sharers('a')
    expect(await a!.look()).toEqual(['*'])
    await begin()
    expect(await a!.look()).toEqual(['*'])
  })

  test('one begins a job, and what it began is its own until it lets go', async () => {
    const [a, b] = sharers('b', 'a')
    expect(await a!.look()).toEqual(['*'])
    expect(await b!.look()).toEqual([])
    await begin()
    expect(await b!.look()).toEqual([])
    expect(await a!.look()).toEqual(['0', '1', '2'])
    expect(await b!.look()).toEqual(['3', '4', '5'])
  })

  test('a partition has one reader: the next one waits until it has let go', async () => {
    const [a, b] = sharers('a', 'b')
    await begin()
    await a!.look()
    await b!.look()
    expect(await a!.ask(['*'])).toEqual(['0', '1', '2'])
    expect(await b!.look()).toEqual([])
    await a!.ask([])
    expect(await b!.look()).toEqual(['3', '4', '5'])
  })

  test('each gets as many as the others, and one more where it does not divide', async () => {
    const all = sharers('a', 'b', 'c', 'd')
    await begin()
    const shares = await settle(all)
    expect(shares.map(({ length }) => length).sort(byNumber)).toEqual([1, 1, 2, 2])
    expect(shares.flat().sort(byNumber)).toEqual(PARTITIONS.map(String))
  })

  test('with more bridges than partitions some stand by, and nothing moves for who comes', async () => {
    await it.register(0)
    const [first, ...others] = sharers('z', 'a', 'b')
    await first!.look()
    expect(await settle([first!, ...others])).toEqual([['0'], [], []])
  })

  test('what one reads that has ended is the others’, at once or when its lease has ended', async () => {
    const [a, b, c] = sharers('a', 'b', 'c')
    await begin()
    await settle([a!, b!, c!])
    await it.call('unshare', 'c')
    expect((await settle([a!, b!])).map(({ length }) => length)).toEqual([3, 3])
    await expire('b')
    expect(await a!.look()).toEqual(['*'])
  })

  test('one that wakes up finds that others read what it read', async () => {
    const [a, b] = sharers('a', 'b')
    await begin()
    const before = (await settle([a!, b!]))[1]!
    await expire('b')
    expect(await a!.look()).toEqual(['*'])
    expect(await b!.ask(before)).toEqual([])
    expect((await settle([a!, b!])).map(({ length }) => length)).toEqual([3, 3])
  })

  test('one that nobody missed goes on with what it read', async () => {
    const [a, b] = sharers('a', 'b')
    await begin()
    const before = (await settle([a!, b!]))[1]!
    await expire('b')
    expect(await b!.ask(before)).toEqual(before)
    expect((await settle([a!, b!]))[1]).toEqual(before)
  })

  test('a clock that was set back keeps nobody alive', async () => {
    const [a] = sharers('a')
    await begin()
    await it.redis.zadd(it.keys.bridges, systemClock.now() + 600_000, 'dead')
    await a!.look()
    expect(Number(await it.redis.zscore(it.keys.bridges, 'dead'))).toBeLessThan(
      systemClock.now() + 2 * LEASE_MS,
    )
  })

  test('a partition that was added is shared too', async () => {
    const [a, b] = sharers('a', 'b')
    await it.register(0, 0)
    await settle([a!, b!])
    await it.register(0, 0, 0, 0)
    const shares = await settle([a!, b!])
    expect(shares.map(({ length }) => length)).toEqual([2, 2])
  })

  test('a ledger that is gone is begun by one', async () => {
    const [a, b] = sharers('a', 'b')
    await begin()
    await settle([a!, b!])
    await it.redis.del(it.keys.ledger)
    const shares = await settle([a!, b!])
    expect(shares.flat()).toEqual(['*'])
  })

  test('whoever comes and goes, no partition ever has two readers, and in the end all have one', async () => {
    const random = seededRandom(7)
    const all = sharers('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
    await begin()
    const living = new Set<Sharer>()
    for (let step = 0; step < 300; step++) {
      const one = all[Math.floor(random() * all.length)]!
      if (random() < 0.1) {
        living.delete(one)
        one.reads = []
        await it.call('unshare', one.id)
      } else {
        living.add(one)
        await one.look()
      }
      const read = [...living].flatMap(({ reads }) =>
        reads[0] === '*' ? PARTITIONS.map(String) : reads,
      )
      expect(new Set(read).size).toBe(read.length)
    }
    const shares = await settle(all)
    expect(shares.flat().sort(byNumber)).toEqual(PARTITIONS.map(String))
    expect(shares.map(({ length }) => length).sort(byNumber)).toEqual([0, 0, 1, 1, 1, 1, 1, 1])
  }, 60_000)
})
