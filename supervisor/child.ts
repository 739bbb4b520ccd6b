/**
 * One child process: started with an IPC channel, so that it notices when we die, its log lines
 * passed on, its end told with a reason. The one file that starts processes and sends signals.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../actors/clock.ts'
import { createHandFile, type InHand, readHand } from '../actors/executor/hand.ts'
import { systemHost } from '../actors/host.ts'
import { newActorId } from '../actors/lifecycle.ts'
import { type Actor, noWork } from '../actors/messages.ts'
import { environmentOf } from './logins.ts'
import { runtime } from './runtime.ts'

export interface Child {
  id: string
  kind: Actor['kind']
  pid: number
  /** Epoch ms. */
  startedAt: number
  /** The supervisor whose child it says that it is; pods say of none. */
  of?: string | undefined
  /** Resolves when the process has ended. */
  exited: Promise<Exit>
  signal(name: 'SIGTERM' | 'SIGKILL'): void
  /** What it has in hand, or had when it ended: null for nothing, undefined where it can't be said. */
  inHand?(): InHand | null | undefined
  /** Its memory in use; null where the system does not say. */
  residentBytes?(): number | null
  /** It lives on without us: in a cluster, not as a process of this one. */
  elsewhere?: Elsewhere
}

/** What is different about a child that is no child process. */
export interface Elsewhere {
  host: string
  /** The machine that it runs on, as far as that is known: what it may be lost with. */
  machine?(): string | null
  /** It runs; before that it waits for a place, or for its image. */
  hasBegun(): boolean
  /** Why it is about to go without having been asked by us; null where it is not. */
  leaving(): string | null
  /** It was made from a description that says something else by now. */
  isOutdated(): boolean
  /** We do not look after it any more: it goes on. */
  release(): void
}

/** One that lives on after its supervisor; `warm` where it may still wait to be let begin. */
export interface Orphan {
  id: string
  warm: boolean
}

/** Where children live that outlive us, and where the next supervisor finds them. */
export interface Foundlings {
  orphans(): Orphan[]
  adopt(orphan: Orphan): Child
}

export interface Exit {
  code: number | null
  signal: string | null
  /** The last line that it wrote to stderr; '' for none. */
  lastLine: string
}

/** Starts one actor of a kind; one that is warm waits until it is let begin (executor/warm.ts). */
export type Spawn = (kind: Actor['kind'], warm?: boolean) => Child

export interface SpawnOptions {
  /** Program and arguments for an actor with this id. */
  command: (kind: Actor['kind'], id: string, warm: boolean) => string[]
  /** Takes a child's line of stderr. */
  output: (line: string) => void
  clock: Clock
  /** Whose children they are. */
  supervisor?: string
  /** Ours by default. */
  environment?: Record<string, string | undefined>
}

/**
 * JavaScriptCore's last compiler spends more on a bridge's code than it gains there: what a bridge does is
 * mostly the kernel's and the sockets' work. Measured over 15 s at full speed: without it six sevenths
 * of the processor time. Who has set it otherwise is obeyed.
 */
const withoutFtl = { BUN_JSC_useFTLJIT: '0' }

const preload = join(import.meta.dir, 'preload.ts')

/** `bun` itself as a command, whatever started us, with what every child needs first. */
export const bunCommand = (script: string, args: string[]): string[] => [
  process.execPath,
  '--preload',
  preload,
  script,
  ...args,
]

