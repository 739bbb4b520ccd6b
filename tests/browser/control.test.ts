/**
 * What people change through the page: with the token, confirmed, and its effect seen.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { resultDelayRange } from '../../actors/config.ts'
import { until } from '../../faults/until.ts'
import type { Web } from '../web/setup.ts'
import { type Opened, openPage, type Problems, program, shownBy, timeoutMs } from './browser.ts'

const token = 'a-token-of-the-tests'

describe.skipIf(!program)('control by the page', () => {
  let opened: Opened
  let web: Web
  let page: Page
  let problems: Problems
  let shows: ReturnType<typeof shownBy>['shows']

  beforeAll(async () => {
    opened = await openPage('control', { token }, async ({ seeded: { store, keys, actor } }) => {
      await store.call('lead', keys.base, ['leader', 's1', 60_000])
      await store.redis.hset(keys.control, { min: '0', max: '4', policy: 'backlog' })
      await actor({ id: 'executor-7', kind: 'executor', busy: 0.5 })
    })
    ;({ web, page, problems } = opened)
    ;({ shows } = shownBy(page))
    await shows('#limits', 'of 0 to 4')
    await page.getByRole('button', { name: 'Control' }).click()
  }, timeoutMs)

  afterAll(() => opened?.end(), timeoutMs)

  const control = (field: string) => web.seeded.store.redis.hget(web.seeded.keys.control, field)
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()

  test(
    'nothing happens before it is confirmed, nor without the token',
    async () => {
      await page.locator('#max').fill('2')
      await press('Set')
      await shows('#confirmText', 'Run 0 to 2 executors?')
      await press('Leave it')
      expect(await page.locator('#confirm').isVisible()).toBe(false)
      expect(await control('max')).toBe('4')
      await press('Set')
      await press('Do it')
      await shows('#controlResult', /^Refused: control calls need/)
      expect(await control('max')).toBe('4')
      // The browser tells of the 401 by itself.
      expect(problems.found.splice(0)).toEqual([expect.stringContaining('401')])
    },
    timeoutMs,
  )

  test(
    'limits that make no sense are told of at once',
    async () => {
      await page.locator('#max').fill('65')
      await press('Set')
      await shows('#controlResult', /whole numbers from 0 to 64/)
    },
    timeoutMs,
  )

  test(
    'how old a result may be is asked for in seconds, and told of where nobody could keep it',
    async () => {
      const delay = page.locator('#delay')
      const range = [await delay.getAttribute('min'), await delay.getAttribute('max')]
      const { fromMs, toMs } = resultDelayRange
      expect(range.map((text) => Number(text) * 1_000)).toEqual([fromMs, toMs])
      await page.locator('#max').fill('4')
      await delay.fill('0.05')
      await press('Set')
      await shows('#controlResult', `Results are within ${range[0]} to ${range[1]} seconds.`)
      await page.locator('#token').fill(token)
      await delay.fill('4.5')
      await press('Set')
      await shows('#confirmText', 'Run 0 to 4 executors, results within 4.5 s?')
      await press('Do it')
      await shows('#controlResult', 'In effect: 0 to 4 executors, results within 4.5 s.')
      expect(await control('maxResultDelayMs')).toBe('4500')
      await shows('#standing', /results within 4\.5 s/)
      await press('Close')
      await page.getByRole('button', { name: 'Control' }).click()
      expect(await delay.inputValue()).toBe('4.5')
    },
    timeoutMs,
  )

  test(
    'limits, pause and resume are in effect, which the page sees',
    async () => {
      await page.locator('#token').fill(token)
      await page.locator('#max').fill('2')
      await press('Set')
      await press('Do it')
      await shows('#controlResult', 'In effect: 0 to 2 executors.')
      expect(await control('max')).toBe('2')
      await shows('#limits', 'of 0 to 2')
      await press('Pause')
      await shows('#confirmText', /records wait, none is lost/)
      await press('Do it')
      await shows('#controlResult', 'Paused.')
      await shows('#state', 'paused')
      await press('Resume')
      await press('Do it')
      await shows('#controlResult', 'Resumed.')
      await shows('#state', 'running')
    },
    timeoutMs,
  )

  test(
    'an executor is drained from its row',
    async () => {
      const mailbox = web.seeded.keys.mailbox('executor-7')
      // One that runs has a mailbox.
      await web.seeded.store.redis.xadd(mailbox, '*', 'm', JSON.stringify({ kind: 'wake' }))
      await press('Close')
      await press('Drain executor-7')
      await shows('#confirmText', /^Drain executor-7\?/)
      await press('Do it')
      const asked = await until('the message', async () => {
        const messages = await web.seeded.store.redis.xrange(mailbox, '-', '+')
        return messages.find(([, fields]) => fields[1]?.includes('"drain"'))
      })
      expect(asked).toBeDefined()
      await web.seeded.actor({ id: 'executor-7', kind: 'executor', state: 'draining' })
      await shows('#controlResult', 'executor-7 has left, or is about to.')
    },
    timeoutMs,
  )

  test('reported no error, asked nobody else, and broke no policy', () => {
    expect(problems.found).toEqual([])
  })
})
