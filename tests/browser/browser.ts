/**
 * A real Chromium for the tests of the page, and pages that tell what went wrong in them. Where there is
 * none the suites are skipped: `bun run check` installs one where it can.
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { chromiumFlags } from '../../demo/chromium.ts'
import { until } from '../../faults/until.ts'
import type { WebParts } from '../../web/app.ts'
import { openWeb, type Web } from '../web/setup.ts'

const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export const program =
  process.env.MILLRACE_TEST_BROWSER ?? programs.find((path) => existsSync(path)) ?? null

/** Longer than the half a minute that Playwright waits for one thing: it then says for which. */
export const timeoutMs = 90_000

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: program!, args: chromiumFlags })

/** Errors, broken policies and requests to others, of all pages that are watched. */
export class Problems {
  readonly found: string[] = []

  watch(page: Page, origin: string): void {
    page.on('pageerror', (error) => this.found.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') this.found.push(message.text())
    })
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(origin)) this.found.push(`asked ${url}`)
    })
  }
}

/** What a page shows, waited for. */
export function shownBy(page: Page) {
  const text = async (selector: string) => (await page.locator(selector).textContent()) ?? ''
  return {
    text,
    shows: (selector: string, wanted: string | RegExp) =>
      until(`${selector} to show ${wanted}`, async () => {
        const shown = (await text(selector)).trim()
        return typeof wanted === 'string' ? shown === wanted : wanted.test(shown)
      }),
  }
}

/** A page of a seeded job, served and shown; what a suite has for itself. */
export interface Opened {
  web: Web
  server: ReturnType<typeof Bun.serve>
  browser: Browser
  page: Page
  problems: Problems
  end(): Promise<void>
}

/** `seed` is done before the page is opened. */
export async function openPage(
  label: string,
  parts: Partial<WebParts> = {},
  seed: (web: Web) => Promise<void> = () => Promise.resolve(),
): Promise<Opened> {
  const web = await openWeb(label, { tickMs: 200, ...parts })
  await seed(web)
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: web.app.fetch })
  const browser = await launch()
  const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } })
  const problems = new Problems()
  problems.watch(page, server.url.href)
  await page.goto(server.url.href)
  const opened = { web, server, browser, page, problems }
  const end = async () => {
    await browser.close()
    // Perhaps another one by now.
    await opened.server.stop(true)
    await web.end()
  }
  return Object.assign(opened, { end })
}
