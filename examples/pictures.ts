/**
 * `bun examples/pictures.ts`: each example's pipeline with its sample, and the page's picture in
 * docs/examples.
 *
 *   services → supervisor of an example → its sample, as if it happened now → page in Chromium → PNG file
 */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { Children } from '../demo/children.ts'
import { chromiumFlags } from '../demo/chromium.ts'
import { ensureChromium } from '../services/chromium.ts'
import { freePort } from '../services/ports.ts'
import { createProgress } from '../cli/progress.ts'
import { startServices } from '../services/services.ts'
import { type ExampleName, exampleNames, jobFileOf } from './samples/all.ts'

const command = {
  help: `
Usage: bun examples/pictures.ts [NAME] [--dir DIR]

Runs each example (or the one that is named) with its sample, on a Kafka and a Redis of its own, and takes a
picture of its page. Takes about a minute each.

  --dir DIR   where the pictures go (docs/examples)
  --help      this text`,
  options: { dir: { type: 'string' } },
  positionals: ['NAME'],
} as const

/** CSS pixels. High enough for the windows, which are the last part of the page. */
const size = { width: 1_440, height: 1_500 }
const liveSeconds = 30
/** They are part of the repository. */
const pictureBytesMax = 250_000

await runMain('pictures', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const names = exampleNames.filter((name) => name === (positionals[0] ?? name))
  if (names.length === 0) {
    const allowed = exampleNames.join(', ')
    throw new UsageError(`NAME must be one of ${allowed}, not ${JSON.stringify(positionals[0])}`)
  }
  const dir = values.dir ?? 'docs/examples'
  mkdirSync(dir, { recursive: true })
  const program = await ensureChromium(createProgress())
  if (!program) throw new RefusalError('no Chromium here: install one (apt-get install chromium)')
  const services = await startServices({ log: createProgress() })
  const environment = { ...process.env, ...services.environment }
  let browser: Browser | null = null
  try {
    browser = await chromium.launch({ executablePath: program, args: chromiumFlags })
    for (const name of names) {
      const path = join(dir, `${name}.png`)
      await picture(browser, new Children(environment), { name, path })
      const bytes = statSync(path).size
      console.log(`${path}: ${bytes} bytes`)
      if (bytes > pictureBytesMax) {
        throw new RefusalError(`${path} has ${bytes} bytes, more than ${pictureBytesMax}`)
      }
    }
  } finally {
    await browser?.close()
    await services.stop()
  }
  return 0
})

async function picture(
  browser: Browser,
  children: Children,
  { name, path }: { name: ExampleName; path: string },
): Promise<void> {
  try {
    const port = String(await freePort())
    const play = ['examples/play.ts', name, '--seconds', String(liveSeconds)]
    const flags = ['--port', port, '--from', 'earliest']
    const playing = children.start(play, 'ignore')
    children.start(['supervisor/main.ts', jobFileOf(name), ...flags], 'ignore')
    await playing.exited
    await take(browser, `http://127.0.0.1:${port}`, path)
  } finally {
    await children.stop()
  }
}

async function take(browser: Browser, url: string, path: string): Promise<void> {
  const page = await browser.newPage({ viewport: size, colorScheme: 'light' })
  await page.goto(url)
  await page.locator('#state.running').waitFor()
  await page.locator('#heat tbody tr').first().waitFor()
  await page.locator('.chart canvas').first().waitFor()
  // Two looks of the page, so that rates and the strip are there.
  await page.waitForTimeout(1_500)
  await page.screenshot({ path })
  const [needed, room] = await page
    .locator('#windowsTable')
    .evaluate((table) => [table.scrollWidth, table.parentElement!.clientWidth] as const)
  if (needed > room) {
    throw new RefusalError(`${path}: the table of windows needs ${needed} px and has ${room}`)
  }
  await page.close()
}
