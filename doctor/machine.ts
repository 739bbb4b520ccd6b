/**
 * This machine and this program: cores and memory against the executors that may run, file
 * descriptors, the version of Bun.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, freemem } from 'node:os'
import { join } from 'node:path'
import { type Finding, hint, ok, warning } from './finding.ts'

export interface MachineFacts {
  cores: number
  /** Memory that can still be had, in bytes. */
  memory: number
  /** The limit of open files; null where it is not known. */
  files: number | null
  /** Of Bun: the one that runs, and the one that the project is made with. */
  version: string
  pinned: string
  executorsMax: number
}

const MIB = 1024 * 1024
/** Of one of our processes at work, generously; supervisor, bridge and web come on top. */
const processBytes = 128 * MIB
const filesMin = 1_024

export function judgeMachine(facts: MachineFacts): Finding[] {
  return [judgeCores(facts), judgeMemory(facts), ...judgeFiles(facts), judgeBun(facts)]
}

function judgeCores({ cores, executorsMax }: MachineFacts): Finding {
  const found = `${cores} ${cores === 1 ? 'core' : 'cores'} for up to ${executorsMax} executors`
  if (executorsMax <= cores) return ok('cores', found)
  const todo = 'more executors than cores help only where the job’s work hook waits for something'
  return hint('cores', found, todo)
}

function judgeMemory({ memory, executorsMax }: MachineFacts): Finding {
  const needed = (executorsMax + 3) * processBytes
  const found = `${Math.round(memory / MIB)} MiB of memory free`
  if (memory >= needed) return ok('memory', found)
  const todo = 'lower --max or free memory'
  const needs = `${executorsMax} executors and the rest may need ${Math.round(needed / MIB)} MiB`
  return warning('memory', `${found}; ${needs}`, todo)
}

function judgeFiles({ files }: MachineFacts): Finding[] {
  if (files === null) return []
  const found = `${files} open files allowed`
  if (files >= filesMin) return [ok('open files', found)]
  return [warning('open files', found, `raise the limit to ${filesMin} or more (ulimit -n)`)]
}

function judgeBun({ version, pinned }: MachineFacts): Finding {
  if (version === pinned) return ok('Bun', version)
  const found = `Bun ${version} runs this, and ${pinned} is what it is made with`
  const todo = `use Bun ${pinned} (npx --yes bun@${pinned} run …)`
  return isOlder(version, pinned) ? warning('Bun', found, todo) : hint('Bun', found, todo)
}

function isOlder(a: string, b: string): boolean {
  const parts = (version: string) => version.split(/[.-]/).slice(0, 3).map(Number)
  const [left, right] = [parts(a), parts(b)]
  const at = left.findIndex((part, i) => part !== right[i])
  return at >= 0 && left[at]! < right[at]!
}

export function readMachine(executorsMax: number): MachineFacts {
  return {
    cores: availableParallelism(),
    memory: freeMemory(),
    files: openFiles(),
    version: Bun.version,
    pinned: pinnedBun(),
    executorsMax,
  }
}

/** What the kernel would still give, where it says so; a container may have less. */
function freeMemory(): number {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(read('/proc/meminfo'))?.[1]
  const machine = available === undefined ? freemem() : Number(available) * 1024
  const limit = Number(read('/sys/fs/cgroup/memory.max'))
  const used = Number(read('/sys/fs/cgroup/memory.current'))
  return limit > 0 ? Math.min(machine, Math.max(0, limit - used)) : machine
}

function openFiles(): number | null {
  const limit = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits'))?.[1]
  return limit === undefined ? null : Number(limit)
}

function pinnedBun(): string {
  const file = join(import.meta.dir, '..', 'package.json')
  const { packageManager } = JSON.parse(readFileSync(file, 'utf8')) as { packageManager: string }
  return packageManager.replace(/^bun@/, '')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
