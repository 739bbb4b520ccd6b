/**
 * Who leads: supervisors that are killed, stopped, too many, or of another version.
 */
import { systemClock } from '../../actors/clock.ts'
import {
  leadingPid,
  leads,
  processesOf,
  replaceSupervisor,
  startByHand,
  startSecondSupervisor,
} from '../actions/processes.ts'
import type { Fault } from '../fault.ts'
import type { Pipeline } from '../pipeline.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import { anotherVersion } from '../version.ts'

/** From the lease's end to the next look of whoever stands by. */
const LOOK_MS = 500
const LEASE_MS = 3_000
const MAX = 2
const limited = ['--from', 'earliest', '--max', String(MAX)]

export const supervisorFaults: Fault[] = [
  {
    id: 'F04',
    title: 'kill -9 of the supervisor, twice; somebody starts another at once',
    holds: 'it leads within 5 s; the children of the dead one leave in order',
    linuxOnly: true,
    shows: /leading/,
    setting: { spinUs: 50, backlog: 20_000 },
    async happens(world) {
      const { pipeline } = world
      for (let round = 0; round < 2; round++) {
        const orphans = new Set(pipeline.processes().map(({ pid }) => pid))
        const next = await replaceSupervisor(pipeline)
        await world.recovers('the next one to lead', 5_000, leads(pipeline, next))
        await world.commits()
        await until('the children of the dead one to leave', () =>
          (['bridge', 'executor', 'web'] as const).every((kind) =>
            processesOf(pipeline, kind).every(({ pid }) => !orphans.has(pid)),
          ),
        )
        await inOrder(pipeline, orphans)
      }
    },
  },
  {
    id: 'F04b',
    title: 'kill -9 of the supervisor while a second one stands by',
    holds: 'the second leads when the lease ends',
    smoke: true,
    shows: /standing by/,
    setting: { spinUs: 50, backlog: 20_000, args: limited, executorsMax: MAX },
    async happens(world) {
      const { pipeline } = world
      const [first] = pipeline.supervisors
      const second = await startSecondSupervisor(pipeline)
      first!.process.kill('SIGKILL')
      await world.recovers('the second to lead', LEASE_MS + LOOK_MS, leads(pipeline, second))
      await world.commits()
    },
  },
  {
    id: 'F04c',
    title: 'kill -9 of the supervisor while its children start',
    holds: 'whoever was just born leaves too: nobody is left behind',
    linuxOnly: true,
    setting: { rate: 500 },
    happens: orphansAtBirth,
  },
  {
    id: 'F09',
    title: 'three supervisors at once',
    holds: 'one leads, and there are never more executors than one may have',
    linuxOnly: true,
    shows: /standing by/,
    setting: { unstarted: true, spinUs: 50, backlog: 40_000, args: limited, executorsMax: MAX },
    async happens(world) {
      const { pipeline } = world
      await Promise.all(Array.from({ length: 3 }, () => pipeline.start()))
      await until('one to lead', () => leadingPid(pipeline))
      await until('the others to stand by', () => pipeline.logLines(/standing by/).length === 2)
      const end = systemClock.elapsed() + 5_000
      await until('5 s with at most so many children', () => {
        atMost(pipeline, 'executor', MAX)
        atMost(pipeline, 'bridge', 1)
        return systemClock.elapsed() > end
      })
      await world.commits()
    },
  },
  {
    id: 'F10',
    title: 'SIGSTOP of the supervisor; a second one takes over, the first wakes up',
    holds: 'one leads, one bridge works, no more executors than allowed',
    linuxOnly: true,
    smoke: true,
    shows: /standing by/,
    setting: { spinUs: 50, backlog: 20_000, args: limited, executorsMax: MAX },
    happens: sleeper,
  },
  {
    id: 'F10b',
    title: 'SIGSTOP of the only supervisor for 8 s',
    holds: 'work goes on without it; it leads again with the children that it had',
    linuxOnly: true,
    setting: { args: limited, executorsMax: MAX },
    async happens(world) {
      const { pipeline } = world
      const { process: supervisor } = pipeline.supervisors[0]!
      supervisor.kill('SIGSTOP')
      for (const end = systemClock.elapsed() + 8_000; systemClock.elapsed() < end; ) {
        await world.commits(100)
        atMost(pipeline, 'executor', MAX)
      }
      supervisor.kill('SIGCONT')
      await world.recovers('it to lead again', 5_000, leads(pipeline, pipeline.supervisors[0]!))
      await world.commits()
      atMost(pipeline, 'executor', MAX)
    },
  },
  {
    id: 'F44',
    title: 'rolling upgrade: another version beside the old one, then in its place',
    holds: 'both commit side by side; the old one leaves in order',
    shows: /standing by/,
    setting: { unstarted: true, spinUs: 20, args: ['--from', 'earliest', '--min', '2'] },
    happens: upgrade,
  },
]

