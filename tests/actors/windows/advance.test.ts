import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { paneStart, windowsOfPane } from '../../../actors/windows/windows.ts'
import { Shard } from '../../support/shard.ts'

const S = 1_000

let it: Shard
beforeEach(async () => {
  it = await Shard.open('advance')
})
afterEach(() => it.end())

const remake = async (shape: { windowSizeMs: number; windowSlideMs: number }) => {
  await it.end()
  it = await Shard.open('advance', shape)
}

/** Appends one record to a partition and commits it with an event time; null for a rejected one. */
async function record(partition: number, max: number | null, group = 'a', slide = 5 * S) {
  const next = Number((await it.ledger())[`${partition}:next`])
  await it.append(partition, next, [{ from: next, to: next + 1 }])
  const [entry] = await it.read('e1')
  const slices = [{ entry: entry!, max }]
  if (max === null) return it.commit({ slices, rejected: 1 })
  const pane = paneStart({ windowSizeMs: 0, windowSlideMs: slide }, max)
  const closedTo = await it.redis.hget(it.keys.clock, 'closedTo')
  return it.commit({
    slices,
    panes: { [pane]: { [group]: [1] } },
    closedTo: closedTo === null ? null : Number(closedTo),
  })
}

/** Makes a partition's records, or the look at Kafka's end, this old. */
async function age(partition: number, field: 'dataAt' | 'seenAt', ms: number) {
  const { at } = await it.measure()
  await it.redis.hset(it.keys.ledger, `${partition}:${field}`, at - ms)
}

describe('the watermark', () => {
  test('is the least of the partitions’ highest event times, minus the delay', async () => {
    await it.register(0, 0)
    await record(0, 90 * S)
    await record(1, 70 * S)
    expect(await it.advance({ delay: 60 * S })).toMatchObject({ watermark: 10 * S, holder: '1' })
    await record(1, 95 * S)
    expect(await it.advance({ delay: 60 * S })).toMatchObject({ watermark: 30 * S, holder: '0' })
  })

  test('is held by a partition that was not read yet', async () => {
    await it.register(0, 0)
    await record(0, 90 * S)
    expect(await it.advance()).toMatchObject({ watermark: null, closedTo: null, holder: '1' })
  })

  test('is not held by a partition that brought nothing but rejects, once it is read', async () => {
    await it.register(0, 0)
    await record(0, 90 * S)
    await record(1, null)
    expect((await it.advance()).watermark).toBe(90 * S)
    await record(0, 95 * S)
    await it.append(1, 1, [{ from: 1, to: 2 }])
    expect(await it.advance()).toMatchObject({ watermark: 90 * S, holder: '1' })
  })

  test('is of what is finished without a gap, however far others are', async () => {
    await it.register(0)
    await it.append(0, 0, [
      { from: 0, to: 1 },
      { from: 1, to: 2 },
    ])
    const [first, second] = await it.read('e1')
    await it.commit({ slices: [{ entry: second!, max: 500 * S }] })
    expect((await it.advance()).watermark).toBeNull()
    await it.commit({ slices: [{ entry: first!, max: 3 * S }] })
    expect((await it.advance()).watermark).toBe(500 * S)
  })

  test('never goes back: not for a slower partition, nor for a new one', async () => {
    await it.register(0)
    await record(0, 90 * S)
    expect((await it.advance()).watermark).toBe(90 * S)
    await it.call('open', 'topic-id', 'shape', 1, 0, 0)
    expect((await it.advance()).watermark).toBe(90 * S)
    await record(1, 10 * S)
    expect((await it.advance()).watermark).toBe(90 * S)
    expect((await it.advance({ delay: 80 * S })).watermark).toBe(90 * S)
  })

  test('leaves out a partition that is at Kafka’s end, finished and quiet for long', async () => {
    await it.register(0, 0)
    await record(0, 90 * S)
    await record(1, 20 * S)
    await age(1, 'dataAt', 29_000)
    expect((await it.advance()).watermark).toBe(20 * S)
    await age(1, 'dataAt', 31_000)
    expect(await it.advance()).toMatchObject({ watermark: 90 * S, holder: '0' })
  })

  test('leaves out a partition that never had a record, when it is as quiet', async () => {
    await it.register(0, 0)
    await record(0, 90 * S)
    await age(1, 'dataAt', 31_000)
    expect((await it.advance()).watermark).toBe(90 * S)
  })

  test.each([
    ['is behind Kafka’s end', () => it.redis.hset(it.keys.ledger, '1:high', 99)],
    ['was not looked at lately', () => age(1, 'seenAt', 6_000)],
    [
      'has records in hand',
      async () => {
        await it.append(1, 1, [{ from: 1, to: 2 }])
        await age(1, 'dataAt', 31_000)
      },
    ],
  ])('is held by a quiet partition that %s', async (_, change) => {
    await it.register(0, 0)
    await record(0, 90 * S)
    await record(1, 20 * S)
    await age(1, 'dataAt', 31_000)
    await change()
    expect(await it.advance()).toMatchObject({ watermark: 20 * S, holder: '1' })
  })

  test('goes on with the clock when all are idle, from the highest event time', async () => {
    await it.register(0, 0)
    await record(0, 90 * S)
    await record(1, 20 * S)
    await age(0, 'dataAt', 40_000)
    await age(1, 'dataAt', 50_000)
    const { watermark, holder } = await it.advance({ delay: 60 * S })
    expect(holder).toBe('')
    expect(watermark).toBeGreaterThanOrEqual(30 * S + 40_000)
    expect(watermark).toBeLessThan(30 * S + 40_000 + 20_000)
    // A record in a minute that was passed like that does not turn it back.
    await record(1, 31 * S)
    expect((await it.advance({ delay: 60 * S })).watermark).toBeGreaterThanOrEqual(watermark!)
  })

  test('is none where no record ever had an event time', async () => {
    await it.register(0)
    await record(0, null)
    await age(0, 'dataAt', 99_000)
    expect(await it.advance()).toMatchObject({ watermark: null, closedTo: null, more: false })
  })

  test('may lie before 1970 and far ahead', async () => {
    await it.register(0)
    await record(0, -12_345)
    expect(await it.advance()).toMatchObject({ watermark: -12_345, closedTo: -15_000 })
    await record(0, 253_402_300_799_999)
    expect((await it.advance()).watermark).toBe(253_402_300_799_999)
  })
})

