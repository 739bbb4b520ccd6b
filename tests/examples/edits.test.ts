import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import job from '../../examples/edits.ts'

const start = Date.parse('2025-06-02T09:00:00Z')
const change = (second: number, fields: object = {}) => ({
  meta: { dt: new Date(start + second * 1_000).toISOString(), domain: 'en.wikipedia.org' },
  type: 'edit',
  title: 'Mill race',
  user: 'Ada',
  bot: false,
  wiki: 'enwiki',
  length: { old: 100, new: 150 },
  comment: 'fields that the job does not name are let through',
  ...fields,
})

/** Of the window that begins at the start. */
const firstWindow = async (it: ReturnType<typeof testJob>) =>
  (await it.windows()).filter((row) => row.start === start)

test('bytes that are added and removed, editors, and the titles that are edited most', async () => {
  const it = testJob(job)
  await it.feedAll([
    change(1),
    change(2, { length: { old: 150, new: 120 }, user: 'Bob' }),
    change(3, { type: 'new', title: 'Tail race', length: { new: 400 } }),
    change(4, { wiki: 'dewiki', title: 'Mühlgraben' }),
  ])
  const rows = await firstWindow(it)
  expect(rows.map(({ key, values }) => [key.wiki, values])).toEqual([
    [
      'dewiki',
      {
        edits: 1,
        added: 50,
        removed: 0,
        editors: 1,
        titles: [{ value: 'Mühlgraben', count: 1, error: 0 }],
      },
    ],
    [
      'enwiki',
      {
        edits: 3,
        added: 450,
        removed: 30,
        editors: 2,
        titles: [
          { value: 'Mill race', count: 2, error: 0 },
          { value: 'Tail race', count: 1, error: 0 },
        ],
      },
    ],
  ])
})

test('bots, logs and categories are filtered, also where they have no length', async () => {
  const it = testJob(job)
  const { length: _, ...log } = change(2, { type: 'log' })
  await it.feedAll([change(1, { bot: true }), log, change(3, { type: 'categorize' })])
  expect(await it.totals()).toMatchObject({ counted: 0, filtered: 3, rejected: 0 })
})

test('a page that is new may say null for its old length', async () => {
  const it = testJob(job)
  await it.feed(change(1, { type: 'new', length: { old: null, new: 70 } }))
  expect(await firstWindow(it)).toMatchObject([{ values: { added: 70, removed: 0 } }])
})

test('an event without a time is rejected', async () => {
  const it = testJob(job)
  await it.feed(change(1, { meta: { domain: 'en.wikipedia.org' } }))
  expect(await it.rejects()).toMatchObject([{ reason: 'schema' }])
})
