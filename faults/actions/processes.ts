/**
 * What can be done to our own processes: killed, stopped, crowded, starved. Small acts that faults
 * and the random nemesis are put together from; each leaves it to the pipeline to get over it.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import { systemClock } from '../../actors/clock.ts'
import { GROUP } from '../../actors/keys.ts'
import type { Actor } from '../../actors/messages.ts'
import { killQuietly, type Pipeline, type SupervisorProcess } from '../pipeline.ts'
import { until, type UntilOptions } from '../until.ts'

export type Kind = Actor['kind']

/** Scripts by which a process of a pipeline is known; compiled ones end in .js. */
const scripts: Record<Kind, string> = {
  supervisor: 'supervisor/main.ts',
  bridge: 'actors/bridge/main.ts',
  executor: 'actors/executor/main.ts',
  sinks: 'actors/sinks/main.ts',
  web: 'web/main.ts',
}

/** Any one of a kind that is at work; waits for the first. */
export async function someone(
  pipeline: Pipeline,
  kind: Kind,
  random: () => number = systemClock.random,
): Promise<Actor> {
  return until(`some ${kind} at work`, async () => {
    const working = (await pipeline.alive(kind)).filter(({ state }) => state === 'running')
    return working[Math.floor(random() * working.length)]
  })
}

/**
 * An executor that has entries in hand at this moment; where records cost next to nothing, and nobody
 * is met with any for a while, anyone.
 */
export async function someoneBusy(pipeline: Pipeline): Promise<Actor> {
  const patienceEnds = systemClock.elapsed() + 5_000
  return until(
    'an executor with entries in hand',
    async () => {
      const executors = await pipeline.alive('executor')
      for (const executor of executors) {
        if ((await entriesOf(pipeline, executor.id)).length > 0) return executor
      }
      return systemClock.elapsed() > patienceEnds ? executors[0] : null
    },
    { everyMs: 5, timeoutMs: 30_000 },
  )
}

/** kill -9 of any one of a kind; null where there is none at the moment. */
export async function killOne(
  pipeline: Pipeline,
  kind: Kind,
  random: () => number = systemClock.random,
): Promise<Actor | null> {
  const alive = await pipeline.alive(kind)
  const victim = alive[Math.floor(random() * alive.length)]
  return victim && killQuietly(victim.pid, 'SIGKILL') ? victim : null
}

/** kill -9 of everything that the pipeline runs. */
export async function killEverything(pipeline: Pipeline): Promise<number> {
  const all = Object.keys(scripts).flatMap((kind) => processesOf(pipeline, kind as Kind))
  for (const { pid } of all) killQuietly(pid, 'SIGKILL')
  for (const { process: child } of pipeline.supervisors) {
    child.kill('SIGKILL')
    await child.exited
  }
  return all.length
}

/** Stops any one of a kind for a time, and lets it go on; null where there is none at the moment. */
export async function stopAndContinue(
  pipeline: Pipeline,
  kind: Kind,
  ms: number,
  random: () => number = systemClock.random,
): Promise<Actor | null> {
  const alive = await pipeline.alive(kind)
  const victim = alive[Math.floor(random() * alive.length)]
  if (!victim || !killQuietly(victim.pid, 'SIGSTOP')) return null
  await systemClock.sleep(ms)
  killQuietly(victim.pid, 'SIGCONT')
  return victim
}

/** kill -9 of the supervisor that was started last; another is started, as an init system would. */
export async function replaceSupervisor(pipeline: Pipeline): Promise<SupervisorProcess> {
  const { process: old } = pipeline.supervisors.at(-1)!
  old.kill('SIGKILL')
  await old.exited
  return pipeline.start()
}

/** A second one that stands by; of another copy of the project where one is given. */
export async function startSecondSupervisor(
  pipeline: Pipeline,
  args?: string[],
  copy?: string,
): Promise<SupervisorProcess> {
  const second = await pipeline.start(args, copy)
  await until('the second supervisor to be there', async () =>
    (await pipeline.alive('supervisor')).some(({ pid }) => pid === second.process.pid),
  )
  return second
}

/** The leading supervisor's pid; null where nobody leads. */
export async function leadingPid(pipeline: Pipeline): Promise<number | null> {
  const { leader, actors } = await pipeline.snapshot()
  return actors.find(({ id }) => id === leader)?.pid ?? null
}

export const leads =
  (pipeline: Pipeline, { process: { pid } }: SupervisorProcess) =>
  async () =>
    (await leadingPid(pipeline)) === pid

/** Processes of a kind, whether they have said who they are or not. */
export const processesOf = (pipeline: Pipeline, kind: Kind): { pid: number; command: string }[] =>
  pipeline.processes().filter(({ command }) => command.includes(scripts[kind].replace(/ts$/, '')))

