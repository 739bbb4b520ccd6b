/**
 * Sessions through folding, commits and closing, in a Redis in memory: whatever is committed when, they
 * are what the verification makes of the records' times and the verdicts.
 */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { count, defineJob, last, quantiles, sum } from 'millrace'
import * as v from 'valibot'
import { systemClock } from '../../../actors/clock.ts'
import { Batch, commitArguments } from '../../../actors/executor/batch.ts'
import { type Entry, Inbox } from '../../../actors/executor/inbox.ts'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { moreLate } from '../../../actors/executor/sessions.ts'
import type { Job } from '../../../actors/job.ts'
import { keysOf } from '../../../actors/keys.ts'
import { readClosedWindows, readOpenWindows, type WindowRow } from '../../../actors/windows/read.ts'
import { shapeArguments } from '../../../actors/windows/span.ts'
import { memoryStore } from '../../../testing/memory.ts'
import { recordBatch } from '../../../testing/record-batch.ts'
import { Expected } from '../../../verify/expected.ts'

const NOW = 1_000_000_000
type Given = { at: number; who: string; spent: number }

const jobOf = (window: { gap: number; max?: number }, watermarkDelay: number): Job =>
  defineJob({
    name: 'visits',
    topic: 'clicks',
    schema: v.object({ at: v.number(), who: v.string(), spent: v.number() }),
    eventTime: (row) => NOW + row.at,
    watermarkDelay,
    window,
    groupBy: ['who'],
    aggregates: {
      clicks: count(),
      spent: sum('spent'),
      q: quantiles('spent', [0.5]),
      at: last('at'),
    },
  })

/** A shard of a job, its executors and its supervisor, all in hand. */
class Hand {
  readonly store = memoryStore(() => NOW + 1_000_000)
  readonly keys = keysOf('visits')
  readonly #inbox = new Inbox(this.store, this.store, this.keys, 'e', 'records')
  #end = 0
  #closedTo: number | null = null

  constructor(readonly job: Job) {}

