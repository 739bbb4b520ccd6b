/**
 * Faults of Redis: killed, rolled back, torn, emptied, failed over, full, stuck.
 */
import { systemClock } from '../../actors/clock.ts'
import type { Action } from '../actions/action.ts'
import * as redis from '../actions/redis.ts'
import type { Fault } from '../fault.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import { degraded, goesOn, nobodyBlamed } from './recovery.ts'
import { halves } from './whole.ts'

const RESTARTED_WITHIN_MS = 5_000
/** Longer than every lease and than the time that a command may take. */
const STOPPED_MS = 6_000
const TORN_PLACES = 20
/** A key of the world's own Redis that nobody else knows. */
const WRITTEN_SINCE = 'written-since-the-copy'

async function restarted(world: World, action: Action, after: string): Promise<void> {
  await action.inject(world)
  await action.heal(world)
  await goesOn(world, RESTARTED_WITHIN_MS, after)
}

const rollBack = (id: string, ms: number, smoke: boolean): Fault => ({
  id,
  title: `Redis comes back with what it held ${ms / 1_000} s before`,
  holds: 'the bridge seeks back, and Kafka gives the rest again',
  smoke,
  setting: { servers: 'own', sharesKafka: true, mayGoBack: true },
  async happens(world) {
    const { store } = world.pipeline
    const committed = async () => (await world.pipeline.snapshot()).totals.committed
    const kept = await committed()
    redis.keepCopy(world)
    // The totals do not tell: the pipeline may have them up again before they are read.
    await store.redis.set(WRITTEN_SINCE, 'yes')
    await systemClock.sleep(ms)
    await world.commits(1_000, 'records that will be forgotten')
    const reached = await committed()
    await redis.rolledBack.inject(world)
    await redis.rolledBack.heal(world)
    const held = await until('Redis to answer', async () => ({
      since: await store.redis.get(WRITTEN_SINCE),
    }))
    if (held.since !== null) throw new Error('Redis did not go back')
    world.note(`about ${reached - kept} committed records forgotten`)
    await goesOn(world, RESTARTED_WITHIN_MS, 'the rollback')
    await nobodyBlamed(world)
  },
})

async function whole(world: World, when: string): Promise<void> {
  const { wrong } = await until('Redis to answer', async () => ({ wrong: await halves(world) }))
  if (wrong.length > 0) throw new Error(`${when}: ${wrong.join('; ')}`)
}

/** The supervisor has had Redis write its file anew: what was torn is gone from it. */
async function renewed(world: World, torn: string): Promise<void> {
  const isNew = () => redis.appendOnlyFile(world) !== torn
  await world.recovers('the append-only file written anew', RESTARTED_WITHIN_MS, isNew)
  const done = async () =>
    !/aof_rewrite_in_progress:1/.test(await world.pipeline.store.redis.info())
  await until('the new file to be complete', done)
}

/** Half of the places inside the last transaction, the others ever further from the end. */
function tornPlace(nth: number, bytes: Buffer): number {
  const begin = bytes.lastIndexOf('*1\r\n$5\r\nMULTI\r\n')
  if (nth % 2 === 0 && begin >= 0) {
    return begin + Math.ceil(((bytes.length - begin) * (nth + 1)) / (TORN_PLACES + 1))
  }
  return bytes.length - Math.ceil(1.9 ** (nth / 2) * (nth + 1))
}

