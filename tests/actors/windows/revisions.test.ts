/** Windows that are told more than once, by the functions in a real Redis. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { boundField, isRevised, revisionOf } from '../../../actors/windows/revisions.ts'
import { shapeArguments } from '../../../actors/windows/span.ts'
import { paneStart, windowsOfPane } from '../../../actors/windows/windows.ts'
import { Shard, type Shape } from '../../support/shard.ts'

const S = 1_000

let it: Shard
const open = async (shape: Partial<Shape>) => {
  it = await Shard.open('revisions', shape)
  await it.register(0)
}
beforeEach(() => open({ allowedLatenessMs: 20 * S }))
afterEach(() => it.end())

const bound = async (field: 'closedTo' | 'finalTo' = 'finalTo') => {
  const text = await it.redis.hget(it.keys.clock, field)
  return text === null ? null : Number(text)
}

/** Appends one record and commits it as an executor that knows what is final. */
async function record(time: number, group = 'a', field: 'closedTo' | 'finalTo' = 'finalTo') {
  const next = Number((await it.ledger())['0:next'])
  await it.append(0, next, [{ from: next, to: next + 1 }])
  const [entry] = await it.read('e1')
  const pane = paneStart({ windowSizeMs: 0, windowSlideMs: 5 * S }, time)
  return it.commit({
    slices: [{ entry: entry!, max: time }],
    panes: { [pane]: { [group]: [1] } },
    closedTo: await bound(field),
  })
}

/** The delay keeps records' own times from moving the watermark. */
const still = { delay: 10 ** 12 }
const closeTo = (seconds: number) => it.closeTo(seconds * S, still)

/** Each telling as [start, revision, state, number, groups and their counts]. */
async function told(): Promise<[number, number, string, number, string][]> {
  const all = await it.tellings()
  return all.map(({ start, revision, state, number, rows }) => {
    const counts = Object.entries(rows).map(([group, count]) => `${group}${count}`)
    return [start / S, revision, state, number, counts.sort().join(' ')]
  })
}

const left = async () => {
  const names = ['panes', 'changed', 'revise', 'revisions', 'order', 'emitted']
  const found = await it.redis.keys(`${it.keys.base}:*`)
  return found.filter((key) => names.some((name) => key.includes(`:${name}`) || /:pane:/.test(key)))
}

describe('what is late', () => {
  test('the functions are told of lateness and updates only where a job has them', () => {
    const windows = { windowSizeMs: 10, windowSlideMs: 5, gapMs: null }
    const once = { allowedLatenessMs: 0, updatesMs: 0 }
    expect(shapeArguments({ ...windows, ...once })).toEqual([10, 5])
    expect(shapeArguments({ ...windows, ...once, allowedLatenessMs: 7 })).toEqual([10, '5+7/0'])
    expect(shapeArguments({ ...windows, ...once, updatesMs: 9 })).toEqual([10, '5+0/9'])
    expect([isRevised(once), isRevised({ ...once, updatesMs: 9 })]).toEqual([false, true])
    expect(boundField({ ...once, updatesMs: 9 })).toBe('closedTo')
    expect(boundField({ ...once, allowedLatenessMs: 7 })).toBe('finalTo')
    expect(revisionOf(() => undefined)).toBeNull()
  })

  //  watermark   20          30          40
  //  closed to   20          30          40
  //  final to    0           10          20
  test('is so by the lateness behind what is closed', async () => {
    await record(1 * S)
    await record(26 * S)
    await closeTo(22)
    expect(await it.advance(still)).toMatchObject({ closedTo: 20 * S, finalTo: 0 })
    expect(await record(6 * S)).toEqual(['ok'])
    await closeTo(30)
    expect(await it.advance(still)).toMatchObject({ closedTo: 30 * S, finalTo: 10 * S })
  })

  test('an executor that does not know what is final is told that, and not what is closed', async () => {
    await record(1 * S)
    await record(26 * S)
    await closeTo(31)
    const next = Number((await it.ledger())['0:next'])
    await it.append(0, next, [{ from: next, to: next + 1 }])
    const [entry] = await it.read('e1')
    const commit = (pane: number, closedTo: number | null) =>
      it.commit({ slices: [{ entry: entry! }], panes: { [pane]: { a: [1] } }, closedTo })
    expect(await commit(5 * S, null)).toEqual(['closed', '10000'])
    expect(await commit(10 * S, null)).toEqual(['ok'])
  })
})

