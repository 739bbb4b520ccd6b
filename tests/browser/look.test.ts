/**
 * How the page is to be used by everybody: widths, themes, keys, screen readers (axe's rules), and many
 * tabs at once.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import type { AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { systemClock } from '../../actors/clock.ts'
import { until } from '../../faults/until.ts'
import { recordDecision } from '../../supervisor/decisions.ts'
import { files } from '../../actors/sinks/files.ts'
import { openWeb, type Web } from '../web/setup.ts'
import { launch, Problems, program, shownBy, timeoutMs } from './browser.ts'

const axeSource = readFileSync(Bun.resolveSync('axe-core/axe.min.js', import.meta.dir), 'utf8')
const TABS = 10

describe.skipIf(!program)('the page, for everybody', () => {
  let browser: Browser
  let web: Web
  let server: ReturnType<typeof Bun.serve>
  const problems = new Problems()
  const now = systemClock.now()

  beforeAll(async () => {
    web = await openWeb('look', { tickMs: 200 }, { sinks: [files({ directory: 'windows' })] })
    const { store, keys } = web.seeded
    await store.call('lead', keys.base, ['leader', 's1', 60_000])
    await store.redis.hset(keys.control, { min: '0', max: '4', policy: 'backlog' })
    const group = (i: number) => ({
      at: now,
      group: [`course-${i}`, `a${i % 5}`],
      fields: { loc: i },
    })
    await web.seeded.records(Array.from({ length: 50 }, (_, i) => group(i)))
    await web.seeded.actor({ id: 'executor-1', kind: 'executor', busy: 0.5, pid: 4_711 })
    await web.seeded.actor(
      { id: 'executor-0', kind: 'executor', state: 'dead', reason: 'killed' },
      1,
    )
    await recordDecision(store, keys, {
      at: now,
      from: 0,
      to: 1,
      reason: 'wake',
      inputs: {},
      sentence: 'something waits',
    })
    await store.redis.hset(keys.totals, {
      rejected: 1,
      committed: 51,
      appended: 51,
      'reason:json': 1,
    })
    const fields = ['topic', 'records', 'p', '0', 'o', '7', 'reason', 'json', 'message', 'no']
    await store.redis.xadd(keys.rejects, '*', ...fields, 'value', '{'.repeat(900))
    server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: web.app.fetch })
    browser = await launch()
  }, timeoutMs)

  afterAll(async () => {
    await browser?.close()
    await server?.stop(true)
    await web?.end()
  }, timeoutMs)

  async function open(width: number, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme })
    problems.watch(page, server.url.href)
    await page.goto(server.url.href)
    const { shows } = shownBy(page)
    await shows('#state', 'running')
    await shows('#reasons', /json/)
    await until('a heat map', async () => (await page.locator('#heat tbody tr').count()) > 0)
    return page
  }

  test.each([1_440, 1_024, 768, 390, 320])(
    'fits %d px without scrolling sideways',
    async (width) => {
      const page = await open(width)
      // Charts follow a change of size a frame later.
      await until('nothing to be wider than the page', async () => {
        const wide = await tooWide(page)
        return wide.length === 0 || Promise.reject(new Error(wide.join(', ')))
      })
      await page.close()
    },
    timeoutMs,
  )

  test.each(['light', 'dark'] as const)(
    "axe finds nothing serious in the %s theme, the dialog's neither",
    async (theme) => {
      const page = await open(1_280, theme)
      await page.evaluate(axeSource)
      expect(await serious(page)).toEqual([])
      await page.getByRole('button', { name: 'Control' }).click()
      expect(await page.locator('#control').isVisible()).toBe(true)
      expect(await serious(page)).toEqual([])
      await page.close()
    },
    timeoutMs,
  )

  test(
    'the theme is chosen by a button, and is still so after a reload',
    async () => {
      const page = await open(1_280)
      const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      const light = await background()
      const button = page.locator('#theme')
      await button.click()
      expect(await background()).toBe(light)
      await button.click()
      const dark = await background()
      expect(dark).not.toBe(light)
      await page.reload()
      expect(await background()).toBe(dark)
      expect(await button.getAttribute('aria-label')).toBe('Theme: dark. Change to system')
      await page.close()
    },
    timeoutMs,
  )

  test(
    'keys lead to the numbers, along a chart, and out of the dialog',
    async () => {
      const page = await open(1_280)
      await page.keyboard.press('Tab')
      expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Skip')
      await page.keyboard.press('Enter')
      await page.locator('.chart').nth(1).focus()
      await page.keyboard.press('ArrowLeft')
      await shownBy(page).shows('#tip', /at work.*1/s)
      await page.locator('#openControl').focus()
      await page.keyboard.press('Enter')
      expect(await page.locator('#control').isVisible()).toBe(true)
      await page.keyboard.press('Escape')
      expect(await page.locator('#control').isVisible()).toBe(false)
      await page.close()
    },
    timeoutMs,
  )

  test(
    'the sinks of a job are told of, where it has any',
    async () => {
      const page = await open(1_280)
      await shownBy(page).shows('#sinksTable tbody', /files.*absent/s)
      await page.close()
    },
    timeoutMs,
  )

  test(
    `${TABS} tabs are all live, by one connection`,
    async () => {
      const context = await browser.newContext()
      const pages = await Promise.all(Array.from({ length: TABS }, () => context.newPage()))
      for (const page of pages) {
        problems.watch(page, server.url.href)
        await page.goto(server.url.href)
      }
      for (const page of pages) await shownBy(page).shows('#state', 'running')
      await until('one connection', () => web.feed.size === 1)
      await web.seeded.waiting(4_321)
      for (const page of pages) await shownBy(page).shows('#backlog', '4,321')
      await Promise.all(pages.slice(1).map((page) => page.close()))
      await web.seeded.waiting(1)
      await shownBy(pages[0]!).shows('#backlog', '4,322')
      await context.close()
      await until('nobody to listen', () => web.feed.size === 0)
    },
    timeoutMs,
  )

  test('reported no error, asked nobody else, and broke no policy', () => {
    expect(problems.found).toEqual([])
  })
})

/** What makes the page scroll sideways: elements that reach beyond it and do not scroll by themselves. */
function tooWide(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth <= width) return []
    const all = [...document.querySelectorAll('body *')]
    const wide = all.filter((one) => one.getBoundingClientRect().right > width + 0.5)
    return wide.filter((one) => !one.closest('.scroll')).map((one) => `${one.tagName}#${one.id}`)
  })
}

/** Findings that keep somebody out, as one line each. */
async function serious(page: Page): Promise<string[]> {
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  )
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    )
}
