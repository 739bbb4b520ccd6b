/**
 * CPU time and memory of processes and their descendants, from /proc. A process that ends between
 * two samples keeps what was last seen of it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { systemClock } from '../actors/clock.ts'

/** USER_HZ is 100 on every Linux that Bun runs on. */
const MICROS_PER_TICK = 10_000
/** What looks at all processes takes processor time from what it measures: not at every call. */
const SAMPLE_EVERY_MS = 200
/** The kernel walks a process's pages to sum them up: not at every sample. */
const MEMORY_EVERY = 2
const OTHER = 'other'

/** Microseconds for which the machine's host had others run while something here wanted to, of all processors. */
export function stolenMicros(): number {
  const [, , , , , , , , ticks] = readFileSync('/proc/stat', 'utf8').split(/\s+/, 9)
  return Number(ticks) * MICROS_PER_TICK
}

interface Seen {
  name: string
  ticks: number
}

export class Usage {
  /**
   * The most memory that all processes together had, servers not counted: the sum of proportional
   * set sizes, in which pages that processes share (Bun's own code) count once.
   */
  peakBytes = 0
  /** The same with those servers that only this engine needs. */
  peakWithOwnBytes = 0
  readonly #own: readonly string[]
  readonly #servers: Record<string, number>
  readonly #ticksBefore: Record<string, number> = {}
  readonly #seen = new Map<number, Seen>()
  #samples = 0
  #sampledAt = Number.NEGATIVE_INFINITY
  #root: { name: string; pid: number } | null = null

  /** Servers that ran before: what they used until now is left out. `own` are names of servers. */
  constructor(servers: Record<string, number | null | undefined>, own: readonly string[] = []) {
    this.#own = own
    this.#servers = {}
    for (const [name, pid] of Object.entries(servers)) {
      if (!pid) continue
      this.#servers[name] = pid
      this.#ticksBefore[name] = readStat(pid)?.ticks ?? 0
    }
  }

  follow(name: string, pid: number): void {
    this.#root = { name, pid }
  }

  /** To be called as often as one likes, while what is measured runs. */
  sample(): void {
    if (systemClock.elapsed() - this.#sampledAt >= SAMPLE_EVERY_MS) this.#sample()
  }

  #sample(): void {
    this.#sampledAt = systemClock.elapsed()
    const stats = readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((entry) => readStat(Number(entry)) ?? [])
    if (!this.#root) return
    const family = new Set([this.#root.pid])
    // Parents come before their children only mostly; a few passes reach everyone.
    for (let pass = 0; pass < 3; pass++) {
      for (const { pid, parent } of stats) if (family.has(parent)) family.add(pid)
    }
    for (const { pid, ticks } of stats) {
      if (!family.has(pid)) continue
      const known = this.#seen.get(pid)?.name
      // A process may become another program: a shell that ends by starting Java.
      const name = known && known !== OTHER ? known : roleOf(pid, this.#root)
      this.#seen.set(pid, { name, ticks })
    }
    this.#samples++
    if (this.#samples % MEMORY_EVERY !== 1) return
    const bytes = [...family].reduce((sum, pid) => sum + proportionalBytes(pid), 0)
    this.peakBytes = Math.max(this.peakBytes, bytes)
    const own = this.#own.reduce(
      (sum, name) => sum + proportionalBytes(this.#servers[name] ?? 0),
      0,
    )
    this.peakWithOwnBytes = Math.max(this.peakWithOwnBytes, bytes + own)
  }

  /** Microseconds of CPU for each of `count` records, by role. */
  microsPer(count: number): Record<string, number> {
    this.#sample()
    const ticks: Record<string, number> = {}
    for (const { name, ticks: used } of this.#seen.values()) ticks[name] = (ticks[name] ?? 0) + used
    for (const [name, pid] of Object.entries(this.#servers)) {
      ticks[name] = (readStat(pid)?.ticks ?? 0) - this.#ticksBefore[name]!
    }
    return Object.fromEntries(
      Object.entries(ticks).map(([name, used]) => [name, (used * MICROS_PER_TICK) / count]),
    )
  }
}

function roleOf(pid: number, root: { name: string; pid: number }): string {
  if (pid === root.pid) return root.name
  const command = read(`/proc/${pid}/cmdline`) ?? ''
  if (/^[^\0]*\bjava\0/.test(command)) return 'java'
  return /(bridge|executor|web)\/main\.[jt]s/.exec(command)?.[1] ?? OTHER
}

function readStat(pid: number) {
  const text = read(`/proc/${pid}/stat`)
  if (!text) return null
  // The name in parentheses may hold spaces; the fields after it do not.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  return {
    pid,
    parent: fields[1]!,
    ticks: fields[11]! + fields[12]!,
  }
}

export function proportionalBytes(pid: number): number {
  return rollupBytes(pid, 'Pss')
}

/**
 * What a process has of its own, and its share of the files that it has mapped: nearly all of them Bun's
 * code, whose share is the smaller the more processes of Bun there are on the machine, whosesoever.
 */
export function ownBytes(pid: number): { own: number; files: number } {
  return { own: rollupBytes(pid, 'Pss_Anon'), files: rollupBytes(pid, 'Pss_File') }
}

/** 0 for a process that has ended. */
function rollupBytes(pid: number, name: 'Pss' | 'Pss_Anon' | 'Pss_File'): number {
  const text = read(`/proc/${pid}/smaps_rollup`) ?? ''
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1_024
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
