/** The machine that figures come from, as a benchmark tells of it. */
import { cpus, loadavg, totalmem } from 'node:os'

export interface Machine {
  cores: number
  model: string
  memoryBytes: number
  /** Runnable programs, over the minute before. */
  loadBefore: number
}

export function machineFacts(): Machine {
  return {
    cores: cpus().length,
    model: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    loadBefore: loadavg()[0] ?? 0,
  }
}

export function machineText(machine: Machine, versions: Record<string, string>): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const gigabytes = (machine.memoryBytes / 2 ** 30).toFixed(0)
  return (
    `${machine.cores} cores, ${machine.model}, ${gigabytes} GiB, load ` +
    `${machine.loadBefore.toFixed(1)} before; ${named.join(', ')}`
  )
}