/** The environment goes to the child; secrets are in it and never among the arguments. */
export function spawner(options: SpawnOptions): Spawn {
  const { command, output, clock, supervisor, environment = process.env } = options
  sweepHands()
  return (kind, warm = false) => {
    const id = newActorId(kind, clock)
    const hand = kind === 'executor' ? new HandFile(id) : null
    const child = Bun.spawn(command(kind, id, warm), {
      env: {
        ...runtime,
        ...(kind === 'bridge' && withoutFtl),
        ...environmentOf(kind, environment),
        ...(hand && { MILLRACE_HAND: hand.path }),
        MILLRACE_SUPERVISOR: supervisor,
        // Says that we live (actors/host.ts), not that they do.
        MILLRACE_ALIVE_FILE: undefined,
      },
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'pipe',
      // Children have nothing to say here: the channel is for `disconnect` alone.
      ipc() {},
    })
    const lines = passLines(child.stderr, output)
    // A grandchild may hold the pipe open for long; the exit must not wait for it.
    const exited = child.exited.then(async () => {
      hand?.end()
      return {
        code: child.exitCode,
        signal: child.signalCode === null ? null : String(child.signalCode),
        lastLine: await Promise.race([lines, clock.sleep(200).then(() => '')]),
      }
    })
    const { pid } = child
    return {
      id,
      kind,
      pid,
      startedAt: clock.now(),
      of: supervisor,
      exited,
      signal: (name) => child.kill(name),
      inHand: () => hand?.read(),
      residentBytes: () => residentBytes(pid),
    }
  }
}

/** A child's file of what it has in hand; outlives its process until it was read for the last time. */
class HandFile {
  readonly path: string
  #last: { hand: InHand | null | undefined } | null = null

  constructor(id: string) {
    this.path = join(tmpdir(), `millrace-${process.pid}-${id}.hand`)
    createHandFile(this.path)
  }

  read(): InHand | null | undefined {
    return this.#last ? this.#last.hand : readHand(this.path)
  }

  end(): void {
    this.#last = { hand: readHand(this.path) }
    rmSync(this.path, { force: true })
  }
}

/** Files that supervisors which were killed have left; an executor that still has one keeps it. */
function sweepHands(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = /^millrace-(\d+)-executor-\w+\.hand$/.exec(name)?.[1]
    if (owner !== undefined && !isAlive(Number(owner)))
      rmSync(join(tmpdir(), name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Another user's process may not be signalled, and lives.
    return (error as { code?: string }).code !== 'ESRCH'
  }
}

/** Linux tells it at once, where a heartbeat is up to a second old; elsewhere null. */
function residentBytes(pid: number): number | null {
  if (process.platform !== 'linux') return null
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? null : Number(kilobytes) * 1_024
  } catch {
    return null
  }
}

/** "killed by SIGKILL", or what it said last; commands put their own name in front of that. */
export function exitReason(kind: string, { code, signal, lastLine }: Exit): string {
  if (signal) return `killed by ${signal}`
  if (code === 0) return 'ended without taking its leave'
  const said = lastLine.startsWith(`${kind}: `) ? lastLine.slice(kind.length + 2) : lastLine
  return said ? `${said.slice(0, 300)} (exit code ${code})` : `exit code ${code}`
}

/** The first account of a child, until it speaks for itself; `end` makes it the last one. */
export function accountOf(
  child: Child,
  end?: { state: 'dead'; at: number; reason: string },
): Actor {
  return {
    id: child.id,
    kind: child.kind,
    pid: child.pid,
    host: child.elsewhere?.host ?? systemHost.name,
    state: end?.state ?? 'starting',
    startedAt: child.startedAt,
    at: end?.at ?? child.startedAt,
    stoppedAt: end?.at ?? null,
    reason: end?.reason ?? null,
    rssBytes: 0,
    ...(child.of !== undefined && { of: child.of }),
    ...noWork,
  }
}

async function passLines(
  stream: ReadableStream<Uint8Array>,
  output: (line: string) => void,
): Promise<string> {
  const decoder = new TextDecoder()
  let rest = ''
  let last = ''
  const pass = (line: string) => {
    if (line.trim() === '') return
    // Bun ends an uncaught error with its stack and its version; what it says comes before.
    if (!/^(\s+at |Bun v\d)/.test(line)) last = line
    output(line)
  }
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    // A line without an end is passed on in pieces rather than kept without bound.
    rest = lines.pop()!
    if (rest.length > 64 * 1024) lines.push(rest)
    if (rest.length > 64 * 1024) rest = ''
    for (const line of lines) pass(line)
  }
  pass(rest)
  return last
}
