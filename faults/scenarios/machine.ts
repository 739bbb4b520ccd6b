/**
 * What a machine does to processes: it lacks a library, a core, a file, or holds a record that kills.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { systemHost } from '../../actors/host.ts'
import { uniqueName } from '../names.ts'
import {
  connectionsOf,
  hogCores,
  killOne,
  limitFiles,
  processesOf,
  someone,
  startByHand,
} from '../actions/processes.ts'
import type { Fault } from '../fault.ts'
import { killQuietly, type Pipeline } from '../pipeline.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'

const trap = join(tmpdir(), uniqueName('millrace-trap'))
/** Refusals before a kind is given up, and a few that were on their way. */
const STARTS_MAX = 16
/** Side by side in one batch, and alone. */
const POISONED = [700, 702, 1_501]

export const machineFaults: Fault[] = [
  {
    id: 'F11',
    title: 'every executor dies at its start, until that is mended',
    holds: 'restarts further and further apart, then degraded with the reason, then back by itself',
    setting: { job: 'trapped', environment: { MILLRACE_TEST_TRAP: trap } },
    shows: /executor failed: .*lacks a library/,
    happens: crashLoop,
  },
  {
    id: 'F12',
    title: 'one executor is 50 times slower than the others',
    holds: 'others take its share; what it holds stays with it, and nobody waits for it long',
    shippedJobOnly: true,
    setting: {
      unstarted: true,
      spinUs: 40,
      rate: 4_000,
      args: ['--from', 'earliest', '--min', '3'],
    },
    happens: slowOne,
  },
  {
    id: 'F43',
    title: 'records that kill whoever works on them',
    holds: 'only they are rejected, with their offsets; their neighbours count',
    shows: /executor died/,
    setting: { job: 'poison', rate: 0, unstarted: true },
    happens: poison,
  },
  {
    id: 'F45',
    title: 'no more files: the supervisor can open none, and an executor dies',
    holds: 'the log says so; the next executor starts when there are files again',
    linuxOnly: true,
    shows: /EMFILE|too many open files/i,
    async happens(world) {
      const { pipeline } = world
      const { pid } = pipeline.supervisors[0]!.process
      await limitFiles(pid, 0)
      try {
        await killOne(pipeline, 'executor')
        await until(
          'the log to say so',
          () => pipeline.logLines(/EMFILE|too many open/i).length > 0,
        )
      } finally {
        await limitFiles(pid, null)
      }
      const before = await world.committed()
      const more = async () => (await world.committed()) > before
      await world.recovers('work to go on with files again', 5_000, more)
    },
  },
  {
    id: 'F45b',
    title: 'no more files: an executor and the bridge lose their connections and can open none',
    holds: 'they are ended and replaced',
    linuxOnly: true,
    shows: /died.*stuck/,
    async happens(world) {
      const { pipeline } = world
      for (const kind of ['bridge', 'executor'] as const) {
        const { pid } = await someone(pipeline, kind)
        await limitFiles(pid, 0)
        await cutConnectionsOf(pipeline, pid)
        await world.recovers(`another ${kind} at work`, 10_000, async () =>
          (await pipeline.alive(kind)).some((one) => one.pid !== pid && one.state === 'running'),
        )
        await world.commits(1_000)
      }
    },
  },
  {
    id: 'F46',
    title: 'every core is taken by others, twice over, for 10 s',
    holds: 'nobody is taken for dead; it goes on slowly and then as before',
    async happens(world) {
      const { pipeline } = world
      const hog = hogCores(2 * systemHost.cores)
      try {
        for (const end = systemClock.elapsed() + 10_000; systemClock.elapsed() < end; ) {
          await world.commits(500)
        }
      } finally {
        await hog.end()
      }
      const deaths = pipeline.logLines(/died/)
      world.note(`${deaths.length} taken for dead`)
      if (deaths.length > 0) throw new Error(`taken for dead: ${deaths[0]!.slice(0, 200)}`)
      await world.recovers('records to be committed as before', 2_000, async () => {
        await world.commits(500)
        return true
      })
    },
  },
]

