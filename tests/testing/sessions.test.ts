import { describe, expect, test } from 'bun:test'
import { defineJob, type Duration } from 'millrace'
import { testJob } from 'millrace/testing'
import * as v from 'valibot'

const S = 1_000
const NOW = 100_000 * S

const declared = {
  name: 'visits',
  topic: 'clicks',
  schema: v.object({ at: v.number(), who: v.string() }),
  eventTime: (click: { at: number }) => click.at,
  groupBy: ['who'],
} as const

const job = (watermarkDelay: Duration = '20 s', max?: Duration) =>
  defineJob({
    ...declared,
    watermarkDelay,
    window: { gap: '30 s', ...(max && { max }) },
    aggregates: ({ count, last }) => ({ clicks: count(), newest: last('at') }),
  })

const click = (second: number, who = 'a') => ({ at: NOW + second * S, who })

/** Rows as [who, first second, end, clicks]. */
async function sessions(it: ReturnType<typeof testJob>, state: 'open' | 'closed') {
  const rows = await it.windows(state)
  return rows.map(({ start, end, key, values }) => [
    key.who,
    (start - NOW) / S,
    (end - NOW) / S,
    values.clicks,
  ])
}

describe('sessions of a job', () => {
  /*      0    10   20   30   40   50   60   70   80
   *   a  x----x---------x··············|                 3 clicks, up to 30 + 30
   *   b       x··············|         x··············|  30 s apart are two
   */
  test('are records of a group that are less than the gap apart', async () => {
    const it = testJob(job('5 minutes'), { now: NOW + 500 * S })
    await it.feedAll([click(0), click(10), click(30), click(10, 'b'), click(40, 'b')])
    expect(await sessions(it, 'open')).toEqual([
      ['a', 0, 60, 3],
      ['b', 10, 40, 1],
      ['b', 40, 70, 1],
    ])
  })

  /*      0         30        60
   *      x··············|         first two sessions
   *                x··············|
   *            x                  then one
   */
  test('become one when a record comes between them', async () => {
    const it = testJob(job('5 minutes'), { now: NOW + 500 * S })
    await it.feedAll([click(0), click(35), click(70)])
    expect(await sessions(it, 'open')).toHaveLength(3)
    await it.feed(click(60))
    expect(await sessions(it, 'open')).toEqual([
      ['a', 0, 30, 1],
      ['a', 35, 100, 3],
    ])
  })

  /*      0    30   60   90 : 100          130
   *      x----x----x----x··|              cut at 100, though the next is 15 s later
   *                        |   x··············|
   */
  test('are cut at multiples of max, whatever came first', async () => {
    const it = testJob(job('5 minutes', '100 s'), { now: NOW + 500 * S })
    await it.feedAll([click(105), click(25), click(0), click(50), click(90), click(75)])
    expect(await sessions(it, 'open')).toEqual([
      ['a', 0, 100, 5],
      ['a', 105, 135, 1],
    ])
  })

  /*                       watermark 80 = 100 - 20
   *      0         30         |
   *   a  x---------x·········|:                  closed
   *   a                       :x                 another one, though 25 s after 60 would be one
   */
  test('close when the watermark is a gap behind them; what comes too late is late', async () => {
    const it = testJob(job(), { now: NOW + 500 * S })
    await it.feedAll([click(0), click(25), click(100, 'b')])
    expect(await it.watermark()).toBe(NOW + 80 * S)
    expect(await sessions(it, 'closed')).toEqual([['a', 0, 55, 2]])
    // Its own session would end at 70, and it touches no other.
    await it.feed(click(40))
    // It is near the closed one, but its own is open; and so its neighbour comes in time for it.
    await it.feed(click(54))
    await it.feed(click(45))
    expect(await sessions(it, 'open')).toEqual([
      ['a', 45, 84, 2],
      ['b', 100, 130, 1],
    ])
    expect(await it.totals()).toEqual({ counted: 5, filtered: 0, late: 1, rejected: 0, partly: 2 })
    expect(await it.late()).toMatchObject([{ offset: 3 }])
    await it.advance('3 minutes')
    expect(await sessions(it, 'open')).toEqual([])
    expect(await sessions(it, 'closed')).toHaveLength(3)
  })

  test('of one group are bounded in number', async () => {
    // The watermark stands still, because another partition has brought nothing.
    const held = testJob(job(), { now: NOW + 50_000 * S, partitions: 2 })
    for (let i = 0; i <= 100; i++) await held.feed(click(i * 40))
    expect(await held.windows('open')).toHaveLength(100)
    expect(await held.rejects()).toMatchObject([{ offset: 100, reason: 'groups' }])
  })
})