/** At once: an old bridge that waits for its end beside the new one is no rival. */
function atMost(pipeline: Pipeline, kind: 'executor' | 'bridge', max: number): void {
  const count = processesOf(pipeline, kind).length
  if (count > max) throw new Error(`${count} processes of ${kind}s`)
}

/** What they had in hand was committed or handed back, and nobody is suspected for it. */
async function inOrder(pipeline: Pipeline, pids: ReadonlySet<number>): Promise<void> {
  const { actors } = await pipeline.snapshot()
  const wrong = actors.filter(
    ({ kind, pid, state }) => kind === 'executor' && pids.has(pid) && state !== 'stopped',
  )
  if (wrong.length > 0)
    throw new Error(`executors ended as ${wrong.map(({ state }) => state).join(', ')}`)
  const suspected = await pipeline.store.redis.hlen(pipeline.keys.crashes)
  if (suspected > 0) throw new Error(`${suspected} entries are under suspicion`)
}

/** Again and again at other moments of the children's start, and none may be left behind. */
async function orphansAtBirth(world: World): Promise<void> {
  const { pipeline } = world
  for (let round = 0; round < 6; round++) {
    const { process: supervisor } = pipeline.supervisors.at(-1)!
    await until('its children to be born', () => processesOf(pipeline, 'bridge').length > 0, {
      everyMs: 2,
    })
    await systemClock.sleep(round * 40)
    supervisor.kill('SIGKILL')
    await supervisor.exited
    const childless = () =>
      (['bridge', 'executor', 'web'] as const).every(
        (kind) => processesOf(pipeline, kind).length === 0,
      )
    await world.recovers('all of its children to leave', 10_000, childless)
    await pipeline.start()
  }
  await until('the last one to lead', leads(pipeline, pipeline.supervisors.at(-1)!))
  await world.commits()
}

async function sleeper(world: World): Promise<void> {
  const { pipeline } = world
  const [first] = pipeline.supervisors
  const second = await startSecondSupervisor(pipeline)
  first!.process.kill('SIGSTOP')
  await world.recovers('the second to lead', LEASE_MS + LOOK_MS, leads(pipeline, second))
  first!.process.kill('SIGCONT')
  await world.fill(10_000, 2)
  await world.commits(5_000)
  const working = async () =>
    (await pipeline.alive('bridge')).filter(({ state }) => state !== 'stopped').length
  await until('one bridge to be left', async () => (await working()) === 1)
  if ((await leadingPid(pipeline)) !== second.process.pid) {
    throw new Error('the first took the lead back from the second')
  }
  await until('at most so many executors', () => {
    atMost(pipeline, 'executor', MAX)
    return true
  })
}

async function upgrade(world: World): Promise<void> {
  const { pipeline } = world
  const copy = anotherVersion()
  const stranger = startByHand(pipeline, 'executor', {}, copy)
  // There before the supervisor, it counts as one of two, and nobody asks it to go.
  await until('the executor of the new version to be there', async () =>
    (await pipeline.alive('executor')).some(({ pid }) => pid === stranger.pid),
  )
  const old = await pipeline.begin()
  const next = await startSecondSupervisor(pipeline, undefined, copy)
  const libraries = async () =>
    (
      (await pipeline.store.redis.call(
        'FUNCTION',
        'LIST',
        'LIBRARYNAME',
        'millrace_*',
      )) as unknown[]
    ).length
  await until('both versions in Redis', async () => (await libraries()) >= 2)
  await world.fill(20_000, 2)
  const byStranger = async () =>
    (await pipeline.alive('executor')).some(
      ({ pid, records }) => pid === stranger.pid && records > 0,
    )
  await until('an executor of the new version to commit', byStranger, { timeoutMs: 30_000 })
  old.process.kill('SIGTERM')
  await world.recovers('the new version to lead', 15_000, leads(pipeline, next))
  if ((await old.process.exited) !== 0) throw new Error('the old version did not end in order')
  await world.fill(20_000, 3)
  await world.commits(10_000)
  stranger.kill('SIGTERM')
  if ((await stranger.exited) !== 0) throw new Error('the executor by hand did not end in order')
}
