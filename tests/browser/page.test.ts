/**
 * The page in a real browser: it shows what is in Redis, follows it, says when it is stale, and what
 * users wrote stays text.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { systemClock } from '../../actors/clock.ts'
import { recordDecision, recordEffect } from '../../supervisor/decisions.ts'
import { until } from '../../faults/until.ts'
import { openWeb, type Web } from '../web/setup.ts'

const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const program = process.env.MILLRACE_TEST_BROWSER ?? programs.find((path) => existsSync(path))

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const hostile = [
  '<img src=x onerror="window.hacked=1">',
  '<script>window.hacked=1</script>',
  '"><svg onload=window.hacked=1>',
  '__proto__',
]

/** Half a minute, since the first start of a browser on a cold disk takes that long. */
const timeoutMs = 30_000

describe.skipIf(!program)('the page', () => {
  let browser: Browser
  let web: Web
  let server: ReturnType<typeof Bun.serve>
  let page: Page
  const problems: string[] = []
  const now = systemClock.now()
  const record = (who: string, loc = 1, at = now) => ({ at, group: [who, 'on'], fields: { loc } })

  beforeAll(async () => {
    web = await openWeb('page', { tickMs: 200 })
    server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: web.app.fetch })
    browser = await chromium.launch({ executablePath: program!, args: flags })
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url.href)) problems.push(`asked ${request.url()}`)
    })
    await page.goto(server.url.href)
  }, timeoutMs)

  afterAll(async () => {
    await browser?.close()
    await server?.stop(true)
    await web?.end()
  }, timeoutMs)

  const text = async (selector: string) => (await page.locator(selector).textContent()) ?? ''
  const shows = (selector: string, wanted: string | RegExp) =>
    until(`${selector} to show ${wanted}`, async () => {
      const shown = (await text(selector)).trim()
      return typeof wanted === 'string' ? shown === wanted : wanted.test(shown)
    })

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
      await shows('#limits', 'of 0 to 4, backlog')
      await shows('#appended', '1,239')
      await shows('#committed', '5')
      await shows('#unaccounted', '0')
      await shows('#decisions', /something waits and nothing runs: one executor.*wake/s)
      await recordEffect(store, keys, { id, direction: 'out', ms: 420 })
      await shows('#decisions', /one executor in effect after 420 ms.*wake/s)
      expect(await page.locator('#decisions li').count()).toBe(1)
      await shows('#executorsTable tbody', /executor-7.*running.*4711.*50 %/s)
      await shows('#executorsTable tbody', /executor-6.*dead.*<b onclick/s)
      await shows('#windowsTable thead', /who.*state.*total.*mean.*events/s)
      expect(await page.locator('#empty').isVisible()).toBe(false)
      expect(await page.locator('.chart canvas').count()).toBe(2)
    },
    timeoutMs,
  )

  test(
    'shows what executors cost, against a fleet that never scales',
    async () => {
      const { store, keys } = web.seeded
      const hours = { elapsedMs: 3_600_000, usedMs: 4_500_000, staticMs: 14_400_000 }
      await store.redis.hset(keys.cost, { since: now, ...hours, pricePerHour: 0.05 })
      await shows('#used', '1 h 15 min')
      await shows('#static', '4 h 0 min')
      await shows('#saved', '69 %, 0.14')
      await shows('#money', '0.063')
    },
    timeoutMs,
  )

  test(
    'keeps what users wrote as text',
    async () => {
      const cells = await page.locator('#windowsTable tbody td').allTextContents()
      for (const value of hostile) expect(cells).toContain(value)
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
      expect(await rowOf()).toContain('live')
      // The entry that nobody took would be the next one to be committed.
      await web.seeded.store.redis.xtrim(web.seeded.keys.entries, 'MAXLEN', 0)
      await web.seeded.records([record('Ada', 7)])
      await until('the new sum', async () => (await rowOf()).includes('9.5'))
      await web.seeded.closeTo(now + 60_000)
      await until('closed rows', async () => (await rowOf()).includes('closed'))
      await page.getByRole('button', { name: 'Live' }).click()
      await until('no live rows', async () => (await rowOf()) === '')
      await page.getByRole('button', { name: 'All' }).click()
    },
    timeoutMs,
  )

  test(
    'fits a phone without scrolling sideways',
    async () => {
      await page.setViewportSize({ width: 375, height: 700 })
      // Charts follow a change of size a frame later.
      const width = () => page.evaluate(() => document.documentElement.scrollWidth)
      await until('the page to be as narrow as the phone', async () => (await width()) <= 375)
      await page.setViewportSize({ width: 1280, height: 900 })
    },
    timeoutMs,
  )

  test('reported no error, asked nobody else, and broke no policy', () => {
    expect(problems).toEqual([])
  })

  test(
    'marks what is stale, and comes back by itself',
    async () => {
      const port = server.port!
      await server.stop(true)
      await shows('#state', 'stale')
      expect(await text('#freshness')).toContain('ago')
      expect(await text('#notice')).toContain('connection')
      server = Bun.serve({ hostname: '127.0.0.1', port, fetch: web.app.fetch })
      await shows('#state', 'running')
      await shows('#freshness', 'live')
      expect(await page.locator('#notice').isVisible()).toBe(false)
    },
    timeoutMs,
  )
})