describe('closing', () => {
  //        -5   0    5    10   15   20
  // panes       | a  | ab |    | b  |
  // win     [ 2 = a ..)
  //             [ 3 = a ...... )
  //                  [ 4 = ab ..... )
  //                       [ 5 = b ..... )
  test('writes each window once, oldest first, its panes merged', async () => {
    await it.register(0)
    await record(0, 1 * S, 'a')
    await record(0, 6 * S, 'a')
    await record(0, 6 * S, 'b')
    await record(0, 16 * S, 'b')
    await it.advance()
    await it.closeTo(40 * S)
    expect(
      (await it.closedRows()).map(({ start, group, slots }) => [start, group, slots[0]]),
    ).toEqual([
      [-5 * S, 'a', 1],
      [0, 'a', 2],
      [0, 'b', 1],
      [5 * S, 'a', 1],
      [5 * S, 'b', 1],
      [10 * S, 'b', 1],
      [15 * S, 'b', 1],
    ])
    const left = await it.redis.keys(`${it.keys.base}:pane*`)
    expect(left).toEqual([])
    expect(await it.redis.exists(`${it.keys.base}:emitted`)).toBe(0)
    expect(await it.redis.hgetall(it.keys.clock)).toEqual({
      closedMean: '13',
      watermark: '40000',
      closedTo: '40000',
      closedWindows: '5',
    })
  })

  test('keeps a pane until its last window is closed', async () => {
    await it.register(0)
    await record(0, 6 * S)
    expect(await it.closeTo(10 * S)).toBe(1)
    expect(Object.keys(await it.redis.hgetall(it.keys.panes))).toEqual(['5000'])
    await it.closeTo(14_999)
    expect(Object.keys(await it.redis.hgetall(it.keys.panes))).toEqual(['5000'])
    await it.closeTo(15_000)
    expect(await it.redis.hgetall(it.keys.panes)).toEqual({})
    expect((await it.closedRows()).map(({ start, end }) => [start, end])).toEqual([
      [0, 10 * S],
      [5 * S, 15 * S],
    ])
  })

  test('closes nothing twice, and nothing late', async () => {
    await it.register(0)
    await record(0, 6 * S)
    await it.closeTo(30 * S)
    const rows = await it.closedRows()
    await it.closeTo(30 * S)
    expect((await it.advance()).more).toBe(false)
    expect(await record(0, 6 * S)).toEqual(['ok'])
    expect(await it.closedRows()).toEqual(rows)
  })

  test('jumps over the years in which nothing was', async () => {
    await it.register(0)
    await record(0, -62_135_596_800_000)
    expect(await it.closeTo(253_402_300_799_999)).toBe(1)
    expect((await it.closedRows()).map(({ start }) => start)).toEqual([
      -62_135_596_805_000, -62_135_596_800_000,
    ])
    expect(await it.redis.hget(it.keys.clock, 'closedTo')).toBe('253402300795000')
  })

  //       -10   -5    0    5    10
  // panes  | b  | a  | c  |
  test('crosses zero', async () => {
    await it.register(0)
    await record(0, -1, 'a')
    await record(0, -6 * S, 'b')
    await record(0, 0, 'c')
    await it.closeTo(10 * S)
    const rows = (await it.closedRows()).map(({ start, group }) => `${start / S}${group}`)
    expect(rows.slice(0, 1)).toEqual(['-15b'])
    expect(rows.slice(1, 3).sort()).toEqual(['-10a', '-10b'])
    expect(rows.slice(3, 5).sort()).toEqual(['-5a', '-5c'])
    expect(rows.slice(5)).toEqual(['0c'])
  })

  //     0    5    10   15
  //     [ a  )    [ b  )
  test('of tumbling windows writes one row for each pane', async () => {
    await remake({ windowSizeMs: 5 * S, windowSlideMs: 5 * S })
    await it.register(0)
    await record(0, 4_999, 'a')
    await record(0, 10 * S, 'b')
    await it.closeTo(20 * S)
    expect((await it.closedRows()).map(({ start, end, group }) => [start, end, group])).toEqual([
      [0, 5 * S, 'a'],
      [10 * S, 15 * S, 'b'],
    ])
    expect(await it.redis.keys(`${it.keys.base}:pane*`)).toEqual([])
  })

  test('tells where a window ends, and bounds the stream', async () => {
    await it.register(0)
    await record(0, 1 * S, 'a')
    await it.closeTo(30 * S)
    const entries = await it.redis.xrange(it.keys.closed, '-', '+')
    expect(entries.map(([, fields]) => [fields[1], fields[3], fields[7]])).toEqual([
      ['-5000', '5000', '1'],
      ['0', '10000', '1'],
    ])
  })
})

