/**
 * The page of a real pipeline: an executor appears and leaves while records flow, what is committed is
 * shown, history survives a reload, and a web process that is killed comes back.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser } from 'playwright-core'
import { until } from '../../faults/until.ts'
import { freePort } from '../../services/ports.ts'
import { withPipeline } from '../integration/pipeline.ts'
import { launch, Problems, program, shownBy } from './browser.ts'

const RECORDS = 600

describe.skipIf(!program)("a pipeline's page", () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launch()
  }, 30_000)
  afterAll(() => browser?.close())

  test('follows executors and records, remembers, and survives its server', async () => {
    const problems = new Problems()
    const topic = { partitions: 2 }
    await withPipeline({ label: 'page', job: 'students.ts', topic }, async (pipeline) => {
      const { url } = await pipeline.begin()
      const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } })
      problems.watch(page, url)
      await page.goto(url)
      const { shows, text } = shownBy(page)
      await shows('#state', 'running')
      await shows('#executors', '0')
      expect(await page.locator('#empty').isVisible()).toBe(true)

      const producer = ['actors/producer/main.ts', '--topic', pipeline.topic.name]
      const pace = ['--count', String(RECORDS), '--rate', '100', '--seed', '7']
      const producing = pipeline.spawn([...producer, ...pace])
      await shows('#executorsTable tbody', /running/)
      await shows('#decisions', /0 → 1/)
      await until('a commit rate', async () => Number(await text('#outPerSecond')) > 0)
      expect(await producing.exited).toBe(0)
      await shows('#counted', String(RECORDS))
      await shows('#unaccounted', '0')
      await until('bars of windows', async () => (await page.locator('#heat td.shade').count()) > 0)
      await shows('#executors', '0')
      await shows('#executorsTable tbody', /stopped/)
      await shows('#decisions', /1 → 0/)

      await page.reload()
      const points = async () =>
        Number(await page.locator('.chart').first().getAttribute('data-points'))
      // More than a page could have seen since its reload, a point a second.
      await until('the history', async () => (await points()) >= 5)

      // A second web process beside it serves the same, and nobody else notices.
      const [server] = await pipeline.alive('web')
      const port = await freePort()
      const second = pipeline.spawn(['web/main.ts', pipeline.jobFile, '--port', String(port)])
      const other = await browser.newPage()
      const url2 = `http://127.0.0.1:${port}`
      await until('the second page', () => fetch(`${url2}/healthz`).then(({ ok }) => ok))
      await other.goto(url2)
      await shownBy(other).shows('#counted', String(RECORDS))
      await other.close()
      second.kill('SIGKILL')
      await second.exited

      // What a killed server costs the page is its connection, for a moment.
      const before = problems.found.length
      process.kill(server!.pid, 'SIGKILL')
      await until('another web process', async () => {
        const all = await pipeline.alive('web')
        return all.some(({ pid }) => pid !== server!.pid && pid !== second.pid)
      })
      const more = pipeline.spawn([...producer, '--count', '5', '--rate', '100'])
      expect(await more.exited).toBe(0)
      await shows('#counted', String(RECORDS + 5))
      expect(await page.locator('#notice').isVisible()).toBe(false)
      problems.found.length = before
      await page.close()
    })
    expect(problems.found).toEqual([])
  }, 120_000)
})
