/**
 * Sessions on the page, and values that are several: rows with bounds of their own, and columns that find
 * room. The server is a real one, but that it says to have another job, with two spans of sessions.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { systemClock } from '../../actors/clock.ts'
import { openWeb, type Web } from '../web/setup.ts'
import { launch, Problems, program, shownBy, timeoutMs } from './browser.ts'

/** A full hour of today's, or of the day before's where it is early. */
const T = Math.floor(systemClock.now() / 3_600_000 - 1) * 3_600_000
const minuteMs = 60_000
const iso = (seconds: number) => new Date(T + seconds * 1_000).toISOString()

const form = {
  groups: ['card'],
  aggregates: [
    { name: 'payments', kind: 'count' },
    { name: 'merchants', kind: 'topK' },
    { name: 'amount', kind: 'quantiles', quantiles: ['p50', 'p99'] },
    { name: 'hours', kind: 'topK' },
  ],
  window: { sizeMs: minuteMs, slideMs: minuteMs, gapMs: minuteMs },
}

const often = (word: string) =>
  Array.from({ length: 5 }, (_, i) => ({ value: `${word}-${i}`, count: 5 - i, error: 0 }))
const valuesOf = (payments: number) => ({
  payments,
  merchants: often('a-merchant'),
  amount: { p50: 81.497, p99: 835.981 },
  hours: often('an-hour'),
})
const session = (card: string, from: number, to: number, payments: number) => ({
  start: iso(from),
  end: iso(to),
  state: 'open',
  key: { card },
  values: valuesOf(payments),
})

/**
 *   seconds        0          60         120        180        240
 *   a                  ├─ 3 ───────────────┤                         20 … 130
 *   b                             ├─ 1 ─────┤                        100 … 160
 *   c                                             ├─ 2 ───────┤      170 … 235
 *   spans          [          )[         )[  a b     )[    c     )
 */
const events: [name: string, data: object][] = [
  ['total', { start: iso(120), end: iso(180), state: 'open', groups: 2, values: valuesOf(4) }],
  ['total', { start: iso(180), end: iso(240), state: 'open', groups: 1, values: valuesOf(2) }],
  ['window', session('b', 100, 160, 1)],
  ['window', session('a', 20, 130, 3)],
  ['window', session('c', 170, 235, 2)],
]

const eventsText = events
  .map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  .join('')

describe.skipIf(!program)('sessions on the page', () => {
  let web: Web
  let server: ReturnType<typeof Bun.serve>
  let browser: Browser
  let page: Page
  let shows: ReturnType<typeof shownBy>['shows']
  const problems = new Problems()

  beforeAll(async () => {
    web = await openWeb('sessions', { tickMs: 200 })
    const { store, keys } = web.seeded
    await store.call('lead', keys.base, ['leader', 's1', minuteMs])
    server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer })
    browser = await launch()
    page = await browser.newPage({ viewport: { width: 1_440, height: 900 } })
    problems.watch(page, server.url.href)
    await page.goto(server.url.href)
    ;({ shows } = shownBy(page))
  }, timeoutMs)

  afterAll(async () => {
    await browser?.close()
    await server?.stop(true)
    await web?.end()
  }, timeoutMs)

  async function answer(request: Request, asked: object): Promise<Response> {
    const real = await web.app.fetch(request, asked)
    const { pathname } = new URL(request.url)
    if (pathname === '/api/job')
      return Response.json({ ...((await real.json()) as object), ...form })
    if (pathname !== '/api/events') return real
    return new Response(behind(eventsText, real.body!), real)
  }

  const texts = (selector: string) => page.locator(selector).allTextContents()

  test(
    'a bar has the sessions that end in it, each a row with its own bounds',
    async () => {
      await shows('#windowsTitle', 'Sessions')
      await shows('#shownWindow', /^2 sessions with an end in .*:02:00 – .*:03:00, live$/)
      expect(await texts('#windowsTable thead th')).toEqual([
        'Session',
        'card',
        'payments',
        'merchants',
        'amount',
        'hours',
      ])
      const bounds = await texts('#windowsTable tbody td:nth-child(1)')
      expect(bounds.map((text) => text.match(/\d\d:\d\d(?= –|$)/g))).toEqual([
        ['00:20', '02:10'],
        ['01:40', '02:40'],
      ])
      expect(await texts('#windowsTable tbody td:nth-child(2)')).toEqual(['a', 'b'])
      expect(await texts('#heat tbody tr')).toEqual(['a3', 'b1'])
    },
    timeoutMs,
  )

  test(
    'values that are several do not make the table wider than its place',
    async () => {
      const [cell] = await texts('#windowsTable tbody td:nth-child(5)')
      expect(cell).toBe('p50\u00a081.497, p99\u00a0835.981')
      const [inner, outer] = await page
        .locator('#windowsTable')
        .evaluate((table) => [table.scrollWidth, table.parentElement!.clientWidth] as const)
      expect(inner).toBeLessThanOrEqual(outer)
    },
    timeoutMs,
  )

  test('reported no error, asked nobody else, and broke no policy', () => {
    expect(problems.found).toEqual([])
  })
})

/** A text, and then the stream for as long as it is read. */
function behind(text: string, stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const first = new TextEncoder().encode(text)
  return stream.pipeThrough(new TransformStream({ start: (out) => out.enqueue(first) }))
}
