import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { Shard } from '../../support/shard.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('append')
})
afterEach(() => it.end())

const fields = async (...names: string[]) => {
  const ledger = await it.ledger()
  return names.map((name) => ledger[name])
}

describe('open', () => {
  test('keeps what the ledger has and registers what is new', async () => {
    expect(await it.call('open', 'id', 'shape', 0, 5, 9)).toEqual(['ok', '0', '5'])
    await it.append(0, 5, [{ from: 5, to: 8 }])
    expect(await it.call('open', 'id', 'shape', 0, 0, 20, 1, 3, 3)).toEqual([
      'ok',
      '0',
      '8',
      '1',
      '3',
    ])
    expect(await fields('0:start', '0:next', '0:frontier', '0:high', '1:start')).toEqual([
      '5',
      '8',
      '5',
      '20',
      '3',
    ])
  })

  test('says whose the ledger is, and changes nothing', async () => {
    await it.call('open', 'id', 'shape', 0, 5, 9)
    const before = await it.everything()
    expect(await it.call('open', 'other', 'shape', 0, 0, 0)).toEqual(['topic', 'id'])
    expect(await it.call('open', 'id', 'other', 0, 0, 0)).toEqual(['shape', 'shape'])
    expect(await it.everything()).toBe(before)
  })

  test('takes an identity that an older broker did not tell', async () => {
    await it.call('open', '', 'shape', 0, 0, 0)
    expect(await it.call('open', 'id', 'shape')).toEqual(['ok'])
    expect(await it.call('open', 'other', 'shape')).toEqual(['topic', 'id'])
    // A broker that was rolled back tells none: what is known stays.
    expect(await it.call('open', '', 'shape')).toEqual(['ok'])
    expect(await it.call('open', 'other', 'shape')).toEqual(['topic', 'id'])
  })
})

describe('append', () => {
  test('adds entries and moves the ledger in one', async () => {
    await it.register(10)
    const entries = [
      { from: 10, to: 13, payload: 'abc' },
      { from: 13, to: 20, records: 2, payload: Buffer.from([0, 255, 13, 10]) },
    ]
    expect(await it.append(0, 10, entries, { next: 20, high: 31 })).toEqual([1, 5, 7, 0, 0])
    expect(await fields('0:next', '0:high', '0:frontier')).toEqual(['20', '31', '10'])
    expect(await it.measure()).toMatchObject({
      entries: 2,
      totals: { appended: 5, waiting: 5, waitingBytes: 7, entriesAppended: 2, committed: 0 },
    })
    const [, second] = await it.redis.xrangeBuffer(it.keys.entries, '-', '+')
    const at = second![1].findIndex((field) => field.toString() === 'd')
    expect(second![1][at + 1]).toEqual(Buffer.from([0, 255, 13, 10]))
  })

  test('with another idea of the ledger changes nothing and learns what it says', async () => {
    await it.register(10)
    await it.append(0, 10, [{ from: 10, to: 15 }])
    const before = await it.everything()
    // Behind, ahead, as a number that only looks the same, and for a partition that is not there.
    expect(await it.append(0, 10, [{ from: 10, to: 15 }])).toEqual([0, '15', '0'])
    expect(await it.append(0, 16, [{ from: 16, to: 17 }])).toEqual([0, '15', '0'])
    expect(await it.append(7, 15, [{ from: 15, to: 16 }])).toEqual([0, '', '7'])
    expect(await it.everything()).toBe(before)
  })

  test('whose reply was lost is known by asking again', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 5 }])
    // The bridge does not know; the ledger does, and the next session begins there.
    expect(await it.append(0, 0, [{ from: 0, to: 5 }])).toEqual([0, '5', '0'])
    expect(await it.call('open', 'topic-id', 'shape', 0, 0, 9)).toEqual(['ok', '0', '5'])
    expect(await it.measure()).toMatchObject({ entries: 1, totals: { appended: 5 } })
  })

  test('by two bridges at once counts each offset once', async () => {
    await it.register(0)
    // Each believes that it works, and goes on from what the ledger says when it is told off.
    const bridge = async () => {
      for (let expected = 0; expected < 100; ) {
        const reply = await it.append(0, expected, [{ from: expected, to: expected + 1 }])
        expected = reply[0] === 1 ? expected + 1 : Number(reply[1])
      }
    }
    await Promise.all([bridge(), bridge(), bridge()])
    const entries = await it.read('e1')
    expect(entries.map(({ from }) => from)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect((await it.measure()).totals.appended).toBe(100)
  })

  test('after Redis came back older is taken from where the ledger is', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 5 }])
    // The bridge is at 9, the ledger was rolled back to 5: not one offset in between may be lost.
    expect(await it.append(0, 9, [{ from: 9, to: 12 }])).toEqual([0, '5', '0'])
  })

  test('wakes whoever leads when the first records come, and only then', async () => {
    const wakes = () => it.redis.xlen(it.keys.mailbox('supervisor'))
    await it.register(0, 0)
    await it.append(0, 0, [], { next: 3 })
    expect(await wakes()).toBe(0)
    await it.append(0, 3, [{ from: 3, to: 5 }])
    await it.append(1, 0, [{ from: 0, to: 5 }])
    expect(await wakes()).toBe(1)
  })
})

