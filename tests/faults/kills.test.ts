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
import { killOne, leads, replaceSupervisor } from '../../faults/actions/processes.ts'
import { fill } from '../../faults/load.ts'
import { watch } from '../../faults/monitor.ts'
import { until } from '../../faults/until.ts'
import { type Pipeline, scale, withPipeline } from '../integration/pipeline.ts'
import { expectExact } from './exact.ts'

const RECORDS = 250_000 * scale
/** Microseconds of processor time a record: the backlog lasts for a dozen kills. */
const SPIN_US = '20'
const EXECUTORS_MAX = 4
const KILLS = 12 * scale
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
      await pipeline.drained({ timeoutMs: 120_000 * scale })
      await monitor.end()
      const told = Object.entries(killed).map(([kind, times]) => `${kind} ${times}`)
      process.stdout.write(`seed ${seed}: killed ${told.join(', ')}\n`)
      for (const times of Object.values(killed)) expect(times).toBeGreaterThan(0)
      await expectExact(pipeline, RECORDS)
    })
  },
  240_000 * scale,
)

type Victim = Extract<Actor['kind'], 'executor' | 'bridge' | 'supervisor'>

/** One of each first, however long it takes to come to work; then while there is a backlog. */
async function killAtRandom(pipeline: Pipeline, random: () => number) {
  const killed: Record<Victim, number> = { executor: 0, bridge: 0, supervisor: 0 }
  for (const kind of ['executor', 'bridge', 'supervisor'] as const) {
    await until(`some ${kind} to kill`, () => kill(pipeline, kind, random))
    killed[kind]++
  }
  for (let round = 3; round < KILLS && (await isBehind(pipeline)); round++) {
    await systemClock.sleep(PAUSE_MS.least + random() * (PAUSE_MS.most - PAUSE_MS.least))
    const chance = random()
    const kind = chance < 0.7 ? 'executor' : chance < 0.93 ? 'bridge' : 'supervisor'
    if (await kill(pipeline, kind, random)) killed[kind]++
  }
  return killed
}

async function kill(pipeline: Pipeline, kind: Victim, random: () => number): Promise<boolean> {
  if (kind !== 'supervisor') return (await killOne(pipeline, kind, random)) !== null
  const next = await replaceSupervisor(pipeline)
  return until('the new supervisor to lead', leads(pipeline, next), { timeoutMs: 30_000 })
}

async function isBehind(pipeline: Pipeline): Promise<boolean> {
  const { totals } = await pipeline.snapshot()
  return totals.committed < RECORDS
}