describe('revisions', () => {
  test('a late record counts in what is closed, which is told again, whole', async () => {
    await record(1 * S, 'a')
    await record(40 * S)
    await closeTo(12)
    expect(await told()).toEqual([
      [-5, 0, 'closed', 1, 'a1'],
      [0, 0, 'closed', 2, 'a1'],
    ])
    await record(6 * S, 'b')
    await it.advance(still)
    expect((await told()).slice(2)).toEqual([[0, 1, 'closed', 3, 'a1 b1']])
    // Its other window is open still, and closes with it.
    await closeTo(15)
    expect((await told()).slice(3)).toEqual([[5, 0, 'closed', 4, 'b1']])
    expect(await it.redis.hget(it.keys.clock, 'closedWindows')).toBe('3')
  })

  test('what comes within a second is told together, at the latest when the window is final', async () => {
    await record(1 * S)
    await record(90 * S)
    await closeTo(10)
    await record(1 * S)
    await it.advance(still)
    const before = await told()
    expect(before.map(([start, revision]) => `${start} r${revision}`).sort()).toEqual([
      '-5 r0',
      '-5 r1',
      '0 r0',
      '0 r1',
    ])
    // However slow the machine: the next is not due yet.
    const { at } = await it.measure()
    for (const end of [5, 10]) await it.redis.hset(it.keys.revisions, end * S, `1|${at + 60 * S}`)
    await record(1 * S)
    await record(1 * S)
    await it.advance(still)
    expect(await told()).toEqual(before)
    const due = await it.redis.zscore(it.keys.revise, '10000')
    expect(Number(due)).toBeLessThanOrEqual((await it.measure()).at + S)
    await closeTo(30)
    expect((await told()).slice(4)).toEqual([
      [-5, 2, 'final', 5, 'a4'],
      [0, 2, 'final', 6, 'a4'],
    ])
  })

  test('what is final is late, and nothing of it is kept', async () => {
    await record(1 * S)
    await closeTo(10)
    expect(Object.keys(await it.redis.hgetall(it.keys.panes))).toEqual(['0'])
    await closeTo(29)
    expect(Object.keys(await it.redis.hgetall(it.keys.panes))).toEqual(['0'])
    await closeTo(30)
    expect(await left()).toEqual([])
    expect((await told()).map(([start, revision]) => [start, revision])).toEqual([
      [-5, 0],
      [0, 0],
    ])
  })

  test('a window that only late records make is closed with that, and counts once', async () => {
    await record(1 * S)
    await record(60 * S)
    await closeTo(20)
    await record(11 * S, 'b')
    await it.advance(still)
    expect((await told()).slice(2)).toEqual([
      [5, 0, 'closed', 3, 'b1'],
      [10, 0, 'closed', 4, 'b1'],
    ])
    await record(6 * S, 'b')
    await closeTo(25)
    expect((await told()).slice(4)).toEqual([
      [0, 1, 'closed', 5, 'a1 b1'],
      [5, 1, 'closed', 6, 'b2'],
    ])
    expect(await it.redis.hget(it.keys.clock, 'closedWindows')).toBe('4')
  })

  test('a watermark that jumps over the lateness closes windows for good', async () => {
    await record(1 * S)
    await closeTo(1_000)
    expect((await told()).map(([start, , state]) => [start, state])).toEqual([
      [-5, 'final'],
      [0, 'final'],
    ])
    expect(await left()).toEqual([])
    expect(await it.advance(still)).toMatchObject({ closedTo: 1_000 * S, finalTo: 980 * S })
  })

  test('a number is kept while Redis’s clock is set back, and the next one does not wait for it', async () => {
    await record(1 * S)
    await record(90 * S)
    await closeTo(10)
    // Written before the clock was set back by an hour.
    const later = (await it.measure()).at + 3_600_000
    await it.redis.hset(it.keys.revisions, '10000', `4|${later}`)
    await record(1 * S)
    await it.advance(still)
    const due = Number(await it.redis.zscore(it.keys.revise, '10000'))
    expect(due).toBeLessThanOrEqual((await it.measure()).at + S)
  })
})

describe('updates', () => {
  beforeEach(async () => {
    await it.end()
    await open({ updatesMs: 60 * S })
  })
  /** As if so much time had passed. */
  const due = async () => {
    for (const end of await it.redis.zrange(it.keys.revise, '0', '-1')) {
      await it.redis.zadd(it.keys.revise, 1, end)
    }
    await it.advance(still)
  }

  test('tell open windows that have changed, when they are due, and the closed one after them', async () => {
    await record(1 * S)
    await it.advance(still)
    expect(await told()).toEqual([])
    const [, score] = await it.redis.zrange(it.keys.revise, '0', '0', 'WITHSCORES')
    const { at } = await it.measure()
    expect(Number(score)).toBeGreaterThan(at)
    expect(Number(score)).toBeLessThanOrEqual(at + 60 * S)
    await due()
    await record(1 * S, 'b')
    await it.advance(still)
    await due()
    await due()
    const sorted = (await told()).sort((a, b) => a[1] - b[1] || a[0] - b[0])
    expect(sorted).toEqual([
      [-5, 0, 'open', 0, 'a1'],
      [0, 0, 'open', 0, 'a1'],
      [-5, 1, 'open', 0, 'a1 b1'],
      [0, 1, 'open', 0, 'a1 b1'],
    ])
    await it.closeTo(10 * S, still)
    expect((await told()).slice(4)).toEqual([
      [-5, 2, 'final', 1, 'a1 b1'],
      [0, 2, 'final', 2, 'a1 b1'],
    ])
    expect(await it.redis.hget(it.keys.clock, 'closedWindows')).toBe('2')
    expect(await left()).toEqual([])
  })

  test('of a job that wants them no more go with their windows', async () => {
    await record(1 * S)
    await it.advance(still)
    const { keys, redis } = it
    const advance = (slide: number | string) =>
      it.store.call('advance', keys.base, [
        'n',
        10 * S,
        slide,
        10 ** 12,
        30_000,
        400,
        100,
        2 ** 30,
        0,
      ])
    await redis.hset(keys.clock, 'watermark', 10 * S)
    await advance(5 * S)
    for (const end of await redis.zrange(keys.revise, '0', '-1'))
      await redis.zadd(keys.revise, 1, end)
    await advance('5000+0/60000')
    expect(await left()).toEqual([])
    expect(await redis.xlen(keys.closed)).toBe(2)
  })
})

