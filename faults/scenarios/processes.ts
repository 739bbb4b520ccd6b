/**
 * Faults of our own processes: killed, stopped, too many of them. Who leads and who takes over is in
 * supervisors.ts, what a machine may lack in machine.ts.
 */
import type { Subprocess } from 'bun'
import { systemClock } from '../../actors/clock.ts'
import type { Actor } from '../../actors/messages.ts'
import {
  appendedTo,
  areDone,
  connectionsOf,
  entriesOf,
  killEverything,
  nextOffsets,
  processesOf,
  readOn,
  shared,
  someone,
  someoneBusy,
  startByHand,
} from '../actions/processes.ts'
import type { Fault } from '../fault.ts'
import { payloadKeys } from '../leftovers.ts'
import { killQuietly, type Pipeline } from '../pipeline.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'

/** Bytes of the reply `ok` to a commit: `*1\r\n$2\r\nok\r\n`. */
const OK_BYTES = 12

export const processFaults: Fault[] = [
  {
    id: 'F01',
    title: 'kill -9 of the bridge in the middle of its appends, ten times',
    holds: 'it appends again within 2 s, from where the ledger stands; nothing twice',
    shows: /bridge died/,
    async happens(world) {
      const { pipeline } = world
      for (let round = 0; round < 10; round++) {
        const bridge = await someone(pipeline, 'bridge')
        const filling = world.fill(20_000, round + 1)
        await systemClock.sleep(systemClock.random() * 200)
        killQuietly(bridge.pid, 'SIGKILL')
        await appendsAgain(world, filling)
      }
      await world.quiet()
      await pipeline.drained()
      const left = await leftWithoutEntry(pipeline)
      world.note(`${left} payloads were set whose entries never came`)
    },
  },
  {
    id: 'F01b',
    shippedJobOnly: true,
    title: 'kill -9 of the bridge between payloads and their entries, on a slow way to Redis',
    holds: 'payloads whose entries never came expire; nothing is lost or twice',
    linuxOnly: true,
    shows: /bridge died/,
    setting: { servers: 'proxied', rate: 0, backlog: 1_000 },
    async happens(world) {
      const { pipeline, proxies } = world
      for (let round = 0; round < 3; round++) {
        const bridge = await someone(pipeline, 'bridge')
        proxies.redis.slow({ bytesPerSecond: 1024 * 1024 })
        await world.fill(50_000, round + 1)
        await until('payloads without their entries', () => leftWithoutEntry(pipeline))
        killQuietly(bridge.pid, 'SIGKILL')
        proxies.redis.heal()
        await appendsAgain(world)
      }
    },
  },
  {
    id: 'F02',
    title: 'kill -9 of executors with entries in hand, three times',
    holds: 'others commit their entries within 2 s',
    smoke: true,
    shows: /executor died/,
    setting: { spinUs: 20, backlog: 10_000 },
    async happens(world) {
      for (let round = 0; round < 3; round++) {
        await world.fill(10_000, round + 2)
        const victim = await someoneBusy(world.pipeline)
        killQuietly(victim.pid, 'SIGKILL')
        await othersCommit(world, victim)
      }
      await world.commits()
    },
  },
  {
    id: 'F03',
    shippedJobOnly: true,
    title: 'kill -9 of an executor whose commit Redis took, the reply unread, three times',
    holds: 'what was committed is not committed again',
    linuxOnly: true,
    shows: /executor died/,
    setting: { spinUs: 50, backlog: 60_000 },
    async happens(world) {
      const { pipeline } = world
      for (let round = 0; round < 3; round++) {
        const victim = await until(
          'an executor stopped before it read the reply to its commit',
          () => stopUnread(pipeline),
          { timeoutMs: 60_000, everyMs: 5 },
        )
        killQuietly(victim.pid, 'SIGKILL')
        await othersCommit(world, victim)
      }
    },
  },
  {
    id: 'F05',
    title: 'kill -9 of the web process',
    holds: 'the page is back; bridge and executors are the same processes as before',
    linuxOnly: true,
    shows: /web died/,
    async happens(world) {
      const { pipeline } = world
      const others = () =>
        (['bridge', 'executor'] as const).flatMap((kind) =>
          processesOf(pipeline, kind).map(({ pid }) => pid),
        )
      const before = others()
      const web = await someone(pipeline, 'web')
      killQuietly(web.pid, 'SIGKILL')
      await world.recovers('the page to answer again', 5_000, () => pipeline.isReady())
      await world.commits()
      const after = new Set(others())
      const gone = before.filter((pid) => !after.has(pid))
      if (gone.length > 0) throw new Error(`processes ${gone.join(', ')} went with the web process`)
    },
  },
  {
    id: 'F06',
    title: 'kill -9 of everything at once, three times',
    holds: 'a supervisor that is started again finds all that was done, and goes on',
    setting: { spinUs: 50, backlog: 20_000 },
    async happens(world) {
      const { pipeline } = world
      for (let round = 0; round < 3; round++) {
        await world.fill(10_000, round + 1)
        await systemClock.sleep(systemClock.random() * 500)
        const killed = await killEverything(pipeline)
        world.note(`${killed} processes killed`)
        const before = await world.committed()
        await pipeline.start()
        const more = async () => (await world.committed()) > before
        await world.recovers('the first commit of the next family', 10_000, more)
      }
    },
  },
  {
    id: 'F07',
    smoke: true,
    title: 'SIGSTOP of an executor past its lease; it wakes up when others have done its work',
    holds: 'its commit is refused, and then it is welcome again',
    shippedJobOnly: true,
    linuxOnly: true,
    setting: { unstarted: true, rate: 0, backlog: 10_000, spinUs: 400 },
    shows: /entries were taken over/,
    happens: zombieExecutor,
  },
  {
    id: 'F08',
    title: 'SIGSTOP of one of two bridges; the other takes over its share, the first wakes up',
    holds: 'the other reads all within the lease and a look; who wakes up appends nothing twice',
    setting: { unstarted: true },
    happens: zombieBridge,
  },
  {
    id: 'F08b',
    title: 'SIGSTOP of the bridge for good, under a supervisor',
    holds: 'the supervisor ends it and starts another within 7 s',
    shows: /bridge died.*stuck/,
    async happens(world) {
      const { pipeline } = world
      const bridge = await someone(pipeline, 'bridge')
      killQuietly(bridge.pid, 'SIGSTOP')
      const before = await appendedTo(pipeline)
      await world.fill(1_000, 2)
      const moved = async () => (await appendedTo(pipeline)) > before + 500
      await world.recovers('appending again', 7_000, moved)
    },
  },
]