  /** An entry for each list of records, all of one partition. */
  async append(entries: readonly (readonly Given[])[]): Promise<Entry[]> {
    await this.#call('open', ['test', 'test', 0, 0, 0])
    await this.#inbox.open()
    for (const records of entries) {
      const from = this.#end
      const payload = Buffer.concat(records.map((value, i) => bytesOf(value, from + i)))
      this.#end += records.length
      await this.#call('append', [
        0,
        from,
        this.#end,
        this.#end,
        1,
        from,
        this.#end,
        records.length,
        payload,
      ])
    }
    const { entries: read } = await this.#inbox.read(1_000, 1)
    return this.#inbox.filled(read)
  }

  async commit(entries: readonly Entry[]): Promise<void> {
    // No batch is full because the machine was busy: an entry's second slice needs another commit.
    const clock = { ...systemClock, now: () => NOW + 1_000_000, elapsed: () => 0 }
    const context = { job: this.job, clock, mark: () => Promise.resolve() }
    const full = new Map()
    let late: ReturnType<typeof moreLate> = new Map()
    let batch = new Batch(context, { closedTo: this.#closedTo, full })
    for (const entry of entries) {
      const cursor = new RecordCursor(entry.payload, entry.cursor, entry.to)
      while (!(await batch.take(entry, cursor, () => false)).done);
    }
    for (;;) {
      const args = commitArguments(batch, 'e', this.job)
      const [outcome, ...details] = (await this.#call('commit', args)) as [string, ...string[]]
      if (outcome === 'ok') return
      if (outcome === 'closed') this.#closedTo = details[0] === '' ? null : Number(details[0])
      else if (outcome === 'late') late = moreLate(late, details)
      else throw new Error(`a commit was answered with ${outcome}`)
      batch = await batch.again({ closedTo: this.#closedTo, full, late }, new WeakSet())
    }
  }

  /** One step of closing; whether there is more. */
  async advance(budget: number): Promise<boolean> {
    const { ops, watermarkDelayMs } = this.job
    const args = [
      ops,
      ...shapeArguments(this.job),
      watermarkDelayMs,
      30_000,
      budget,
      1_000,
      1e9,
      1_000,
    ]
    return ((await this.#call('advance', args)) as [string, string, number])[2] === 1
  }

  async rows(): Promise<{ open: WindowRow[]; closed: WindowRow[] }> {
    const parts = [this.store, this.keys, this.job] as const
    return { open: await readOpenWindows(...parts), closed: await readClosedWindows(...parts) }
  }

  /** Offset → to where was closed, and whether the record is late. */
  async verdicts(): Promise<Map<number, { late: boolean; closedTo: number }>> {
    const found = new Map<number, { late: boolean; closedTo: number }>()
    const stream = await this.store.redis.call('XRANGE', this.keys.verdicts, '-', '+')
    for (const [, [, , , reason, , closedTo, , offsets]] of stream as [string, string[]][]) {
      for (const offset of offsets!.split(',')) {
        found.set(Number(offset), { late: reason === 'late', closedTo: Number(closedTo) })
      }
    }
    return found
  }

  async closedTo(): Promise<number> {
    return Number((await this.store.redis.hget(this.keys.clock, 'closedTo')) ?? -Infinity)
  }

  #call(name: 'open' | 'append' | 'commit' | 'advance', args: (string | number | Buffer)[]) {
    return this.store.call(name, this.keys.base, args)
  }
}

function bytesOf(value: Given, offset: number): Buffer {
  const bytes = Buffer.from(JSON.stringify(value))
  return recordBatch({ offset, timestamp: NOW, key: null, headers: {}, value: bytes })
}

/** What the verification says of the same records. */
async function recomputed(hand: Hand, records: readonly Given[]) {
  const expected = new Expected(hand.job)
  const verdicts = await hand.verdicts()
  const meta = {} as Parameters<Expected['readValues']>[1]
  records.forEach((record, offset) => {
    const { late = false, closedTo } = verdicts.get(offset) ?? {}
    if (late) return
    expected.readValues(record, meta)
    const place = [NOW + record.at, 0, offset, 0] as const
    expected.add(0, expected.groupOf(record, meta)!, place, closedTo)
  })
  const closedTo = await hand.closedTo()
  const plain = (state: 'open' | 'closed', from: number, to: number) =>
    expected
      .sessions(from, to)
      .map(({ start, end, key, values }) => ({ start, end, state, key, values }))
      .sort(latestFirst) as WindowRow[]
  return { open: plain('open', closedTo, Infinity), closed: plain('closed', -Infinity, closedTo) }
}

const latestFirst = (a: { end: number; key: object }, b: { end: number; key: object }) =>
  b.end - a.end || JSON.stringify(b.key).localeCompare(JSON.stringify(a.key))

const click = (at: number, who = 'a', spent = 1): Given => ({ at, who, spent })
const brief = (rows: WindowRow[]) =>
  rows.map(({ start, end, key, values }) => [key.who, start - NOW, end - NOW, values.clicks])

const play = fc.record({
  records: fc.array(
    fc.record({
      at: fc.integer({ min: 0, max: 400 }),
      who: fc.constantFrom('a', 'b'),
      spent: fc.integer({ min: 0, max: 9 }),
    }),
    { minLength: 1, maxLength: 40 },
  ),
  /** Where entries begin, in which order they are committed, how many together. */
  cuts: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 40, maxLength: 40 }),
  order: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
  together: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 40, maxLength: 40 }),
  /** Steps of closing after each commit; groups of a step. */
  steps: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 40, maxLength: 40 }),
  gap: fc.integer({ min: 1, max: 60 }),
  max: fc.option(fc.integer({ min: 60, max: 200 }), { nil: undefined }),
  delay: fc.integer({ min: 0, max: 300 }),
  ascending: fc.boolean(),
})

function pieces<T>(list: readonly T[], sizes: readonly number[]): T[][] {
  const found: T[][] = []
  for (let at = 0, i = 0; at < list.length; at += sizes[i++]!)
    found.push(list.slice(at, at + sizes[i]!))
  return found
}