/** An actor by hand, beside those of the supervisor or in place of them. */
export function startByHand(
  pipeline: Pipeline,
  kind: 'bridge' | 'executor',
  environment: Record<string, string> = {},
  copy = '',
): Subprocess {
  const args = kind === 'bridge' ? ['--from', 'earliest'] : []
  return pipeline.spawn([join(copy, scripts[kind]), pipeline.jobFile, ...args], environment)
}

/** Entries that an executor has in hand. */
export async function entriesOf(pipeline: Pipeline, executor: string): Promise<string[]> {
  const { redis } = pipeline.store
  const pending = await redis.xpending(pipeline.keys.entries, GROUP, '-', '+', 1_000, executor)
  return (pending as [string][]).map(([id]) => id)
}

/** Whether entries are done: nobody holds them and none waits. */
export async function areDone(pipeline: Pipeline, entries: readonly string[]): Promise<boolean> {
  const { redis } = pipeline.store
  for (const id of entries) {
    if ((await redis.xrange(pipeline.keys.entries, id, id)).length > 0) return false
  }
  return true
}

/** Where the bridge stands: the next offsets of all partitions, added up. */
export async function appendedTo(pipeline: Pipeline): Promise<number> {
  const { partitions } = await pipeline.snapshot()
  return partitions.reduce((sum, { next }) => sum + next, 0)
}

/** Which partitions each bridge reads. */
export async function sharesOf(pipeline: Pipeline): Promise<Map<string, string[]>> {
  const readers = Object.entries(await pipeline.store.redis.hgetall(pipeline.keys.readers))
  const grouped = Map.groupBy(readers, ([, bridge]) => bridge)
  return new Map([...grouped].map(([bridge, own]) => [bridge, own.map(([p]) => p)]))
}

/** Waits until so many bridges read about as many partitions each, and all of them together. */
export async function shared(
  pipeline: Pipeline,
  bridges: number,
  options?: UntilOptions,
): Promise<Map<string, string[]>> {
  return until(
    `${bridges} bridges to share the partitions`,
    async () => {
      const shares = await sharesOf(pipeline)
      const alive = new Set((await pipeline.alive('bridge')).map(({ id }) => id))
      const sizes = [...shares].map(([id, own]) => (alive.has(id) ? own.length : -1))
      const { length } = (await pipeline.snapshot()).partitions
      const even = sizes.every((size) => Math.abs(size - length / bridges) < 1)
      const whole = sizes.reduce((sum, size) => sum + size, 0) === length
      const readers = Math.min(bridges, length)
      if (sizes.length === readers && even && whole) return shares
      throw new Error(`shares of ${length} partitions: ${sizes.join() || 'none'}`)
    },
    { timeoutMs: 60_000, ...options },
  )
}

/** The next offset of each partition. */
export async function nextOffsets(pipeline: Pipeline): Promise<number[]> {
  return (await pipeline.snapshot()).partitions.map(({ next }) => next)
}

/** Whether every partition has been read on from there. */
export const readOn = (pipeline: Pipeline, from: readonly number[]) => async () => {
  const now = await nextOffsets(pipeline)
  if (now.length === from.length && now.every((next, p) => next > from[p]!)) return true
  throw new Error(`next offsets ${now.join()}, from ${from.join()}`)
}

export interface Connection {
  localPort: number
  remotePort: number
  /** Bytes that have come in and that the process has not read. */
  unread: number
}

/** A process's TCP connections; by /proc, so it works while the process is stopped. */
export function connectionsOf(pid: number): Connection[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        // Closed since it was listed.
        return []
      }
    }),
  )
  return readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => inodes.has(fields[9] ?? ''))
    .map(([, local, remote, , queues]) => ({
      localPort: hex(local),
      remotePort: hex(remote),
      unread: hex(queues),
    }))
}

/** The part behind the colon of `0100007F:18EB`. */
const hex = (text: string | undefined) => Number.parseInt(text?.split(':')[1] ?? '', 16)

/** Takes `count` processor cores away until it is ended. */
export function hogCores(count: number): { end(): Promise<void> } {
  const loops = Array.from({ length: count }, () =>
    Bun.spawn(['timeout', '60', 'sh', '-c', 'while :; do :; done'], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    }),
  )
  return {
    async end() {
      for (const loop of loops) loop.kill('SIGTERM')
      await Promise.all(loops.map(({ exited }) => exited))
    },
  }
}

/** How many more files a process may open: what it has stays open. `null` lifts the limit again. */
export async function limitFiles(pid: number, more: number | null): Promise<void> {
  const [soft, hard] = filesOf(pid)
  const open = readdirSync(`/proc/${pid}/fd`).length
  const limit = more === null ? Math.max(hard, soft) : open + more
  const child = Bun.spawn(['prlimit', '--pid', String(pid), `--nofile=${limit}:`], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const told = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`prlimit: ${told.trim()}`)
}

function filesOf(pid: number): [soft: number, hard: number] {
  const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(
    readFileSync(`/proc/${pid}/limits`, 'latin1'),
  )
  return [Number(line?.[1]), Number(line?.[2])]
}
