import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { addToSum, emptyCells } from '../../../actors/windows/aggregates.ts'
import { type ReadEntry, Shard, type SliceArgs } from '../../support/shard.ts'

let it: Shard
beforeEach(async () => {
  it = await Shard.open('commit')
  await it.register(0, 0)
})
afterEach(() => it.end())

/** Appends entries of these lengths to partition 0 and reads them as `me`. */
async function entries(lengths: number[], me = 'e1'): Promise<ReadEntry[]> {
  const ledger = await it.ledger()
  let at = Number(ledger['0:next'])
  const args = lengths.map((length) => ({ from: at, to: (at += length) }))
  await it.append(0, Number(ledger['0:next']), args)
  return it.read(me)
}

/** As many as it takes, a thousand with each call. */
async function entriesInCalls(lengths: number[]): Promise<ReadEntry[]> {
  const all: ReadEntry[] = []
  for (let at = 0; at < lengths.length; at += 1_000) {
    all.push(...(await entries(lengths.slice(at, at + 1_000))))
  }
  return all
}

const ledger = async (...names: string[]) => {
  const held = await it.ledger()
  return names.map((name) => held[name])
}

describe('a commit', () => {
  test('takes back what was in hand of an entry that is done, and of no other', async () => {
    const [first, second] = await entries([5, 5])
    await it.call('mark', 'e1', second!.id, 7)
    await it.commit({ slices: [{ entry: first!, max: 1_000 }] })
    expect(await it.redis.hget(it.keys.hand, 'e1')).toBe(`${second!.id}|7`)
    await it.commit({ slices: [{ entry: second!, max: 1_000 }] })
    expect(await it.redis.exists(it.keys.hand)).toBe(0)
  })

  test('applies panes, frontier, counters and acknowledgement in one', async () => {
    const [entry] = await entries([5])
    const reply = await it.commit({
      slices: [{ entry: entry!, max: 7_000 }],
      panes: { 5000: { '["a"]': [3] } },
      filtered: 1,
      rejected: 1,
      busyUs: 1_234,
      rejects: [[0, 2, 'json', 'no', Buffer.from([0xff, 0])]],
      verdicts: [[0, 'partly', 5_000, '1,2']],
    })
    expect(reply).toEqual(['ok'])
    expect(await it.pane(5_000)).toEqual({ '["a"]': [3] })
    expect(await ledger('0:frontier', '0:max')).toEqual(['5', '7000'])
    expect(await it.measure()).toMatchObject({
      entries: 0,
      pending: 0,
      totals: {
        appended: 5,
        committed: 5,
        counted: 3,
        filtered: 1,
        rejected: 1,
        late: 0,
        waiting: 0,
        waitingBytes: 0,
        entriesCommitted: 1,
        busyUs: 1_234,
      },
      rejects: { json: 1 },
    })
    const [reject] = await it.redis.xrangeBuffer(it.keys.rejects, '-', '+')
    expect(reject![1].map((field) => field.toString('latin1'))).toEqual([
      'topic',
      'records',
      'p',
      '0',
      'o',
      '2',
      'reason',
      'json',
      'message',
      'no',
      'value',
      'ÿ\0',
    ])
    const [verdict] = await it.redis.xrange(it.keys.verdicts, '-', '+')
    expect(verdict![1]).toEqual([
      'p',
      '0',
      'reason',
      'partly',
      'closedTo',
      '5000',
      'offsets',
      '1,2',
    ])
  })

  test('of an entry that another has now applies nothing and names it', async () => {
    const [first, second] = await entries([5, 5], 'dead')
    await it.claim('e1', 1)
    const before = await it.everything()
    const slices = [{ entry: first! }, { entry: second! }]
    const panes = { 0: { a: [10] } }
    expect(await it.commit({ me: 'dead', slices, panes })).toEqual(['lost', first!.id])
    expect(await it.commit({ me: 'e1', slices, panes })).toEqual(['lost', second!.id])
    expect(await it.everything()).toBe(before)
    expect(await it.commit({ me: 'dead', slices: [{ entry: second! }] })).toEqual(['ok'])
    expect(await it.commit({ me: 'e1', slices: [{ entry: first! }] })).toEqual(['ok'])
    expect((await it.measure()).totals.committed).toBe(10)
  })

  test('whose reply was lost is told so, and counts once', async () => {
    const both = await entries([5, 5])
    const args = { slices: both.map((entry) => ({ entry })), panes: { 0: { a: [10] } } }
    expect(await it.commit(args)).toEqual(['ok'])
    expect(await it.commit(args)).toEqual(['lost', both[0]!.id, both[1]!.id])
    expect(await it.pane(0)).toEqual({ a: [10] })
    expect((await it.measure()).totals.counted).toBe(10)
  })

  test('adds to what the pane holds, by each letter', async () => {
    const ops = 'nhlmM'
    await it.end()
    it = await Shard.open('commit', { ops })
    await it.register(0)
    const [first, second] = await entries([1, 1])
    const big = 2 ** 52 - 1
    await it.commit({
      slices: [{ entry: first! }],
      panes: { 0: { a: [1, -1, big, 5, -Infinity] } },
    })
    await it.commit({ slices: [{ entry: second! }], panes: { 0: { a: [2, -3, big, -7.5, 0.1] } } })
    expect(await it.pane(0)).toEqual({ a: [3, -3, big - 1, -7.5, 0.1] })
  })

  test('with cells of another length is refused as another job’s', async () => {
    const [first, second] = await entries([1, 1])
    await it.commit({ slices: [{ entry: first! }], panes: { 0: { a: [1] } } })
    await it.redis.hset(it.keys.pane(0), 'a', Buffer.alloc(16))
    const before = await it.everything()
    expect(await it.commit({ slices: [{ entry: second! }], panes: { 0: { a: [1] } } })).toEqual([
      'shape',
    ])
    expect(await it.everything()).toBe(before)
  })

  test('of 1,000 groups, named however, is whole', async () => {
    const [entry] = await entries([1_000])
    const odd = ['', '\u0000', '__proto__', '%s', '\r\n', 'é😀', '["a","b"]']
    const names = [...odd, ...Array.from({ length: 993 }, (_, i) => `g${i}`)]
    const groups = Object.fromEntries(names.map((name, i) => [name, [i]]))
    const panes = { '-5000': groups }
    expect(await it.commit({ slices: [{ entry: entry! }], panes })).toEqual(['ok'])
    expect(await it.redis.hlen(it.keys.pane(-5_000))).toBe(1_000)
    expect(await it.redis.hgetall(it.keys.panes)).toEqual({ '-5000': '1' })
  })
})