async function crashLoop(world: World): Promise<void> {
  const { pipeline } = world
  writeFileSync(trap, '')
  try {
    const starts = () => pipeline.logLines(/"executor started"/).length
    for (const { pid } of processesOf(pipeline, 'executor')) killQuietly(pid, 'SIGKILL')
    const degraded = async () => {
      const status = await pipeline.status()
      return status.state === 'degraded' && status.reason?.includes('lacks a library')
    }
    const before = starts()
    await until('the job to be degraded, with the reason', degraded, { timeoutMs: 60_000 })
    const times = starts() - before
    world.note(`given up after ${times} starts`)
    if (times > STARTS_MAX) throw new Error(`${times} starts before it was given up`)
    const tried = starts()
    await systemClock.sleep(3_000)
    if (starts() > tried + 1) throw new Error('it is tried again without a pause')
  } finally {
    if (existsSync(trap)) rmSync(trap)
  }
  const before = await world.committed()
  await world.recovers(
    'work to go on when it is mended',
    65_000,
    async () => (await world.committed()) > before,
  )
}

async function slowOne(world: World): Promise<void> {
  const { pipeline } = world
  const slow = startByHand(pipeline, 'executor', { MILLRACE_TEST_SPIN_US: '2000' })
  const account = async () => (await pipeline.alive('executor')).find(({ pid }) => pid === slow.pid)
  // There before the supervisor, it counts as one of three, and nobody asks it to go.
  await until('the slow one to be there', account)
  await pipeline.begin()
  await until('the slow one to work', async () => ((await account())?.records ?? 0) > 0, {
    timeoutMs: 30_000,
  })
  const before = await world.committed()
  await world.fill(20_000, 2)
  await world.commits(30_000, 'the others to go on')
  const share = ((await account())?.records ?? 0) / ((await world.committed()) - before)
  world.note(`${Math.round(share * 100)} % of the records went to the slow one`)
  await world.quiet()
  await world.recovers('all of it done', 20_000, () => pipeline.drained())
  const moved = pipeline.logLines(/entries were taken over/).length
  if (moved > 0) throw new Error(`entries went from hand to hand ${moved} times`)
  slow.kill('SIGTERM')
  if ((await slow.exited) !== 0) throw new Error('the slow one did not end in order')
}

async function poison(world: World): Promise<void> {
  const { pipeline } = world
  const records = Array.from({ length: 2_000 }, (_, i) =>
    JSON.stringify({
      timestamp: systemClock.now() / 1_000,
      student_id: 'CS-2021000',
      student_name: 'Ada',
      course: 'Operating Systems',
      activity: 'coding',
      tool_used: 'vim',
      lines_of_code: 10,
      last_error: null,
      cpu_usage_pct: 50,
      ...(POISONED.includes(i) ? { poison: true } : {}),
    }),
  )
  await pipeline.topic.produce(records)
  await pipeline.begin()
  await pipeline.drained({ timeoutMs: 90_000 })
  const rejects = await pipeline.rejects()
  const told = rejects.map(({ reason, value }) => `${reason} ${value.includes('poison')}`)
  if (told.length !== POISONED.length || told.some((one) => one !== 'poison true')) {
    throw new Error(`rejects: ${told.join(', ')}`)
  }
}

/** All of Redis's connections to a process, by their ports on our side. */
async function cutConnectionsOf(pipeline: Pipeline, pid: number): Promise<void> {
  const { redis } = pipeline.store
  const ports = new Set(connectionsOf(pid).map(({ localPort }) => localPort))
  const clients = String(await redis.call('CLIENT', 'LIST')).split('\n')
  for (const line of clients) {
    const found = /\bid=(\d+) addr=\S+:(\d+) /.exec(line)
    if (found && ports.has(Number(found[2]))) await redis.call('CLIENT', 'KILL', 'ID', found[1]!)
  }
}
