/**
 * The page in a real browser: it shows what is in Redis, follows it, says when it is stale, and what
 * users wrote stays text.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { systemClock } from '../../actors/clock.ts'
import { recordDecision, recordEffect } from '../../supervisor/decisions.ts'
import { until } from '../../faults/until.ts'
import type { Web } from '../web/setup.ts'
import { type Opened, openPage, type Problems, program, shownBy, timeoutMs } from './browser.ts'

const hostile = [
  '<img src=x onerror="window.hacked=1">',
  '<script>window.hacked=1</script>',
  '"><svg onload=window.hacked=1>',
  '__proto__',
]

describe.skipIf(!program)('the page', () => {
  let opened: Opened
  let web: Web
  let page: Page
  let problems: Problems
  let shows: ReturnType<typeof shownBy>['shows']
  let text: ReturnType<typeof shownBy>['text']
  const now = systemClock.now()
  const record = (who: string, loc = 1, at = now) => ({ at, group: [who, 'on'], fields: { loc } })

  beforeAll(async () => {
    opened = await openPage('page')
    ;({ web, page, problems } = opened)
    ;({ shows, text } = shownBy(page))
  }, timeoutMs)

  afterAll(() => opened?.end(), timeoutMs)

  test(
    'says what to do while there are no records',
    async () => {
      await shows('#state', 'stopped')
      expect(await page.locator('#empty').isVisible()).toBe(true)
      expect(await text('#empty')).toContain('bun run producer')
      await shows('#watermark', '–')
    },
    timeoutMs,
  )

  test(
    'shows the numbers that are in Redis',
    async () => {
      const { store, keys } = web.seeded
      await store.call('lead', keys.base, ['leader', 's1', 60_000])
      await store.redis.hset(keys.control, { min: '0', max: '4', policy: 'backlog' })
      await web.seeded.records([...hostile.map((who) => record(who, 3)), record('Ada', 2.5)])
      await web.seeded.waiting(1_234)
      await store.call('seen', keys.base, [0, 1_239 + 77])
      await web.seeded.actor({
        id: 'executor-7',
        kind: 'executor',
        busy: 0.5,
        records: 5,
        pid: 4711,
      })
      const reason = '<b onclick="window.hacked=1">killed</b>'
      await web.seeded.actor({ id: 'executor-6', kind: 'executor', state: 'dead', reason }, 1)
      const id = await recordDecision(store, keys, {
        at: now,
        from: 0,
        to: 1,
        reason: 'wake',
        inputs: {},
        sentence: 'something waits and nothing runs: one executor',
      })
      await shows('#state', 'running')
      await shows('#kafkaLag', '77')
      await shows('#backlog', '1,234')
      await shows('#executors', '1')
      await shows('#limits', 'of 0 to 4')
      await shows('#fleetDetail', 'policy backlog')
      await shows('#appended', '1,239')
      await shows('#counted', '5')
      await shows('#waiting', '1,234')
      await shows('#unaccounted', '0')
      await shows('#decisions', /0 → 1.*wake.*something waits and nothing runs: one executor/s)
      await recordEffect(store, keys, { id, direction: 'out', ms: 420 })
      await shows('#decisions', /one executor In effect after 420 ms/s)
      expect(await page.locator('#decisions li').count()).toBe(1)
      await shows('#executorsTable tbody', /executor-7.*running.*4711.*50 %/s)
      await shows('#executorsTable tbody', /executor-6.*dead.*<b onclick/s)
      await shows('#windowsTable thead', /who.*state.*total.*mean.*events/s)
      expect(await page.locator('#empty').isVisible()).toBe(false)
      expect(await page.locator('.chart canvas').count()).toBe(4)
      expect(await page.locator('#slots .slot').count()).toBe(4)
      const label = () => page.locator('.chart').first().getAttribute('aria-label')
      await until("the chart's label", async () => (await label())?.includes('backlog 1,234'))
    },
    timeoutMs,
  )

  test(
    'shows what executors cost, against a fleet that never scales',
    async () => {
      const { store, keys } = web.seeded
      const hours = { elapsedMs: 3_600_000, usedMs: 4_500_000, staticMs: 14_400_000 }
      await store.redis.hset(keys.cost, { since: now, ...hours, pricePerHour: 0.05 })
      await shows('#used', '1 h 15 min, 0.063')
      await shows('#static', '4 h 0 min, 0.2')
      await shows('#saved', '69 %')
      await shows('#money', /At 0.05 an executor-hour: 0.14 saved/)
    },
    timeoutMs,
  )

  test(
    'shows why records were not counted, with samples',
    async () => {
      const { store, keys } = web.seeded
      const value = '<img src=x onerror="window.hacked=1">'
      await store.redis.hincrby(keys.totals, 'reason:json', 1)
      await store.redis.hincrby(keys.totals, 'rejected', 1)
      const fields = [
        'topic',
        'records',
        'p',
        '3',
        'o',
        '77',
        'reason',
        'json',
        'message',
        'no JSON',
      ]
      await store.redis.xadd(keys.rejects, '*', ...fields, 'value', value)
      await shows('#reasons', /json.*1/s)
      await shows('#rejectsTable tbody', /now.*json.*3.*77.*no JSON.*<img src=x/s)
      expect(await page.locator('#noRejects').isVisible()).toBe(false)
      await store.redis.hincrby(keys.totals, 'rejected', -1)
    },
    timeoutMs,
  )

  test(
    'keeps what users wrote as text',
    async () => {
      await page.getByRole('button', { name: 'Live', exact: true }).click()
      const cells = page.locator('#windowsTable tbody td')
      await until('live rows', async () => (await cells.count()) > 0)
      const texts = await cells.allTextContents()
      for (const value of hostile) expect(texts).toContain(value)
      const inside = 'img[src=x], svg[onload], b[onclick], td script'
      expect(await page.locator(inside).count()).toBe(0)
      expect(await page.evaluate(() => 'hacked' in window)).toBe(false)
    },
    timeoutMs,
  )

  test(
    'follows windows from live to closed',
    async () => {
      const rowOf = async () => {
        const rows = await page.locator('#windowsTable tbody tr').allTextContents()
        return rows.find((row) => row.includes('Ada')) ?? ''
      }
      // The entry that nobody took would be the next one to be committed.
      await web.seeded.store.redis.xtrim(web.seeded.keys.entries, 'MAXLEN', 0)
      await web.seeded.records([record('Ada', 7)])
      await until('the new sum', async () => (await rowOf()).includes('9.5'))
      await web.seeded.closeTo(now + 60_000)
      await until('no live rows', async () => (await rowOf()) === '')
      await page.getByRole('button', { name: 'Closed', exact: true }).click()
      await until('closed rows', async () => (await rowOf()).includes('9.5'))
      await shows('#shownWindow', /closed, 5 groups/)
      await page.getByRole('button', { name: 'This window' }).click()
    },
    timeoutMs,
  )

  test('reported no error, asked nobody else, and broke no policy', () => {
    expect(problems.found).toEqual([])
  })

  test(
    'marks what is stale, and comes back by itself',
    async () => {
      const port = opened.server.port!
      await opened.server.stop(true)
      await shows('#state', 'stale')
      expect(await text('#freshness')).toContain('ago')
      expect(await text('#notice')).toContain('connection')
      opened.server = Bun.serve({ hostname: '127.0.0.1', port, fetch: web.app.fetch })
      await shows('#state', 'running')
      await shows('#freshness', 'live')
      expect(await page.locator('#notice').isVisible()).toBe(false)
    },
    timeoutMs,
  )
})