describe('the sums in Redis', () => {
  test('are those of BigInt, near 2⁵² and below zero, however often they are merged', async () => {
    await it.end()
    it = await Shard.open('commit', { ops: 'hl' })
    await it.register(0)
    const limit = 2 ** 52 - 1
    const summand = fc.oneof(
      fc.integer({ min: -limit, max: limit }),
      fc.constantFrom(limit, -limit, limit - 1, 1, -1, 0),
    )
    let exact = 0n
    await fc.assert(
      fc.asyncProperty(fc.array(summand, { minLength: 1, maxLength: 20 }), async (values) => {
        const cells = emptyCells('hl')
        for (const value of values) {
          addToSum(cells, 0, value)
          exact += BigInt(value)
        }
        const [entry] = await entries([1])
        await it.commit({ slices: [{ entry: entry! }], panes: { 0: { a: [...cells] } } })
        const [high, low] = (await it.pane(0)).a!
        expect(low).toBeGreaterThanOrEqual(0)
        expect(low).toBeLessThan(2 ** 52)
        expect(BigInt(high!) * 2n ** 52n + BigInt(low!)).toBe(exact)
      }),
      { numRuns: 200, endOnFailure: true },
    )
  })
})

describe('a part of an entry', () => {
  test('is committed for good; the entry goes on from there, with its own executor', async () => {
    const [entry] = await entries([100])
    const slice = (from: number, to: number, max: number): SliceArgs => ({
      entry: entry!,
      from,
      to,
      max,
    })
    expect(await it.commit({ slices: [slice(0, 40, 9_000)], panes: { 0: { a: [40] } } })).toEqual([
      'ok',
    ])
    expect(await it.redis.hget(it.keys.progress, entry!.id)).toBe('40|9000|40')
    expect(await ledger('0:frontier', '0:max')).toEqual(['0', undefined])
    expect(await it.measure()).toMatchObject({
      entries: 1,
      pending: 1,
      totals: { committed: 40, waiting: 60 },
    })
    // The same again, from the beginning, and from further on: none fits.
    for (const [from, to] of [
      [0, 40],
      [0, 100],
      [41, 100],
    ] as const) {
      const reply = await it.commit({ slices: [slice(from, to, 1)], panes: { 0: { a: [1] } } })
      expect(reply).toEqual(['lost', entry!.id])
    }
    expect(await it.commit({ slices: [slice(40, 100, 8_000)], panes: { 0: { a: [60] } } })).toEqual(
      ['ok'],
    )
    expect(await it.pane(0)).toEqual({ a: [100] })
    expect(await ledger('0:frontier', '0:max')).toEqual(['100', '9000'])
    expect(await it.redis.exists(it.keys.progress)).toBe(0)
    expect((await it.measure()).totals).toMatchObject({ committed: 100, waiting: 0, appended: 100 })
  })

  test('stays done when its executor dies, whoever goes on', async () => {
    const [entry] = await entries([100], 'dead')
    await it.commit({ me: 'dead', slices: [{ entry: entry!, to: 40, max: null }] })
    const [claimed] = await it.claim('e2')
    expect(claimed).toMatchObject({ id: entry!.id, progress: '40||40', crashes: 1 })
    // The dead one was not dead, and has the next part.
    const zombie = { entry: entry!, from: 40, to: 60 }
    expect(await it.commit({ me: 'dead', slices: [zombie] })).toEqual(['lost', entry!.id])
    expect(await it.commit({ me: 'e2', slices: [{ entry: entry!, from: 40, max: 5 }] })).toEqual([
      'ok',
    ])
    expect(await ledger('0:frontier', '0:max')).toEqual(['100', '5'])
    expect((await it.measure()).totals.committed).toBe(100)
  })

  test('counts what the batch headers announced too much only once', async () => {
    await it.append(0, 0, [{ from: 0, to: 100, records: 100 }])
    const [entry] = await it.read('e1')
    // 70 records where 100 were announced: compaction, or a fetch that began inside a batch.
    await it.commit({ slices: [{ entry: entry!, to: 50, records: 30 }] })
    expect((await it.measure()).totals).toMatchObject({ appended: 100, committed: 30, waiting: 70 })
    await it.commit({ slices: [{ entry: entry!, from: 50, records: 40 }] })
    expect((await it.measure()).totals).toMatchObject({ appended: 70, committed: 70, waiting: 0 })
  })

  test('counts what was announced too little as well', async () => {
    await it.append(0, 0, [{ from: 0, to: 100, records: 10 }])
    const [entry] = await it.read('e1')
    await it.commit({ slices: [{ entry: entry!, records: 100 }] })
    expect((await it.measure()).totals).toMatchObject({ appended: 100, committed: 100, waiting: 0 })
  })
})