describe('windows that sinks have not taken', () => {
  /** As the supervisor calls it for a job with these sinks. */
  const close = async (
    watermark: number,
    kept: number,
    held: number,
    sinks: string[],
    bytes = 2 ** 30,
  ) => {
    await it.redis.hset(it.keys.clock, 'watermark', watermark)
    for (;;) {
      const shape = ['n', 10_000, 5_000, 0, 30_000, 400, kept, bytes, held, ...sinks]
      const [, , more] = (await it.call('advance', ...shape)) as [string, string, number]
      if (more !== 1) return
    }
  }
  const fill = async (windows: number, kept: number, held: number, sinks: string[]) => {
    await it.register(0)
    for (let i = 0; i < windows; i++) {
      await record(0, i * 5 * S, 'a')
      await close(i * 5 * S, kept, held, sinks)
    }
    return (await it.redis.xrange(it.keys.closed, '-', '+')).map(([id]) => id)
  }

  test('are numbered, and their entries too', async () => {
    await fill(3, 10, 20, [])
    const entries = await it.redis.xrange(it.keys.closed, '-', '+')
    expect(entries.map(([, fields]) => fields.slice(8))).toEqual([
      ['n', '1', 'part', '0'],
      ['n', '2', 'part', '0'],
    ])
    expect(await it.redis.hget(it.keys.clock, 'closedWindows')).toBe('2')
  })

  test('stay for the slowest, up to the bound, and go when it has them', async () => {
    const ids = await fill(450, 20, 10_000, ['quick', 'slow'])
    expect(ids).toHaveLength(449)
    await it.redis.hset(it.keys.taken, 'quick', `${ids[440]}/441/0`)
    await record(0, 450 * 5 * S, 'a')
    await close(450 * 5 * S, 20, 10_000, ['quick', 'slow'])
    // Nobody knows where one is that has not spoken yet.
    expect(await it.redis.xlen(it.keys.closed)).toBe(450)
    await it.redis.hset(it.keys.taken, 'slow', `${ids[250]}/251/0`)
    await record(0, 451 * 5 * S, 'a')
    await close(451 * 5 * S, 20, 10_000, ['quick', 'slow'])
    const left = await it.redis.xrange(it.keys.closed, '-', '+')
    expect(left.length).toBeLessThan(260)
    expect(left.some(([id]) => id === ids[251])).toBe(true)
  })

  test('are fewer where their rows are large, but some in any case', async () => {
    await it.register(0)
    const group = 'g'.repeat(4_000)
    for (let i = 0; i < 450; i++) {
      await record(0, i * 5 * S, group)
      await close(i * 5 * S, 400, 0, [], 1_000_000)
    }
    // 250 of 4 KB; streams are cut by nodes.
    const kept = await it.redis.xlen(it.keys.closed)
    expect(kept).toBeGreaterThanOrEqual(240)
    expect(kept).toBeLessThan(360)
    await close(450 * 5 * S, 400, 0, [], 1)
    await record(0, 450 * 5 * S, group)
    await close(451 * 5 * S, 400, 0, [], 1)
    expect(await it.redis.xlen(it.keys.closed)).toBeGreaterThanOrEqual(100)
  })

  test('and no longer than the bound', async () => {
    const ids = await fill(450, 20, 200, ['slow'])
    expect(ids.length).toBeGreaterThanOrEqual(200)
    expect(ids.length).toBeLessThan(320)
  })
})

