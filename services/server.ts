/**
 * One server process of ours: starts it, waits for a real answer, stops it by signal, starts it
 * again on the same data and port. States: stopped → running → stopped; a process that ends by
 * itself is stopped as well.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Subprocess } from 'bun'
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { isListening } from './ports.ts'

export interface ServerPlan {
  name: string
  command: string[]
  /** All of these must be free before the start; the first is the one that clients use. */
  ports: [number, ...number[]]
  logFile: string
  /** True once the server answers a call of its own protocol; must not throw. */
  answers: () => Promise<boolean>
  /** Goes on when this process has ended. */
  detached: boolean
}

export interface Server {
  readonly name: string
  readonly port: number
  readonly logFile: string
  /** Of the running process, or of the last one. */
  readonly pid: number
  readonly running: boolean
  /** Resolves when the server answers. @throws RefusalError when it does not come up */
  start(): Promise<void>
  /** Sends `signal` (SIGTERM) and resolves when the process has ended; harmless when it has. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 20_000
const ASK_EVERY_MS = 25

export function createServer(plan: ServerPlan): Server {
  let child: Subprocess | undefined
  const running = () => child !== undefined && child.exitCode === null && child.signalCode === null
  return {
    name: plan.name,
    port: plan.ports[0],
    logFile: plan.logFile,
    get pid() {
      return child?.pid ?? 0
    },
    get running() {
      return running()
    },
    async start() {
      if (running()) return
      await refuseTakenPorts(plan)
      child = spawnServer(plan)
      await untilAnswers(plan, child)
    },
    async stop(signal = 'SIGTERM') {
      if (child && running()) await endProcess(child, signal)
    },
  }
}

async function refuseTakenPorts(plan: ServerPlan): Promise<void> {
  for (const port of plan.ports) {
    if (!(await isListening(port))) continue
    throw new RefusalError(`${plan.name} can't start: 127.0.0.1:${port} is in use already`)
  }
}

function spawnServer(plan: ServerPlan): Subprocess {
  mkdirSync(dirname(plan.logFile), { recursive: true })
  const log = openSync(plan.logFile, 'a')
  try {
    const child = Bun.spawn([...(plan.detached ? [] : dieWithParent()), ...plan.command], {
      stdin: 'ignore',
      stdout: log,
      stderr: log,
      // A process group of its own: Ctrl-C on the terminal must reach us first, who stop in order.
      detached: true,
    })
    // What is waited for is named by the waiting code; a server alone keeps no program alive.
    child.unref()
    return child
  } finally {
    closeSync(log)
  }
}

/** Before a command: on Linux the kernel ends it when we are killed in a way that we can't handle. */
export function dieWithParent(): string[] {
  if (process.platform !== 'linux') return []
  const setpriv = Bun.which('setpriv')
  return setpriv ? [setpriv, '--pdeathsig', 'TERM', '--'] : []
}

async function untilAnswers(plan: ServerPlan, child: Subprocess): Promise<void> {
  const deadline = systemClock.elapsed() + START_TIMEOUT_MS
  while (systemClock.elapsed() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new RefusalError(`${plan.name} ended at start: ${lastWords(plan.logFile)}`)
    }
    if ((await isListening(plan.ports[0])) && (await plan.answers())) return
    await systemClock.sleep(ASK_EVERY_MS)
  }
  await endProcess(child, 'SIGKILL')
  throw new RefusalError(
    `${plan.name} did not answer within ${START_TIMEOUT_MS / 1000} s: ${lastWords(plan.logFile)}`,
  )
}

async function endProcess(child: Subprocess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal)
  const ended = await Promise.race([
    child.exited.then(() => true),
    systemClock.sleep(STOP_TIMEOUT_MS).then(() => false),
  ])
  if (ended) return
  child.kill('SIGKILL')
  await child.exited
}

function lastWords(logFile: string): string {
  if (!existsSync(logFile)) return 'it left no log'
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n')
  const telling = lines.findLast((line) => /error|fatal|exception|can't|could not/i.test(line))
  return `${(telling ?? lines.at(-1) ?? '').trim().slice(0, 300)} (${logFile})`
}