describe('a window of 3,000 groups', () => {
  beforeEach(async () => {
    await it.append(0, 0, [{ from: 0, to: 3_000 }])
    const [entry] = await it.read('e1')
    const groups = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`g${i}`, [1]]))
    await it.commit({ slices: [{ entry: entry!, max: 4 * S }], panes: { 0: groups } })
    await closeTo(10)
  })

  test('is revised in bounded steps, and takes nothing in meanwhile', async () => {
    const before = (await it.closedRows()).length
    expect(await record(2 * S, 'g7')).toEqual(['ok'])
    // What took long to write out is not due at once.
    await it.advance({ ...still, budget: 10 })
    for (const end of await it.redis.zrange(it.keys.revise, '0', '-1')) {
      await it.redis.zadd(it.keys.revise, 1, end)
    }
    let step = await it.advance({ ...still, budget: 100 })
    expect(await it.redis.hget(it.keys.clock, 'closingKind')).toBe('revise')
    expect(await record(2 * S, 'g8')).toEqual(['closing'])
    let rows = (await it.closedRows()).length
    for (; step.more; step = await it.advance({ ...still, budget: 100 })) {
      const now = (await it.closedRows()).length
      // A page of HSCAN is some hundred groups.
      expect(now - rows).toBeLessThanOrEqual(400)
      rows = now
    }
    const again = (await it.closedRows()).slice(before)
    for (const start of [-5 * S, 0]) {
      const mine = again.filter((row) => row.start === start)
      expect(mine).toHaveLength(3_000)
      const changed = mine.filter(({ slots }) => slots[0] !== 1)
      expect(changed.map(({ group, slots }) => [group, slots[0]])).toEqual([['g7', 2]])
    }
  })
})

test('any records in any order come out in the newest telling of each window that was not final', async () => {
  const shapes = fc.constantFrom(
    [10, 5, 7, 0],
    [5, 5, 1, 0],
    [20, 5, 30, 1],
    [15, 5, 0, 1],
    [10, 5, 1_000, 0],
  )
  const steps = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(fc.integer({ min: -40, max: 80 }), fc.constantFrom('a', 'b')),
      },
      { weight: 2, arbitrary: fc.integer({ min: -40, max: 80 }) },
    ),
    { minLength: 1, maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(shapes, steps, async ([size, slide, lateness, updates], script) => {
      await it.end()
      const shape = { windowSizeMs: size * S, windowSlideMs: slide * S }
      await open({ ...shape, allowedLatenessMs: lateness * S, updatesMs: updates })
      const field = lateness > 0 ? 'finalTo' : 'closedTo'
      const expected = new Map<string, number>()
      for (const step of [...script, 2_000]) {
        if (typeof step === 'number') {
          await it.redis.hset(it.keys.clock, 'watermark', Math.max(step * S, await watermark()))
          while ((await it.advance({ ...still, budget: 1 })).more);
          continue
        }
        const [time, group] = step
        const pane = paneStart(shape, time * S)
        const finalTo = (await bound(field)) ?? -Infinity
        if (pane + size * S <= finalTo) continue
        expect(await record(time * S, group, field)).toEqual(['ok'])
        for (const start of windowsOfPane(shape, pane)) {
          if (start + size * S <= finalTo) continue
          const name = `${start / S}|${group}`
          expected.set(name, (expected.get(name) ?? 0) + 1)
        }
      }
      const newest = new Map<number, Record<string, number>>()
      const revisions = new Map<number, number>()
      for (const { start, revision, state, rows } of await it.tellings()) {
        expect(revision).toBe((revisions.get(start) ?? -1) + 1)
        revisions.set(start, revision)
        if (state !== 'open') newest.set(start, rows)
      }
      const found = [...newest].flatMap(([start, rows]) =>
        Object.entries(rows).map(([group, n]): [string, number] => [`${start / S}|${group}`, n]),
      )
      expect(new Map(found)).toEqual(expected)
      const windows = new Set([...expected.keys()].map((name) => name.split('|')[0]))
      expect(Number(await it.redis.hget(it.keys.clock, 'closedWindows'))).toBe(windows.size)
      expect(await left()).toEqual([])
    }),
    { numRuns: 40, endOnFailure: true },
  )
}, 60_000)

const watermark = async () =>
  Number((await it.redis.hget(it.keys.clock, 'watermark')) ?? -(10 ** 9))
