/**
 * A Chromium for the browser tests: the one that is installed, or Debian's.
 */
import { existsSync } from 'node:fs'
import { messageOf } from '../actors/errors.ts'
import { aptInstall, canInstall } from './debian.ts'
import { type Progress, silent } from '../cli/progress.ts'

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'

/** The program's path, or null where there is none and none can be installed. */
export async function ensureChromium(log: Progress = silent): Promise<string | null> {
  const found = installedChromium()
  if (found || !canInstall()) return found
  try {
    // Without a font, text has no width and pages look empty.
    await aptInstall(['chromium', 'fonts-liberation'], log)
  } catch (error) {
    log.line(`no Chromium: ${messageOf(error)}`)
  }
  return installedChromium()
}

function installedChromium(): string | null {
  for (const name of PROGRAMS) {
    const path = Bun.which(name)
    if (path) return path
  }
  return existsSync(MAC) ? MAC : null
}
