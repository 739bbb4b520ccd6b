/**
 * Packages of Debian and its kin, for root only: the one way in which a program may get installed
 * system-wide, and only where the one that is needed lacks.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { RefusalError } from '../actors/errors.ts'
import type { Progress } from '../cli/progress.ts'
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
  const install = ['install', '--no-install-recommends', ...options, ...packages]
  await withoutServices(() => apt(install, log))
  log.line(`installed ${packages.join(', ')}`)
}

/** Packages of servers start these at once, on the port that is wanted for ours; this forbids it. */
const POLICY = '/usr/sbin/policy-rc.d'

async function withoutServices(work: () => Promise<void>): Promise<void> {
  if (existsSync(POLICY)) return await work()
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await work()
  } finally {
    rmSync(POLICY, { force: true })
  }
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
