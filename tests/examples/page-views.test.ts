import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import job from '../../examples/page-views.ts'

const view = (second: number, fields: object) => ({
  at: new Date(Date.parse('2025-06-02T09:00:00Z') + second * 1_000).toISOString(),
  site: 'shop',
  path: '/',
  visitor: 'ada',
  status: 200,
  ms: 20,
  ...fields,
})

//  9:00:00        9:01:00        9:02:00
//  |··5·9··30··50·|··1··········|
test('a row a minute and site: views, visitors, pages without their queries', async () => {
  const it = testJob(job)
  await it.feedAll([
    view(5, { path: '/p/7' }),
    view(9, { path: '/p/7?from=mail', ms: 80 }),
    view(30, { path: '/cart', visitor: 'bob' }),
    view(50, { site: 'docs' }),
    view(61, {}),
  ])
  const rows = await it.windows()
  expect(rows).toHaveLength(3)
  const [first] = rows.filter(({ key }) => key.site === 'shop')
  expect(first!.end - first!.start).toBe(60_000)
  expect(first!.values).toMatchObject({ views: 3, visitors: 2 })
  expect(first!.values.pages).toEqual([
    { value: '/p/7', count: 2, error: 0 },
    { value: '/cart', count: 1, error: 0 },
  ])
  const { p50, p99 } = first!.values.ms as { p50: number; p99: number }
  expect(Math.abs(p50 - 20)).toBeLessThan(20 * 0.0078)
  expect(Math.abs(p99 - 80)).toBeLessThan(80 * 0.0078)
})

test('what is no page is filtered, what is no view is rejected, what is too old is late', async () => {
  const it = testJob(job)
  await it.feedAll([
    view(100, {}),
    view(101, { status: 404 }),
    view(102, { ms: -1 }),
    view(71, { visitor: 'out of order' }),
    view(3, { visitor: 'after its minute was closed' }),
  ])
  expect(await it.totals()).toMatchObject({ counted: 2, filtered: 1, late: 1, rejected: 1 })
  expect(await it.rejects()).toMatchObject([{ offset: 2, reason: 'schema' }])
  expect(await it.windows()).toMatchObject([{ values: { views: 2, visitors: 2 } }])
})