describe('the frontier', () => {
  // offsets  0    10   20   30   40
  //          | a  | b  | c  | d  |      finished in the order c, b, d, a
  test('moves over what is finished without a gap, and takes the highest time with it', async () => {
    const [a, b, c, d] = await entries([10, 10, 10, 10])
    const states = []
    for (const [entry, max] of [
      [c, 9_000],
      [b, null],
      [d, 4_000],
      [a, 2_000],
    ] as const) {
      await it.commit({ slices: [{ entry: entry!, max }] })
      states.push(await ledger('0:frontier', '0:max'))
    }
    expect(states).toEqual([
      ['0', undefined],
      ['0', undefined],
      ['0', undefined],
      ['40', '9000'],
    ])
    expect(await it.redis.exists(it.keys.finished)).toBe(0)
  })

  test('is that of the prefix in any order, and the time never goes back', async () => {
    const lengths = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(1_000_000)), {
      minLength: 2,
      maxLength: 8,
    })
    await fc.assert(
      fc.asyncProperty(lengths, fc.infiniteStream(fc.nat()), async (shape, dice) => {
        const known = Number((await ledger('0:max'))[0] ?? -Infinity)
        const open = await entries(shape.map(([length]) => length))
        const times = new Map(open.map((entry, i) => [entry.from, shape[i]![1] - 500_000]))
        const left = [...open]
        while (left.length > 0) {
          const [entry] = left.splice(dice.next().value! % left.length, 1)
          await it.commit({ slices: [{ entry: entry!, max: times.get(entry!.from)! }] })
          const frontier = left[0]?.from ?? open.at(-1)!.to
          const prefix = open.filter(({ to }) => to <= frontier).map(({ from }) => times.get(from)!)
          const max = Math.max(known, ...prefix)
          expect(await ledger('0:frontier', '0:max')).toEqual([
            String(frontier),
            max === -Infinity ? undefined : String(max),
          ])
        }
      }),
      { numRuns: 25, endOnFailure: true },
    )
  })

  test('walks over thousands of finished entries in bounded steps, and gets to the end without commits', async () => {
    const lengths = Array.from({ length: 4_500 }, () => 1)
    const [first, ...others] = await entriesInCalls(lengths)
    for (let at = 0; at < others.length; at += 500) {
      const slices = others.slice(at, at + 500).map((entry, i) => ({ entry, max: at + i }))
      expect(await it.commit({ slices })).toEqual(['ok'])
    }
    expect(await ledger('0:frontier')).toEqual(['0'])
    await it.commit({ slices: [{ entry: first!, max: 1 }] })
    expect(await ledger('0:frontier')).toEqual(['1001'])
    // Whoever looks at the frontiers moves them on: the leader, who is told that there is more …
    const more: boolean[] = []
    for (let i = 0; i < 2; i++) more.push((await it.advance()).more)
    expect(more).toEqual([true, true])
    // … and the bridge.
    const told: unknown[] = []
    for (let i = 0; i < 2; i++) told.push(await it.call('seen', 0, 4_500))
    expect(told).toEqual([
      ['0', '4001', '4500'],
      ['0', '4500', '4500'],
    ])
    expect((await it.advance()).more).toBe(false)
    expect(await ledger('0:max')).toEqual(['4498'])
    expect(await it.redis.exists(it.keys.finished)).toBe(0)
  })

  test('of one partition does not touch another’s', async () => {
    const [entry] = await entries([5])
    await it.commit({ slices: [{ entry: entry!, max: 1 }] })
    expect(await ledger('0:frontier', '1:frontier', '1:max')).toEqual(['5', '0', undefined])
  })
})