/** Times how long it takes from a bridge's death until another one has appended something. */
async function appendsAgain(world: World, filling?: Promise<void>): Promise<void> {
  const { pipeline } = world
  const diedAt = systemClock.elapsed()
  // What it had sent before is still taken.
  await systemClock.sleep(200)
  const before = await appendedTo(pipeline)
  await filling
  const moved = async () => (await appendedTo(pipeline)) > before
  await world.recovers('appending again', 2_000, moved, diedAt)
}

/** Times how long others need to finish what a dead one had in hand. */
async function othersCommit(world: World, victim: Actor): Promise<void> {
  const { pipeline } = world
  const entries = await entriesOf(pipeline, victim.id)
  await world.recovers('its entries committed by others', 2_000, () => areDone(pipeline, entries))
}

/** Payloads that were set, and whose append did not come: they expire by themselves. */
async function leftWithoutEntry(pipeline: Pipeline): Promise<number> {
  const { redis } = pipeline.store
  let left = 0
  for (const key of await payloadKeys(pipeline.store, pipeline.keys)) {
    if ((await redis.pttl(key)) > 0) left++
  }
  return left
}

/** An executor that is stopped with the reply to a commit before it; otherwise it goes on. */
async function stopUnread(pipeline: Pipeline): Promise<Actor | null> {
  const port = Number(new URL(pipeline.redisUrl).port)
  const executor = await someone(pipeline, 'executor')
  killQuietly(executor.pid, 'SIGSTOP')
  // What was under way in Redis comes to its end.
  await systemClock.sleep(20)
  const toRedis = connectionsOf(executor.pid).filter(({ remotePort }) => remotePort === port)
  if (toRedis.some(({ unread }) => unread === OK_BYTES)) return executor
  killQuietly(executor.pid, 'SIGCONT')
  await systemClock.sleep(20 + systemClock.random() * 30)
  return null
}

/** Nobody supervises, so that nobody kills what does not answer. */
async function zombieExecutor(world: World): Promise<void> {
  const { pipeline } = world
  const bridge = startByHand(pipeline, 'bridge')
  const zombie = startByHand(pipeline, 'executor')
  await until(
    'the zombie to be stopped with entries in hand',
    () => stopWithEntries(pipeline, zombie.pid),
    { timeoutMs: 60_000 },
  )
  const healthy = startByHand(pipeline, 'executor')
  await world.recovers('its entries committed by the other', 20_000, () => pipeline.drained())
  killQuietly(zombie.pid, 'SIGCONT')
  await until('the zombie to notice', () => pipeline.logLines(/entries were taken over/).length > 0)
  // With the other one gone the next records are its own.
  await leave(healthy)
  await world.fill(100, 2)
  await pipeline.drained()
  await leave(zombie, bridge)
}

/**
 * Stops it in the middle of an entry, of which it has committed a part. Elsewhere it goes on and is
 * caught later: what Redis counts as its own may not have reached it yet.
 */
async function stopWithEntries(pipeline: Pipeline, pid: number): Promise<boolean> {
  const actor = (await pipeline.alive('executor')).find((one) => one.pid === pid)
  if (!actor) return false
  killQuietly(pid, 'SIGSTOP')
  // A commit that was on its way when it was stopped is still taken.
  await systemClock.sleep(50)
  const { redis } = pipeline.store
  for (const id of await entriesOf(pipeline, actor.id)) {
    if (await redis.hexists(pipeline.keys.progress, id)) return true
  }
  killQuietly(pid, 'SIGCONT')
  return false
}

async function zombieBridge(world: World): Promise<void> {
  const { pipeline } = world
  const executors = [startByHand(pipeline, 'executor'), startByHand(pipeline, 'executor')]
  const [first, second] = [startByHand(pipeline, 'bridge'), startByHand(pipeline, 'bridge')]
  await world.commits(1, 'the first records')
  await shared(pipeline, 2)
  first.kill('SIGSTOP')
  // What it had sent before is still taken.
  await systemClock.sleep(50)
  const before = await nextOffsets(pipeline)
  await world.recovers('the other to read all partitions', 5_000, readOn(pipeline, before))
  first.kill('SIGCONT')
  await world.fill(5_000, 2)
  await world.commits(1_000)
  await shared(pipeline, 2)
  await world.quiet()
  await pipeline.drained()
  await leave(first, second, ...executors)
}

/** Each is asked to end, and ends in order. */
async function leave(...actors: Subprocess[]): Promise<void> {
  for (const actor of actors) actor.kill('SIGTERM')
  const codes = await Promise.all(actors.map(({ exited }) => exited))
  const wrong = codes.find((code) => code !== 0)
  if (wrong !== undefined) throw new Error(`an actor that was asked to end ended with ${wrong}`)
}
