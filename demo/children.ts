/**
 * The demonstration's subprocesses, each a command of the project. Stopped in reverse: what was
 * started last ends first.
 */
import type { Subprocess } from 'bun'

const graceMs = 15_000

export class Children {
  readonly #environment: Record<string, string | undefined>
  readonly #running: Subprocess[] = []

  constructor(environment: Record<string, string | undefined>) {
    this.#environment = environment
  }

  /** Starts a command that runs until it is stopped. */
  start(command: string[], output: 'inherit' | 'ignore' = 'inherit'): Subprocess {
    const child = Bun.spawn([process.execPath, ...command], {
      env: this.#environment,
      stdin: 'ignore',
      stdout: output,
      stderr: output,
    })
    this.#running.push(child)
    return child
  }

  /** Runs a command to its end; its exit code. */
  run(command: string[]): Promise<number> {
    return this.start(command).exited
  }

  /** SIGTERM, a bounded wait, SIGKILL. */
  async end(child: Subprocess): Promise<void> {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await child.exited
    clearTimeout(timer)
  }

  async stop(): Promise<void> {
    for (const child of this.#running.toReversed()) {
      if (child.exitCode === null && child.signalCode === null) await this.end(child)
    }
  }
}