for (const ops of ['n', 'n/FR']) {
  describe(`a window of 3,000 groups (${ops})`, () => {
    const panes = {
      0: groupsFrom(0),
      5000: groupsFrom(1_000),
    }
    beforeEach(async () => {
      await it.end()
      it = await Shard.open('advance', { ops })
      await it.register(0)
      await it.append(0, 0, [{ from: 0, to: 4_000 }])
      const [entry] = await it.read('e1')
      await it.commit({ slices: [{ entry: entry!, max: 9 * S }], panes })
      await it.redis.hset(it.keys.clock, 'watermark', 10 * S)
      while ((await it.redis.hget(it.keys.clock, 'closing')) !== '10000') await step()
    })
    const step = () => it.advance({ budget: 100 })
    const finish = async () => {
      while ((await step()).more);
      const rows = (await it.closedRows()).filter(({ start }) => start === 0)
      expect(rows).toHaveLength(3_000)
      expect(new Set(rows.map(({ group }) => group)).size).toBe(3_000)
      expect(await it.redis.exists(`${it.keys.base}:emitted`)).toBe(0)
      expect(await it.redis.hlen(it.keys.clock)).toBe(4)
    }

    test('is whole also where another Redis began to scan it, with its groups in another order', async () => {
      for (let steps = 0; steps < 3; steps++) await step()
      // Near the end of any scan: cursors count from their highest bit down.
      await it.redis.hset(it.keys.clock, 'closingCursor', '1023')
      await finish()
    })

    test('and where Redis went away again while it was looking for what is out', async () => {
      for (let steps = 0; steps < 6; steps++) await step()
      await it.redis.hset(it.keys.clock, 'closingCursor', '1023')
      await step()
      await it.redis.hset(it.keys.clock, 'closingCursor', '511')
      await finish()
    })
  })
}

/** 2,000 groups, each with its number in its slot. */
function groupsFrom(first: number): Record<string, number[]> {
  return Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`g${first + i}`, [first + i]]))
}

