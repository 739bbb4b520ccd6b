/**
 * `bun run screenshot`: pictures of the page while a pipeline works, for the README and for whoever
 * changes the page: each width in both themes.
 *
 *   services → supervisor → producers: few, many, few → page in Chromium → PNG files
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { systemClock } from '../actors/clock.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { ensureChromium } from '../services/chromium.ts'
import { freePort } from '../services/ports.ts'
import { createProgress, type Progress } from '../cli/progress.ts'
import { startServices } from '../services/services.ts'
import { Children } from './children.ts'
import { chromiumFlags } from './chromium.ts'

const command = {
  help: `
Usage: bun run screenshot [--dir DIR] [--seconds N] [--json]

Starts Kafka, Redis and a pipeline under a load that scales it from 0 to 4 executors and down again, and takes
pictures of its page in Chromium: three widths, both themes; docs/dashboard.png is one of them.

  --dir DIR      where the pictures go (.millrace/screenshots); docs/dashboard.png is written with --readme
  --seconds N    how long the load is played before (150)
  --readme       also writes docs/dashboard.png
  --json         the pictures' files as JSON: { pictures }
  --help         this text

Exit code: 0; 1 where there is no Chromium, or a page does not show; 2 for a mistake in the command.`,
  options: {
    dir: { type: 'string' },
    seconds: { type: 'string' },
    readme: { type: 'boolean' },
    json: { type: 'boolean' },
  },
} as const

/** CSS pixels: a large screen, a laptop, a phone. */
const widths = { wide: 1440, laptop: 1024, phone: 390 } as const
const themes = ['light', 'dark'] as const

const readmePicture = 'docs/dashboard.png'

await runMain('screenshot', async () => {
  const { values } = parseFlags(command)
  const seconds = wholeNumberFlag('seconds', values.seconds, { from: 10, to: 3_600 }) ?? 150
  const dir = values.dir ?? '.millrace/screenshots'
  mkdirSync(dir, { recursive: true })
  const program = await ensureChromium(createProgress())
  if (!program) throw new RefusalError('no Chromium here: install one (apt-get install chromium)')
  const services = await startServices({ log: createProgress() })
  const price = { MILLRACE_PRICE_PER_EXECUTOR_HOUR: '0.05' }
  const children = new Children({ ...process.env, ...services.environment, ...price })
  const pictures: string[] = []
  let browser: Browser | null = null
  try {
    const url = await startPipeline(children)
    await playLoad(children, seconds, createProgress())
    browser = await chromium.launch({ executablePath: program, args: chromiumFlags })
    pictures.push(...(await takeAll(browser, url, dir)))
    if (values.readme) {
      await take(browser, url, {
        width: widths.wide,
        theme: 'light',
        path: readmePicture,
        height: 1_500,
      })
      pictures.push(readmePicture)
    }
  } finally {
    await browser?.close()
    await children.stop()
    await services.stop()
  }
  console.log(values.json ? JSON.stringify({ pictures }) : `pictures in ${dir}`)
  return 0
})

async function startPipeline(children: Children): Promise<string> {
  const port = String(await freePort())
  await children.run(['actors/producer/main.ts', '--count', '0'])
  children.start(
    ['supervisor/main.ts', 'jobs/demo.ts', '--port', port, '--from', 'earliest'],
    'ignore',
  )
  return `http://127.0.0.1:${port}`
}

/** Few records a second, many, few: a fifth of the time, a half, the rest. */
async function playLoad(children: Children, seconds: number, log: Progress): Promise<void> {
  const producer = (rate: number) =>
    children.start(
      [
        'actors/producer/main.ts',
        '--rate',
        String(rate),
        '--malformed',
        '0.02',
        '--late',
        '0.01',
        '--seed',
        '7',
      ],
      'ignore',
    )
  log.line(`playing a load for ${seconds} s: few records, many, few`)
  producer(8)
  await systemClock.sleep(seconds * 200)
  log.step('many records')
  const many = producer(38)
  await systemClock.sleep(seconds * 500)
  await children.end(many)
  log.step('few records')
  await systemClock.sleep(seconds * 300)
  log.end()
}

async function takeAll(browser: Browser, url: string, dir: string): Promise<string[]> {
  const paths: string[] = []
  for (const theme of themes) {
    for (const [name, width] of Object.entries(widths)) {
      const path = join(dir, `${name}-${theme}.png`)
      await take(browser, url, { width, theme, path })
      paths.push(path)
    }
  }
  return paths
}

interface Picture {
  width: number
  theme: (typeof themes)[number]
  path: string
  /** The whole page where it is absent. */
  height?: number
}

async function take(
  browser: Browser,
  url: string,
  { width, theme, path, height }: Picture,
): Promise<void> {
  const page = await browser.newPage({
    viewport: { width, height: height ?? 900 },
    colorScheme: theme,
    deviceScaleFactor: width < 500 ? 2 : 1,
  })
  await page.goto(url)
  await shown(page)
  await page.screenshot({ path, fullPage: height === undefined })
  await page.close()
}

/** Numbers, a chart's points and a window are there. */
async function shown(page: Page): Promise<void> {
  await page.locator('#state.running').waitFor()
  await page.locator('#heat tbody tr').first().waitFor()
  await page.locator('.chart canvas').first().waitFor()
  // Two looks of the page, so that rates and the strip are there.
  await page.waitForTimeout(1_500)
}
