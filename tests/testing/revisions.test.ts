import { describe, expect, test } from 'bun:test'
import { defineJob, type Duration } from 'millrace'
import { consoleSink } from 'millrace/sinks/console'
import { testJob } from 'millrace/testing'
import * as v from 'valibot'

const S = 1_000
const NOW = 100_000 * S

const job = (more: { allowedLateness?: Duration; updates?: Duration }) =>
  defineJob({
    name: 'visits',
    topic: 'clicks',
    schema: v.object({ at: v.number(), who: v.string() }),
    eventTime: (click) => click.at,
    groupBy: ['who'],
    watermarkDelay: '5 s',
    window: { size: '10 s' },
    aggregates: ({ count }) => ({ clicks: count() }),
    ...more,
    ...(more.updates && { sinks: [consoleSink({ updates: true })] }),
  })

const click = (second: number, who = 'a') => ({ at: NOW + second * S, who })

/** Tellings as [first second, revision, state, who, clicks]. */
async function told(it: ReturnType<typeof testJob>) {
  const rows = await it.tellings()
  return rows.map(({ start, revision, state, final, key, values }) => [
    (start - NOW) / S,
    revision,
    final ? 'final' : state,
    key.who,
    values.clicks,
  ])
}

describe('allowed lateness', () => {
  /*      0         10        20        30        40
   *      |a--------|·· 15: closes [0, 10)
   *         late b                  35: [0, 10) is final
   */
  test('lets late records into closed windows, and tells these again', async () => {
    const it = testJob(job({ allowedLateness: '20 s' }), { now: NOW + 500 * S })
    await it.feedAll([click(1), click(15)])
    expect(await told(it)).toEqual([[0, 0, 'closed', 'a', 1]])
    await it.feed(click(2, 'b'))
    expect(await told(it)).toEqual([
      [0, 0, 'closed', 'a', 1],
      [0, 1, 'closed', 'a', 1],
      [0, 1, 'closed', 'b', 1],
    ])
    expect(await it.windows('closed')).toMatchObject([
      { start: NOW, revision: 1, key: { who: 'a' } },
      { start: NOW, revision: 1, key: { who: 'b' } },
    ])
    expect(await it.late()).toEqual([])
    expect(await it.totals()).toMatchObject({ counted: 3, late: 0, partly: 0 })
  })

  test('tells what comes within a second together, and the rest when the window is final', async () => {
    const it = testJob(job({ allowedLateness: '20 s' }), { now: NOW + 500 * S })
    await it.feedAll([click(1), click(15), click(2), click(3), click(4)])
    expect((await told(it)).map(([, revision, , , clicks]) => [revision, clicks])).toEqual([
      [0, 1],
      [1, 2],
    ])
    await it.advance('1 s')
    await it.feed(click(5))
    expect((await told(it)).slice(2)).toEqual([[0, 2, 'closed', 'a', 4]])
    await it.feed(click(35))
    expect((await told(it)).slice(3)).toEqual([
      [0, 3, 'final', 'a', 5],
      [10, 0, 'closed', 'a', 1],
    ])
    await it.feed(click(6))
    expect(await it.late()).toMatchObject([{ reason: 'late' }])
  })

  test('a job without it tells each window once', async () => {
    const it = testJob(job({}), { now: NOW + 500 * S })
    await it.feedAll([click(1), click(15), click(2)])
    expect(await told(it)).toEqual([[0, 0, 'final', 'a', 1]])
    expect(await it.late()).toHaveLength(1)
    expect((await it.windows('closed'))[0]).not.toHaveProperty('revision')
  })
})

test('updates tell open windows that have changed, every so often', async () => {
  const it = testJob(job({ updates: '5 s' }), { now: NOW + 500 * S })
  await it.feedAll([click(1), click(2)])
  expect(await told(it)).toEqual([])
  await it.advance('5 s')
  await it.advance('5 s')
  expect(await told(it)).toEqual([[0, 0, 'open', 'a', 2]])
  await it.feed(click(3, 'b'))
  await it.advance('5 s')
  await it.feed(click(15))
  expect((await told(it)).slice(1)).toEqual([
    [0, 1, 'open', 'a', 2],
    [0, 1, 'open', 'b', 1],
    [0, 2, 'final', 'a', 2],
    [0, 2, 'final', 'b', 1],
  ])
  expect(await it.windows('closed')).toHaveLength(2)
})