export const redisFaults: Fault[] = [
  {
    id: 'F13',
    title: 'kill -9 of Redis, three times; it restarts with its append-only file',
    holds: 'committing again within 5 s',
    smoke: true,
    setting: { servers: 'own', sharesKafka: true },
    async happens(world) {
      for (let times = 0; times < 3; times++) {
        await restarted(world, redis.redisKilled, 'kill -9 of Redis')
        await world.commits(2_000)
      }
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F13b',
    title: 'Redis stopped for 6 s',
    holds: 'the page lives and says what is missing; committing again within 5 s',
    setting: { servers: 'own', sharesKafka: true },
    async happens(world) {
      const { pipeline } = world
      await redis.redisStopped.inject(world)
      await until('readiness to name it', async () => {
        const answer = (await (await pipeline.fetch('/readyz')).json()) as { missing: string[] }
        return answer.missing.join() === 'redis'
      })
      const { status } = await pipeline.fetch('/healthz')
      if (status !== 200) throw new Error(`/healthz says ${status}`)
      await systemClock.sleep(STOPPED_MS)
      await redis.redisStopped.heal(world)
      await goesOn(world, RESTARTED_WITHIN_MS, 'an outage of Redis')
      await until('readiness', () => pipeline.isReady())
      await until('the job to run', async () => (await pipeline.status()).state === 'running')
      await nobodyBlamed(world)
    },
  },
  rollBack('F14', 1_000, true),
  rollBack('F14b', 10_000, false),
  {
    id: 'F15',
    title: `the append-only file torn at ${TORN_PLACES} places`,
    holds: 'what Redis comes back with is whole: a call of ours counts, or it does not',
    setting: { servers: 'own', sharesKafka: true, mayGoBack: true },
    async happens(world) {
      for (let nth = 0; nth < TORN_PLACES; nth++) {
        const torn = new redis.TornFile((bytes) => tornPlace(nth, bytes))
        await torn.inject(world)
        await torn.heal(world)
        await whole(world, `after place ${nth}`)
        await goesOn(world, RESTARTED_WITHIN_MS, 'a torn file')
        await whole(world, `at work after place ${nth}`)
        await renewed(world, torn.file)
        await world.commits(500)
      }
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F16',
    title: 'FLUSHALL while it runs',
    holds: 'the job stops loudly instead of beginning anew; with --fresh it begins anew, exactly',
    setting: { servers: 'own', sharesKafka: true, mayGoBack: true },
    async happens(world) {
      await redis.flushed.inject(world)
      await degraded(world, /emptied|lost/)
      await world.quiet()
      await world.pipeline.stop()
      await world.pipeline.begin(['--from', 'earliest', '--fresh'])
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F16b',
    title: 'the consumer group destroyed, at work and at rest',
    holds: 'the group is made again; entries that were not committed count, once',
    setting: { servers: 'own', sharesKafka: true, spinUs: 100, backlog: 30_000, rate: 0 },
    async happens(world) {
      for (let times = 0; times < 3; times++) {
        await redis.groupDestroyed.inject(world)
        await goesOn(world, RESTARTED_WITHIN_MS, 'the end of the group')
      }
      await world.pipeline.drained()
      const none = async () => (await world.pipeline.alive('executor')).length === 0
      await until('no executor', none, { timeoutMs: 60_000 })
      await redis.groupDestroyed.inject(world)
      await world.fill(1_000, 2)
      await goesOn(world, RESTARTED_WITHIN_MS, 'the end of the group at rest')
    },
  },
  {
    id: 'F16c',
    title: 'the stream deleted with entries in it',
    holds: 'the job stops loudly: its records would be missing',
    setting: { servers: 'own', sharesKafka: true, spinUs: 100, backlog: 50_000, ends: 'by itself' },
    async happens(world) {
      await redis.streamDeleted.inject(world)
      await degraded(world, /deleted/)
    },
  },
  {
    id: 'F17',
    title: 'failover to a replica that lags behind by 2 s',
    holds: 'the bridge seeks back, and Kafka gives the rest again; committing again within 5 s',
    setting: { servers: 'proxied', sharesKafka: true, mayGoBack: true },
    async happens(world) {
      const failover = new redis.Failover()
      await failover.prepare(world)
      await failover.lag()
      await world.commits(4_000, 'records that the replica does not get')
      await failover.inject(world)
      await goesOn(world, RESTARTED_WITHIN_MS, 'the failover')
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F18',
    title: 'maxmemory reached',
    holds: 'nothing is taken in, what is there is committed; with memory again it goes on',
    setting: { servers: 'own', sharesKafka: true, spinUs: 30, backlog: 10_000, rate: 1_000 },
    shows: /refuses append.*OOM/,
    async happens(world) {
      await redis.memoryFull.inject(world)
      const emptied = async () => (await world.pipeline.snapshot()).entries === 0
      await until('the stream to be empty', emptied, { timeoutMs: 60_000 })
      const { totals } = await world.pipeline.snapshot()
      await systemClock.sleep(1_000)
      const later = (await world.pipeline.snapshot()).totals
      if (later.appended !== totals.appended) throw new Error('records were taken in')
      await redis.memoryFull.heal(world)
      await goesOn(world, RESTARTED_WITHIN_MS, 'memory is there again')
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F20',
    title: 'another client keeps Redis busy for 8 s',
    holds: 'committing again within 5 s of its end',
    setting: { servers: 'own', sharesKafka: true },
    async happens(world) {
      await redis.busyFor(8_000).inject(world)
      await goesOn(world, RESTARTED_WITHIN_MS, 'the end of a script of 8 s')
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F21',
    title: 'FUNCTION FLUSH, and a storm of CLIENT KILL',
    holds: 'functions are loaded again; committing again within 5 s',
    smoke: true,
    setting: { servers: 'own', sharesKafka: true },
    async happens(world) {
      for (let times = 0; times < 5; times++) {
        await restarted(world, redis.functionsFlushed, 'FUNCTION FLUSH')
      }
      for (let times = 0; times < 30; times++) {
        await redis.clientsKilled.inject(world)
        await systemClock.sleep(100)
      }
      await goesOn(world, RESTARTED_WITHIN_MS, 'the last CLIENT KILL')
      await nobodyBlamed(world)
    },
  },
]