describe('a full pane', () => {
  test('names the groups that do not fit, and takes the others when asked again', async () => {
    const [first, second] = await entries([3, 4])
    const panes = { 0: { a: [1], b: [1], c: [1] } }
    await it.commit({ slices: [{ entry: first! }], panes, groupsMax: 4 })
    const before = await it.everything()
    const more = { 0: { b: [1], d: [1], e: [1], f: [1] } }
    const args = { slices: [{ entry: second! }], groupsMax: 4 }
    expect(await it.commit({ ...args, panes: more })).toEqual(['full', '0', 'e', 'f'])
    expect(await it.everything()).toBe(before)
    const left = { 0: { b: [1], d: [1] } }
    expect(await it.commit({ ...args, panes: left, rejected: 2 })).toEqual(['ok'])
    expect(await it.pane(0)).toEqual({ a: [1], b: [2], c: [1], d: [1] })
  })
})

describe('windows that close meanwhile', () => {
  //           0    5    10   15
  // windows  [0 ...... 10)            closed
  //               [5 ...... 15)       open
  test('refuse what was folded before, and say up to where they are closed', async () => {
    const both = await entries([2, 2])
    await it.commit({ slices: [{ entry: both[0]! }], panes: { 0: { a: [1] }, 5000: { a: [1] } } })
    await it.closeTo(10_000)
    const slices = [{ entry: both[1]! }]
    const before = await it.everything()
    // The first pane is late, the second misses one of its windows; both have to be folded again.
    expect(await it.commit({ slices, panes: { 0: { a: [1] } } })).toEqual(['closed', '10000'])
    expect(await it.commit({ slices, panes: { 5000: { a: [1] } } })).toEqual(['closed', '10000'])
    const older = { slices, panes: { 5000: { a: [1] } }, closedTo: 5_000 }
    expect(await it.commit(older)).toEqual(['closed', '10000'])
    expect(await it.everything()).toBe(before)
    // Who knows may add to what is still open.
    expect(await it.commit({ ...older, closedTo: 10_000, partly: 2 })).toEqual(['ok'])
    expect(await it.pane(5_000)).toEqual({ a: [2] })
  })

  test('do not bother commits into later panes', async () => {
    const both = await entries([2, 2])
    await it.commit({ slices: [{ entry: both[0]! }], panes: { 0: { a: [1] } } })
    await it.closeTo(10_000)
    const slices = [{ entry: both[1]! }]
    expect(await it.commit({ slices, panes: { 10000: { a: [1] } } })).toEqual(['ok'])
  })

  test('keep out of the panes that are being closed until they are', async () => {
    const both = await entries([900, 2])
    const groups = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`g${i}`, [1]]))
    await it.commit({ slices: [{ entry: both[0]! }], panes: { 0: groups } })
    await it.redis.hset(it.keys.clock, 'watermark', 10_000)
    expect(await it.advance({ budget: 100 })).toMatchObject({ closedTo: 5_000, more: true })
    // [-5, 5) is being closed: its panes start at -5 and 0.
    const commit = (pane: number, closedTo: number | null) =>
      it.commit({ slices: [{ entry: both[1]! }], panes: { [pane]: { x: [2] } }, closedTo })
    const before = await it.everything()
    expect(await commit(0, null)).toEqual(['closing'])
    expect(await commit(0, 5_000)).toEqual(['closing'])
    expect(await commit(-5_000, 5_000)).toEqual(['closing'])
    expect(await it.everything()).toBe(before)
    expect(await commit(5_000, 5_000)).toEqual(['ok'])
  })
})