describe('append of several partitions', () => {
  const first = [0, 10, 13, 20, 1, 10, 13, 3, 'abc']
  const moves = [1, 5, 9, 9, 0]
  const last = [2, 0, 4, 4, 2, 0, 1, 1, 'x', 1, 4, 3, 'yz']

  test('moves each of their ledgers, and counts all of them', async () => {
    await it.register(10, 5, 0)
    expect(await it.call('append', ...first, ...moves, ...last)).toEqual([1, 7, 6, 0, 0])
    expect(await fields('0:next', '1:next', '1:frontier', '2:next')).toEqual(['13', '9', '9', '4'])
    expect(await fields('0:high', '1:high', '2:high')).toEqual(['20', '9', '4'])
    const entries = await it.read('e1')
    expect(entries.map(({ partition, from, to }) => [partition, from, to])).toEqual([
      [0, 10, 13],
      [2, 0, 1],
      [2, 1, 4],
    ])
    expect((await it.measure()).totals).toMatchObject({ appended: 7, entriesAppended: 3 })
  })

  test('of which one is elsewhere changes none, and says which', async () => {
    await it.register(10, 5, 1)
    const before = await it.everything()
    expect(await it.call('append', ...first, ...moves, ...last)).toEqual([0, '1', '2'])
    expect(await it.everything()).toBe(before)
  })

  test('of which one lacks a payload changes none', async () => {
    await it.register(10, 5, 0)
    const before = await it.everything()
    const gone = [2, 0, 4, 4, 1, 0, 4, 4, '']
    expect(await it.call('append', ...first, ...gone)).toEqual([2, it.keys.payload(2, 0, 4)])
    expect(await it.everything()).toBe(before)
  })
})

describe('append without entries', () => {
  test('moves the frontier over offsets that hold nothing for us', async () => {
    await it.register(0)
    expect((await it.append(0, 0, [], { next: 7, high: 9 }))[0]).toBe(1)
    expect(await fields('0:next', '0:frontier', '0:high', '0:max')).toEqual([
      '7',
      '7',
      '9',
      undefined,
    ])
    expect(await it.append(0, 0, [], { next: 7 })).toEqual([0, '7', '0'])
  })

  test('waits with the frontier for the entries in front', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 4 }])
    await it.append(0, 4, [], { next: 9 })
    await it.append(0, 9, [{ from: 9, to: 10 }])
    expect(await fields('0:next', '0:frontier')).toEqual(['10', '0'])
    const [first] = await it.read('e1', 1)
    await it.commit({ slices: [{ entry: first!, max: 1_000 }] })
    expect(await fields('0:frontier', '0:max')).toEqual(['9', '1000'])
  })

  test('does not make a partition look alive', async () => {
    await it.register(0)
    await it.redis.hset(it.keys.ledger, '0:dataAt', 1)
    await it.append(0, 0, [], { next: 7 })
    expect(await fields('0:dataAt')).toEqual(['1'])
    await it.append(0, 7, [{ from: 7, to: 8 }])
    expect(Number((await fields('0:dataAt'))[0])).toBeGreaterThan(1)
  })
})

