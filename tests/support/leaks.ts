/**
 * That a test leaves no process behind: children of ours that live, zombies not counted.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { testServices } from './services.ts'
import { until } from '../../faults/until.ts'

export interface ChildProcess {
  pid: number
  command: string
}

/** Children of this process and theirs, on Linux; elsewhere none are known. */
export function descendants(root: number = process.pid): ChildProcess[] {
  if (process.platform !== 'linux') return []
  const childrenOf = Map.groupBy(allProcesses(), (entry) => entry.parent)
  const found: ChildProcess[] = []
  const visit = (pid: number) => {
    for (const child of childrenOf.get(pid) ?? []) {
      found.push({ pid: child.pid, command: commandOf(child.pid) })
      visit(child.pid)
    }
  }
  visit(root)
  return found
}

/**
 * Remembers who lives now; the function returned resolves when nobody else lives any more.
 * The shared services are started before, so that they never count as a leak.
 */
export async function watchForLeaks(): Promise<() => Promise<void>> {
  await testServices()
  const before = new Set(descendants().map((child) => child.pid))
  return async () => {
    await until('the child processes of the test to end', () => {
      const left = descendants().filter((child) => !before.has(child.pid))
      if (left.length === 0) return true
      throw new Error(left.map(({ pid, command }) => `${pid} ${command.slice(0, 100)}`).join('; '))
    })
  }
}

function allProcesses(): { pid: number; parent: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const [state, parent] = statOf(name)
      return state && state !== 'Z' ? [{ pid: Number(name), parent: Number(parent) }] : []
    })
}

/** The fields after the name in parentheses, which may itself hold spaces; [] when it has ended. */
function statOf(pid: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
