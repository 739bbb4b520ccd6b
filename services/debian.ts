/**
 * Packages of Debian and its kin, for root only: the one way in which a program may get installed
 * system-wide, and only where the one that is needed lacks.
 */
import { existsSync } from 'node:fs'
import { RefusalError } from '../actors/errors.ts'
import type { Progress } from './progress.ts'
import { runSteps } from './run.ts'

/** True for root on a system with apt-get. */
export function canInstall(): boolean {
  const root = process.getuid?.() === 0
  return root && existsSync('/etc/debian_version') && Bun.which('apt-get') !== null
}

let updated = false

/** @throws RefusalError with apt-get's own last line */
export async function aptInstall(packages: string[], log: Progress): Promise<void> {
  // Another apt-get on the same machine is waited for.
  const options = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', '-o', 'APT::Lock::Timeout=300']
  if (!updated) {
    log.step('apt-get update')
    await apt(['update', ...options], log)
    updated = true
  }
  log.step(`apt-get install ${packages.join(' ')}`)
  await apt(['install', '--no-install-recommends', ...options, ...packages], log)
  log.line(`installed ${packages.join(', ')}`)
}

async function apt(args: string[], log: Progress): Promise<void> {
  const result = await runSteps(['apt-get', ...args], {
    environment: { DEBIAN_FRONTEND: 'noninteractive' },
    onLine: (line) => {
      if (/^(Get|Hit|Unpacking|Setting up)/.test(line)) log.step(`apt-get: ${line}`)
    },
  })
  if (result.code === 0) return
  throw new RefusalError(`apt-get ${args[0]} failed: ${result.lastLine}`)
}