describe('lose', () => {
  test('counts what was given up, notes the range, and moves the ledger and the frontier in one', async () => {
    await it.register(10)
    expect(await it.call('lose', 0, 10, 40, 40, 100)).toEqual([1])
    expect(await fields('0:next', '0:frontier', '0:high')).toEqual(['40', '40', '40'])
    expect((await it.measure()).totals).toMatchObject({ lost: 30, appended: 0, committed: 0 })
    const [loss] = await it.redis.xrange(it.keys.losses, '-', '+')
    expect(loss![1]).toEqual(['p', '0', 'from', '10', 'to', '40'])
  })

  test('counts nothing twice: asked again after a lost reply it says where the ledger is', async () => {
    await it.register(10)
    await it.call('lose', 0, 10, 40, 40, 100)
    const before = await it.everything()
    expect(await it.call('lose', 0, 10, 40, 40, 100)).toEqual([0, '40'])
    expect(await it.call('lose', 7, 10, 40, 40, 100)).toEqual([0, ''])
    expect(await it.everything()).toBe(before)
  })

  test('waits with the frontier for the entries in front', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 5 }])
    await it.call('lose', 0, 5, 9, 9, 100)
    expect(await fields('0:next', '0:frontier')).toEqual(['9', '0'])
    const [entry] = await it.read('e1')
    await it.commit({ slices: [{ entry: entry! }] })
    expect(await fields('0:frontier')).toEqual(['9'])
  })
})

test('seen tells the high watermarks and learns the frontiers', async () => {
  await it.register(0, 50)
  expect(await it.call('seen', 0, 40, 1, 90)).toEqual(['0', '0', '0', '1', '50', '50'])
  expect(await fields('0:high', '1:high')).toEqual(['40', '90'])
})

test('seen leaves alone what the ledger does not know', async () => {
  expect(await it.call('seen', 0, 40)).toEqual(['0', null, null])
  expect(await it.redis.exists(it.keys.ledger)).toBe(0)
  await it.register(0)
  expect(await it.call('seen', 0, 40, 1, 90)).toEqual(['0', '0', '0', '1', null, null])
  expect(await fields('0:high', '1:high', '1:seenAt')).toEqual(['40', undefined, undefined])
})

describe('a large payload', () => {
  const aside = (from: number, to: number) => it.keys.payload(0, from, to)

  test('lies beside the stream, for good once it is appended, and goes with its entry', async () => {
    await it.register(0)
    await it.redis.set(aside(0, 5), 'large', 'PX', 60_000)
    expect(await it.append(0, 0, [{ from: 0, to: 5, payload: '' }])).toEqual([1, 5, 5, 0, 0])
    expect(await it.redis.pttl(aside(0, 5))).toBe(-1)
    const [entry] = await it.read('e1')
    expect(entry).toMatchObject({ from: 0, to: 5, bytes: 5 })
    await it.commit({ slices: [{ entry: entry!, to: 3 }] })
    expect(await it.redis.exists(aside(0, 5))).toBe(1)
    await it.commit({ slices: [{ entry: entry!, from: 3 }] })
    expect(await it.redis.exists(aside(0, 5))).toBe(0)
    expect((await it.measure()).totals.waitingBytes).toBe(0)
  })

  test('that is not there any more refuses the whole append', async () => {
    await it.register(0)
    await it.redis.set(aside(0, 5), 'large', 'PX', 60_000)
    const before = await it.everything()
    const entries = [
      { from: 0, to: 5, payload: '' },
      { from: 5, to: 9, payload: '' },
    ]
    expect(await it.append(0, 0, entries)).toEqual([2, aside(5, 9)])
    expect(await it.everything()).toBe(before)
  })

  test('of a bridge that is behind expires', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 5 }])
    await it.redis.set(aside(0, 5), 'large', 'PX', 60_000, 'NX')
    expect(await it.append(0, 0, [{ from: 0, to: 5, payload: '' }])).toEqual([0, '5', '0'])
    expect(await it.redis.pttl(aside(0, 5))).toBeGreaterThan(0)
  })
})