describe('sessions', () => {
  test('do not depend on how records are cut into commits, nor on their order', async () => {
    await fc.assert(
      fc.asyncProperty(play, async (given) => {
        const { gap, max, delay, cuts, order, together, steps, ascending } = given
        const records = ascending
          ? given.records.toSorted((a, b) => a.at - b.at || a.spent - b.spent)
          : given.records
        const hand = new Hand(jobOf({ gap, ...(max && { max }) }, delay))
        const entries = await hand.append(pieces(records, cuts))
        const shuffled = entries
          .map((entry, i) => ({ entry, rank: order[i]! }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ entry }) => entry)
        for (const [i, some] of pieces(shuffled, together).entries()) {
          await hand.commit(some)
          for (let step = 0; step < steps[i]!; step++) await hand.advance(1)
        }
        while (await hand.advance(3));
        expect(await hand.rows()).toEqual(await recomputed(hand, records))
      }),
      { numRuns: 150 },
    )
  }, 60_000)

  /*                 closed to 100, one group a step
   *   a  0···30      |   written
   *   b     10···40  |   not yet
   *   b        35    |   within b's session, which is closed: late, whether it is written or not
   */
  test('are closed all at once, though they are written in steps', async () => {
    const hand = new Hand(jobOf({ gap: 30 }, 0))
    const [first, second] = await hand.append([
      [click(0), click(10, 'b'), click(100, 'c')],
      [click(35, 'b')],
    ])
    await hand.commit([first!])
    expect(await hand.advance(1)).toBe(true)
    expect(brief((await hand.rows()).closed)).toEqual([['a', 0, 30, 1]])
    expect(brief((await hand.rows()).open)).toEqual([['c', 100, 130, 1]])
    await hand.commit([second!])
    expect(await hand.verdicts()).toEqual(new Map([[3, { late: true, closedTo: NOW + 100 }]]))
    while (await hand.advance(1));
    expect(brief((await hand.rows()).closed)).toEqual([
      ['b', 10, 40, 1],
      ['a', 0, 30, 1],
    ])
  })

  /*      0    20   40   60   80  :100
   *      x----x----x----x----x···|···      open, because of the record at 80
   *             x                          its own would end at 55, but it lies in one that is open
   */
  test('take a record that is behind, as long as the one that it lies in is open', async () => {
    const hand = new Hand(jobOf({ gap: 30 }, 0))
    const whole = [0, 20, 40, 60, 80].map((at) => click(at))
    const [first, second] = await hand.append([[...whole, click(100, 'c')], [click(25)]])
    await hand.commit([first!])
    while (await hand.advance(9));
    await hand.commit([second!])
    expect(brief((await hand.rows()).open)).toEqual([
      ['c', 100, 130, 1],
      ['a', 0, 110, 6],
    ])
  })

  test('are read a page at a time, the latest end first', async () => {
    const hand = new Hand(jobOf({ gap: 10 }, 0))
    const some = ['a', 'b', 'c'].flatMap((who) => [0, 20, 40].map((at) => click(at, who)))
    const [entry] = await hand.append([[...some, click(1_000, 'z')]])
    await hand.commit([entry!])
    while (await hand.advance(2));
    const all = (await hand.rows()).closed
    expect(all.map(({ start, key }) => `${String(key.who)}${start - NOW}`)).toEqual(
      'c40 b40 a40 c20 b20 a20 c0 b0 a0'.split(' '),
    )
    const paged: WindowRow[] = []
    for (let more = true; more; ) {
      const end = paged.at(-1)
      const before = end && { start: end.end, group: JSON.stringify([end.key.who]) }
      const page = await readClosedWindows(hand.store, hand.keys, hand.job, { limit: 2, before })
      paged.push(...page)
      more = page.length > 0
    }
    expect(paged).toEqual(all)
    const query = { from: NOW + 20, to: NOW + 40, where: { who: 'b' } }
    expect(brief(await readClosedWindows(hand.store, hand.keys, hand.job, query))).toEqual([
      ['b', 20, 30, 1],
    ])
  })
})
