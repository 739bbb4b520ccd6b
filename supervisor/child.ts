/**
 * One child process: started with an IPC channel, so that it notices when we die, its log lines
 * passed on, its end told with a reason. The one file that starts processes and sends signals.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../actors/clock.ts'
import { newActorId } from '../actors/lifecycle.ts'
import { type Actor, noWork } from '../actors/messages.ts'

export interface Child {
  id: string
  kind: Actor['kind']
  pid: number
  /** Epoch ms. */
  startedAt: number
  /** Resolves when the process has ended. */
  exited: Promise<Exit>
  signal(name: 'SIGTERM' | 'SIGKILL'): void
}

export interface Exit {
  code: number | null
  signal: string | null
  /** The last line that it wrote to stderr; '' for none. */
  lastLine: string
}

/** Starts one actor of a kind. */
export type Spawn = (kind: Actor['kind']) => Child

export interface SpawnOptions {
  /** Program and arguments for an actor with this id. */
  command: (kind: Actor['kind'], id: string) => string[]
  /** Takes a child's line of stderr. */
  output: (line: string) => void
  clock: Clock
  /** Ours by default. */
  environment?: Record<string, string | undefined>
}

const preload = join(import.meta.dir, 'preload.ts')

/** `bun` itself as a command, whatever started us, with what every child needs first. */
export const bunCommand = (script: string, args: string[]): string[] => [
  process.execPath,
  '--preload',
  preload,
  script,
  ...args,
]

/** The environment goes to the child as it is; secrets are in it and never among the arguments. */
export function spawner(options: SpawnOptions): Spawn {
  const { command, output, clock, environment = process.env } = options
  return (kind) => {
    const id = newActorId(kind, clock)
    const child = Bun.spawn(command(kind, id), {
      env: environment,
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'pipe',
      // Children have nothing to say here: the channel is for `disconnect` alone.
      ipc() {},
    })
    const lines = passLines(child.stderr, output)
    // A grandchild may hold the pipe open for long; the exit must not wait for it.
    const exited = child.exited.then(async () => ({
      code: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
      lastLine: await Promise.race([lines, clock.sleep(200).then(() => '')]),
    }))
    const startedAt = clock.now()
    return { id, kind, pid: child.pid, startedAt, exited, signal: (name) => child.kill(name) }
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
    host: hostname(),
    state: end?.state ?? 'starting',
    startedAt: child.startedAt,
    at: end?.at ?? child.startedAt,
    stoppedAt: end?.at ?? null,
    reason: end?.reason ?? null,
    rssBytes: 0,
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