describe('a window of 3,000 groups over two panes', () => {
  beforeEach(async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 4_000 }])
    const [entry] = await it.read('e1')
    // Groups 0 … 1,999 in the first pane, 1,000 … 2,999 in the second.
    const panes = { 0: groupsFrom(0), 5000: groupsFrom(1_000) }
    await it.commit({ slices: [{ entry: entry!, max: 9 * S }], panes })
  })

  test('is closed in steps, each group once, with the sums of both panes', async () => {
    const steps = await it.closeTo(10 * S, { budget: 160 })
    expect(steps).toBeGreaterThan(10)
    const rows = (await it.closedRows()).filter(({ start }) => start === 0)
    expect(rows).toHaveLength(3_000)
    const found = new Map(rows.map(({ group, slots }) => [group, slots[0]]))
    expect(found.size).toBe(3_000)
    for (let i = 0; i < 3_000; i++) {
      expect(found.get(`g${i}`)).toBe(i >= 1_000 && i < 2_000 ? 2 * i : i)
    }
    const entries = await it.redis.xrange(it.keys.closed, '-', '+')
    const lasts = entries.filter(([, fields]) => fields[7] === '1').map(([, fields]) => fields[1])
    expect(lasts).toEqual(['-5000', '0'])
  })

  test('goes on where a supervisor died, and takes nothing in meanwhile', async () => {
    await it.redis.hset(it.keys.clock, 'watermark', 10 * S)
    let step = await it.advance({ budget: 100 })
    for (; step.closedTo !== 10 * S; step = await it.advance({ budget: 100 }));
    expect(await it.redis.hget(it.keys.clock, 'closing')).toBe('10000')
    expect(await record(0, 7 * S, 'late')).toEqual(['closing'])
    // Two supervisors at once, as in the moment when one takes over.
    const finish = async () => {
      while ((await it.advance({ budget: 100 })).more);
    }
    await Promise.all([finish(), finish()])
    const rows = (await it.closedRows()).filter(({ start }) => start === 0)
    expect(rows).toHaveLength(3_000)
    expect(new Set(rows.map(({ group }) => group)).size).toBe(3_000)
  })

  test('no step emits more groups than it may, so that none holds Redis for long', async () => {
    await it.redis.hset(it.keys.clock, 'watermark', 20 * S)
    let before = 0
    for (let more = true; more; ) {
      more = (await it.advance({ budget: 160 })).more
      const { length } = await it.closedRows()
      // Two and a half groups of slots alone cost as much as one that is merged by itself; a page is whole.
      expect(length - before).toBeLessThanOrEqual(2.5 * 160 + 250)
      before = length
    }
    // Three windows hold them: of the first pane alone, of both, of the second alone.
    expect(before).toBe(2_000 + 3_000 + 2_000)
  })
})

test('any records in any order, closed at any moments, come out as the windows that held them', async () => {
  const shapes = fc.constantFrom([10_000, 5_000], [5_000, 5_000], [20_000, 5_000], [3_000, 1_000])
  const steps = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(fc.integer({ min: -40, max: 80 }), fc.constantFrom('a', 'b')),
      },
      { weight: 1, arbitrary: fc.integer({ min: -40, max: 80 }) },
    ),
    { minLength: 1, maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(shapes, steps, async ([size, slide], script) => {
      const shape = { windowSizeMs: size, windowSlideMs: slide }
      await remake(shape)
      await it.register(0)
      const expected = new Map<string, number>()
      let closedTo = -Infinity
      for (const step of [...script, 1_000]) {
        if (typeof step === 'number') {
          if (step * S < closedTo) continue
          // The delay keeps the records' own times from moving the watermark.
          await it.closeTo(step * S, { budget: 1, delay: 10 ** 12 })
          closedTo = Math.max(closedTo, Math.floor((step * S) / slide) * slide)
          continue
        }
        const [time, group] = step
        const pane = paneStart(shape, time * S)
        // The executor's part: a late record does not come to a pane.
        if (pane + size <= closedTo) continue
        expect(await record(0, time * S, group, slide)).toEqual(['ok'])
        for (const start of windowsOfPane(shape, pane)) {
          if (start + size <= closedTo) continue
          const name = `${start + 0}|${group}`
          expected.set(name, (expected.get(name) ?? 0) + 1)
        }
      }
      const rows = await it.closedRows()
      const found = rows.map(
        ({ start, group, slots }) => [`${start}|${group}`, slots[0]!] as [string, number],
      )
      expect(found).toHaveLength(expected.size)
      expect(new Map(found)).toEqual(expected)
      const starts = rows.map(({ start }) => start)
      expect(starts).toEqual([...starts].sort((a, b) => a - b))
      expect(await it.redis.keys(`${it.keys.base}:pane*`)).toEqual([])
    }),
    { numRuns: 40, endOnFailure: true },
  )
})
