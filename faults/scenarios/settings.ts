/**
 * Faults of how Redis is set up and where it runs: policy, version, disk, clock.
 */
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { RedisClock } from '../actions/clock.ts'
import { diskFull, onSmallDisk } from '../actions/disk.ts'
import { configured } from '../actions/redis.ts'
import { oldRedis } from '../actions/strange.ts'
import type { Fault } from '../fault.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import { degraded, goesOn, nobodyBlamed } from './recovery.ts'

const BACK_WITHIN_MS = 5_000
const TEN_MINUTES_MS = 600_000

/** A supervisor that does not start, and says why. */
async function refuses(world: World, line: RegExp): Promise<void> {
  const { pipeline } = world
  const child = pipeline.spawn(['supervisor/main.ts', pipeline.jobFile, '--no-web'])
  const ended = await Promise.race([child.exited, systemClock.sleep(20_000).then(() => null)])
  child.kill('SIGKILL')
  if (ended === null || ended === 0) throw new Error(`the supervisor ended with ${ended}`)
  if (pipeline.logLines(line).length === 0) throw new Error(`no line says ${line}`)
}

export const settingFaults: Fault[] = [
  {
    id: 'F19',
    title: 'a Redis that evicts, and one that is too old',
    holds: 'the job refuses to start, and says why; set while it runs it is said as well',
    setting: { servers: 'proxied', unstarted: true, rate: 0 },
    async happens(world) {
      await configured(world, 'maxmemory-policy', 'allkeys-lru')
      await refuses(world, /allkeys-lru/)
      await configured(world, 'maxmemory-policy', 'noeviction')
      const old = oldRedis('6.2.14')
      world.beside(old)
      world.proxies.redis.aim(old.port)
      await refuses(world, /6\.2\.14/)
      world.proxies.redis.aim(world.services.redis.port)
      await world.pipeline.begin()
      await world.fill(5_000)
      await configured(world, 'maxmemory-policy', 'volatile-ttl')
      await degraded(world, /volatile-ttl/)
      await configured(world, 'maxmemory-policy', 'noeviction')
      await until('the job to run', async () => (await world.pipeline.status()).state === 'running')
    },
  },
  {
    id: 'F25',
    title: "Redis's disk is full for 8 s",
    holds: 'nothing is taken for done; the job says why it stands; committing again within 5 s',
    setting: { servers: 'own' },
    shows: /refuses \w+.*MISCONF/,
    async happens(world) {
      if (!(await onSmallDisk(world))) {
        world.note('not played: needs root on Linux, to make a small file system')
        return
      }
      await goesOn(world, BACK_WITHIN_MS, 'a restart of Redis')
      await diskFull.inject(world)
      await systemClock.sleep(8_000)
      // Nobody can even say that they lead.
      const { state } = await world.pipeline.status()
      if (state === 'running') throw new Error('the status says that it runs')
      await diskFull.heal(world)
      await goesOn(world, BACK_WITHIN_MS, 'there is room again')
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F38',
    title: "Redis's clock jumps 10 minutes forward, and then 20 back",
    holds: 'leases, watermark and entries go on; no record is late or from the future by it',
    setting: { servers: 'own', rate: 500 },
    async happens(world) {
      const clock = await RedisClock.prepare(world)
      if (!clock) {
        world.note('not played: needs a C compiler on Linux, for a clock that can be set')
        return
      }
      await goesOn(world, BACK_WITHIN_MS, 'a restart of Redis')
      for (const ms of [TEN_MINUTES_MS, -TEN_MINUTES_MS, 0]) {
        await clock.shifted(ms).inject(world)
        await goesOn(world, BACK_WITHIN_MS, `Redis's clock ${ms / 60_000} minutes off`)
        await systemClock.sleep(4_000)
        await goesOn(world, BACK_WITHIN_MS, `4 s with Redis's clock ${ms / 60_000} minutes off`)
      }
      await nobodyBlamed(world)
    },
  },
  {
    id: 'F38b',
    title: 'clocks of executors 10 minutes behind, those of bridge and supervisor jump 10 ahead',
    holds: 'no record is late or from the future by it',
    setting: {
      servers: 'own',
      rate: 500,
      environment: {
        BUN_OPTIONS: `--preload=${join(import.meta.dir, '..', 'clock', 'shift.ts')}`,
        MILLRACE_TEST_CLOCK: `executor:${-TEN_MINUTES_MS},bridge:${TEN_MINUTES_MS},supervisor:${TEN_MINUTES_MS}`,
      },
    },
    async happens(world) {
      await systemClock.sleep(10_000)
      await goesOn(world, BACK_WITHIN_MS, 'the clocks are wrong')
      await nobodyBlamed(world)
    },
  },
]
