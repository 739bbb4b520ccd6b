/**
 * Windows on the page: heat map, slider over the recent ones, filter, and windows with more groups than
 * the event stream tells.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { systemClock } from '../../actors/clock.ts'
import { until } from '../../faults/until.ts'
import type { Web } from '../web/setup.ts'
import { type Opened, openPage, type Problems, program, shownBy, timeoutMs } from './browser.ts'

/** Aligned to the slide, so that windows begin where the pictures below say. */
const T = Math.floor(systemClock.now() / 5_000) * 5_000 - 60_000
const GROUPS = 700

describe.skipIf(!program)('windows on the page', () => {
  let opened: Opened
  let web: Web
  let page: Page
  let problems: Problems
  let shows: ReturnType<typeof shownBy>['shows']

  beforeAll(async () => {
    opened = await openPage('windows', {}, async ({ seeded: { store, keys } }) => {
      await store.call('lead', keys.base, ['leader', 's1', 60_000])
    })
    ;({ web, page, problems } = opened)
    ;({ shows } = shownBy(page))
  }, timeoutMs)

  afterAll(() => opened?.end(), timeoutMs)

  const record = (seconds: number, who: string, state: string, loc = 1) => ({
    at: T + seconds * 1_000,
    group: [who, state],
    fields: { loc },
  })
  const cells = async () =>
    await page
      .locator('#heat tbody tr')
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)))

  /**
   *   seconds  -5    0    5   10   15   20
   *   records        2×Ada on      Ada off
   *                  Bob on
   *   windows  [─────────)              starts −5, 0, 5, 10
   *                 [─────────)
   *                      [─────────)
   *                           [─────────)
   */
  test(
    'the one that is followed is the newest but one, as a heat map and a table',
    async () => {
      await web.seeded.records([
        record(0, 'Ada', 'on', 3),
        record(1, 'Ada', 'on', 4),
        record(2, 'Bob', 'on', 10),
        record(11, 'Ada', 'off', 1),
      ])
      await until('a heat map', async () => (await cells()).length === 1)
      expect(await cells()).toEqual([['Ada', '1']])
      await shows('#shownWindow', /live, 1 group$/)
    },
    timeoutMs,
  )

  test(
    'the slider shows an older one, by keys, and stays there',
    async () => {
      await page.locator('#slider').focus()
      await page.keyboard.press('ArrowLeft')
      await until('two groups', async () => (await cells()).length === 2)
      expect(await cells()).toEqual([
        ['Ada', '2'],
        ['Bob', '1'],
      ])
      expect(await page.locator('#slider').getAttribute('aria-valuetext')).toContain('events 3')
      await page.locator('#measure').selectOption({ label: 'total' })
      await until('sums', async () => (await cells())[0]?.[1] === '7')
      expect((await cells())[1]).toEqual(['Bob', '10'])
      await web.seeded.records([record(3, 'Ada', 'on', 100)])
      await until('the new sum', async () => (await cells())[0]?.[1] === '107')
      expect(await page.locator('#heat td.s10').textContent()).toBe('107')
    },
    timeoutMs,
  )

  test(
    'the filter is by any group field',
    async () => {
      await page.locator('#groupFilter').fill('bo')
      await until('Bob alone', async () => (await cells()).length === 1)
      const rows = page.locator('#windowsTable tbody tr')
      expect(await rows.allTextContents()).toEqual(['Bobon10101'])
      await page.locator('#groupFilter').fill('nobody')
      await shows('#windowsNote', 'No group here has that in a field.')
      await page.locator('#groupFilter').fill('')
    },
    timeoutMs,
  )

  test(
    'a window of more groups than events tell is asked for, and the greatest are shown',
    async () => {
      const many = Array.from({ length: GROUPS }, (_, i) => record(31, `who-${i}`, 'on', i))
      for (let i = 0; i < GROUPS; i += 100) await web.seeded.records(many.slice(i, i + 100))
      await page.getByRole('button', { name: 'Follow live' }).click()
      await shows('#shownWindow', new RegExp(`live, ${GROUPS} groups$`))
      await shows('#windowsNote', /700 rows, the first 600 shown/)
      await until('40 rows', async () => (await cells()).length === 40)
      expect((await cells()).at(-1)).toEqual(['who-699', '699'])
    },
    timeoutMs,
  )

  test('reported no error, asked nobody else, and broke no policy', () => {
    expect(problems.found).toEqual([])
  })
})
