/**
 * Prometheus's own checker, for the tests of metrics, rules and alerts: the one that is installed, or
 * Debian's. Nothing fails without it.
 */
import { messageOf } from '../actors/errors.ts'
import { aptInstall, canInstall } from './debian.ts'
import { type Progress, silent } from '../cli/progress.ts'

/** The program's path, or null where there is none and none can be installed. */
export async function ensurePromtool(log: Progress = silent): Promise<string | null> {
  const found = installedPromtool()
  if (found || !canInstall()) return found
  try {
    await aptInstall(['prometheus'], log)
  } catch (error) {
    log.line(`no promtool: ${messageOf(error)}`)
  }
  return installedPromtool()
}

export const installedPromtool = (): string | null => Bun.which('promtool')
