/**
 * Whether a process lives and is still the one we started: pids are given out again, so a pid
 * alone is no reason to send a signal.
 */
import { readFileSync } from 'node:fs'

export interface Identity {
  pid: number
  /** When it started, in the system's own words; opaque. */
  startedAt: string
  /** A part of its command line that no other program has, such as its data directory. */
  marker: string
}

/** Of a process that lives; undefined where there is none. */
export function identify(pid: number, marker: string): Identity | undefined {
  const startedAt = startOf(pid)
  return startedAt === undefined ? undefined : { pid, startedAt, marker }
}

export function isStill(identity: Identity): boolean {
  if (startOf(identity.pid) !== identity.startedAt) return false
  return commandOf(identity.pid).includes(identity.marker)
}

/** A zombie is dead: it only waits to be collected. */
export function isAlive(pid: number): boolean {
  return pid > 0 && startOf(pid) !== undefined
}

const linux = process.platform === 'linux'

function startOf(pid: number): string | undefined {
  if (!linux) return ps(pid, 'lstart=')
  try {
    // pid (name) state …; the name may hold anything, so count from its closing parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function commandOf(pid: number): string {
  if (!linux) return ps(pid, 'command=') ?? ''
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

function ps(pid: number, column: string): string | undefined {
  const result = Bun.spawnSync(['ps', '-p', String(pid), '-o', column])
  const text = result.stdout.toString().trim()
  return result.exitCode === 0 && text !== '' ? text : undefined
}
