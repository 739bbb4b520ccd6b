/** The page of all jobs in a real browser: it follows them, links to their pages, and forgets stopped ones. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { systemClock } from '../../actors/clock.ts'
import { shared } from '../../actors/keys.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { Registration, removeEntry } from '../../supervisor/entries.ts'
import { type Opened, openPage, program, shownBy, timeoutMs } from './browser.ts'

const axeSource = readFileSync(Bun.resolveSync('axe-core/axe.min.js', import.meta.dir), 'utf8')
const limits = { min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 }
const hostile = '<img src=x onerror="window.hacked=1">'

describe.skipIf(!program)('the page of all jobs', () => {
  let opened: Opened
  let page: Page
  let shows: ReturnType<typeof shownBy>['shows']
  const stopped = uniqueName('jobs-stopped')
  const wrong = uniqueName('jobs-wrong')

  beforeAll(async () => {
    opened = await openPage('jobs', {}, async ({ seeded }) => {
      const { store, keys, job } = seeded
      for (const name of [job.name, stopped]) {
        const topics = [name === stopped ? hostile : 'records']
        const about = { job: name, topics, host: hostile, page: `http://127.0.0.1:1/${name}` }
        await new Registration(store, systemClock, about).refresh(limits)
      }
      const entry = { topics: ['t'], since: 1, at: 1, host: 'h', page: 'javascript:alert(1)' }
      await store.redis.hset(shared.register, wrong, JSON.stringify({ ...entry, limits }))
      await store.call('lead', keys.base, ['leader', 's1', 60_000])
      await seeded.waiting(1_234)
    })
    ;({ page } = opened)
    ;({ shows } = shownBy(page))
  }, timeoutMs)

  afterAll(async () => {
    const { store, job } = opened.web.seeded
    for (const name of [job.name, stopped, wrong]) await removeEntry(store, name)
    await opened.end()
  }, timeoutMs)

  const row = (name: string) => page.locator('#jobsTable tbody tr', { hasText: name })
  const rowShows = (name: string, wanted: RegExp) =>
    until(`the row of ${name} to show ${wanted}`, async () => {
      const texts = await row(name).allTextContents()
      return texts.some((text) => wanted.test(text))
    })

  test(
    'is linked from the page of a job where there is more than one',
    async () => {
      const link = page.getByRole('link', { name: 'All jobs' })
      await until('the link', () => link.isVisible())
      await link.click()
      await until('the other page', () => page.url().endsWith('/jobs'))
      await shows('#state', 'live')
    },
    timeoutMs,
  )

  test(
    'and not where there is one',
    async () => {
      const other = await opened.browser.newPage()
      await other.route('**/api/job', async (route) => {
        const answer = await route.fetch()
        await route.fulfill({ json: { ...((await answer.json()) as object), jobs: 1 } })
      })
      await other.goto(opened.server.url.href)
      await until('the job', async () => (await other.title()).includes(' · '))
      expect(await other.locator('#allJobs').isVisible()).toBe(false)
      await other.close()
    },
    timeoutMs,
  )

  test(
    'shows each job, follows it, and links to its page',
    async () => {
      const { seeded } = opened.web
      const { name } = seeded.job
      await rowShows(name, /running.*1,234.*0 of 0 to 4/s)
      await rowShows(stopped, /stopped.*last seen.*Forget/s)
      const address = await row(name).getByRole('link').getAttribute('href')
      expect(address).toBe(`http://127.0.0.1:1/${name}`)
      await seeded.waiting(766)
      await rowShows(name, /2,000/)
      expect(await row(name).getByRole('button').count()).toBe(0)
    },
    timeoutMs,
  )

  test(
    'takes what others wrote as text, and no address that is none',
    async () => {
      await rowShows(stopped, /<img src=x onerror/)
      expect(await row(wrong).count()).toBe(0)
      expect(await page.locator('td img').count()).toBe(0)
      expect(await page.evaluate(() => 'hacked' in window)).toBe(false)
    },
    timeoutMs,
  )

  test(
    'fits a telephone, and axe finds nothing serious',
    async () => {
      await page.setViewportSize({ width: 390, height: 800 })
      const wide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
      await until('nothing to be wider than the page', async () => !(await wide()))
      await page.setViewportSize({ width: 1_280, height: 900 })
      await page.evaluate(axeSource)
      const found = await page.evaluate(() =>
        (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
      )
      const serious = found.violations.filter(({ impact }) => /serious|critical/.test(impact ?? ''))
      expect(serious.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([])
    },
    timeoutMs,
  )

  test(
    'forgets one that is stopped, when that is confirmed',
    async () => {
      await row(stopped)
        .getByRole('button', { name: `Forget ${stopped}` })
        .click()
      await shows('#forgetText', new RegExp(`^Forget ${stopped}\\?`))
      await page.getByRole('button', { name: 'Leave it' }).click()
      expect(await row(stopped).count()).toBe(1)
      await row(stopped).getByRole('button').click()
      await page.getByRole('button', { name: 'Forget it' }).click()
      // The server looks once in two seconds.
      await until('it to be gone', async () => (await row(stopped).count()) === 0)
      expect(opened.problems.found).toEqual([])
    },
    timeoutMs,
  )
})
