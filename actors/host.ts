/**
 * The process that an actor lives in, as far as the actor asks: who it is, what it uses, and that it
 * should end. An argument like the clock, so that a simulation can have many in one process.
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism, hostname } from 'node:os'

export interface Host {
  pid: number
  /** By which the machine is known to the others. */
  name: string
  /** The supervisor whose child the process is. */
  supervisor?: string | undefined
  cores: number
  rssBytes(): number
  /** Processor time that the process has used, in ms. */
  cpuMs(): number
  /** Says to whoever watches the process from outside that its thread turns; at each heartbeat. */
  noteAlive?(): void
  /** Calls with a reason when the process is asked to end: by a signal, or because its parent is gone. */
  onAsked(end: (reason: string) => void): void
}

export const systemHost: Host = {
  pid: process.pid,
  name: process.env.MILLRACE_HOST || hostname(),
  supervisor: process.env.MILLRACE_SUPERVISOR || undefined,
  cores: availableParallelism(),
  rssBytes: () => process.memoryUsage.rss(),
  cpuMs() {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
  noteAlive() {
    const file = process.env.MILLRACE_ALIVE_FILE
    if (file) writeFileSync(file, `${process.pid}\n`)
  },
  onAsked(end) {
    process.on('SIGTERM', () => end('asked to end (SIGTERM)'))
    process.on('SIGINT', () => end('asked to end (SIGINT)'))
    // Children outlive a parent that was killed; without it nobody would retire this one.
    if (process.connected) process.on('disconnect', () => end('the supervisor is gone'))
  },
}
