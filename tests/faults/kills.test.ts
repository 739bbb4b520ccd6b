/**
 * kill -9 at random moments: executors, the bridge, the supervisor (which is started again), while a
 * backlog is worked through. Afterwards every record has counted once.
 *
 * MILLRACE_TEST_SEED plays a run again (as far as processes let themselves be played again);
 * MILLRACE_TEST_SCALE makes it longer.
 */
import { expect, test } from 'bun:test'
import { seededRandom, systemClock } from '../../actors/clock.ts'
import type { Actor } from '../../actors/messages.ts'
import { until } from '../../faults/until.ts'
import { killQuietly, type Pipeline, scale, withPipeline } from '../integration/pipeline.ts'
import { fill } from '../../faults/load.ts'
import { expectExact } from './exact.ts'
import { watch } from '../../faults/monitor.ts'

const RECORDS = 400_000 * scale
/** Microseconds of processor time a record: the backlog lasts for a dozen kills. */
const SPIN_US = '20'
const EXECUTORS_MAX = 4
const KILLS = 16 * scale
const PAUSE_MS = { least: 100, most: 700 }

const seed = Number(process.env.MILLRACE_TEST_SEED || Math.floor(systemClock.random() * 2 ** 32))

test(
  `${RECORDS} records, kill -9 all the way (MILLRACE_TEST_SEED=${seed})`,
  async () => {
    const options = {
      label: 'kills',
      job: 'students.ts',
      topic: { partitions: 4 },
      environment: { MILLRACE_TEST_SPIN_US: SPIN_US },
    }
    await withPipeline(options, async (pipeline) => {
      await fill(pipeline, RECORDS, seed)
      await pipeline.begin()
      const monitor = watch(pipeline, { executorsMax: EXECUTORS_MAX })
      const killed = await killAtRandom(pipeline, seededRandom(seed))
      await pipeline.drained()
      await monitor.end()
      const told = Object.entries(killed).map(([kind, times]) => `${kind} ${times}`)
      process.stdout.write(`seed ${seed}: killed ${told.join(', ')}\n`)
      for (const times of Object.values(killed)) expect(times).toBeGreaterThan(0)
      await expectExact(pipeline, RECORDS)
    })
  },
  120_000 * scale,
)

type Victim = Extract<Actor['kind'], 'executor' | 'bridge' | 'supervisor'>

/** Kills while there is a backlog, and so many times at the most; the first three are one of each. */
async function killAtRandom(pipeline: Pipeline, random: () => number) {
  const killed: Record<Victim, number> = { executor: 0, bridge: 0, supervisor: 0 }
  const order: Victim[] = ['executor', 'bridge', 'supervisor']
  for (let round = 0; round < KILLS && (await isBehind(pipeline)); round++) {
    await systemClock.sleep(PAUSE_MS.least + random() * (PAUSE_MS.most - PAUSE_MS.least))
    const chance = random()
    const victim =
      order[round] ?? (chance < 0.7 ? 'executor' : chance < 0.93 ? 'bridge' : 'supervisor')
    const index = random()
    if (victim === 'supervisor') await replaceSupervisor(pipeline)
    else if (!(await killOne(pipeline, victim, index))) continue
    killed[victim]++
  }
  return killed
}

async function isBehind(pipeline: Pipeline): Promise<boolean> {
  const { totals } = await pipeline.snapshot()
  return totals.committed < RECORDS
}

async function killOne(pipeline: Pipeline, kind: Victim, index: number): Promise<boolean> {
  const alive = await pipeline.alive(kind)
  const victim = alive[Math.floor(index * alive.length)]
  return victim !== undefined && killQuietly(victim.pid, 'SIGKILL')
}

async function replaceSupervisor(pipeline: Pipeline): Promise<void> {
  const { process: old } = pipeline.supervisors.at(-1)!
  old.kill('SIGKILL')
  await old.exited
  await pipeline.start()
  const leads = async () => {
    const { leader, actors } = await pipeline.snapshot()
    const pid = pipeline.supervisors.at(-1)!.process.pid
    return actors.some((actor) => actor.id === leader && actor.pid === pid)
  }
  await until('the new supervisor to lead', leads, { timeoutMs: 15_000 })
}
