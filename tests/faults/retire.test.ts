/**
 * Planned retirements under load: the limits go down and up again and again while records come, so
 * that executors are asked to leave with entries in hand. A retirement repeats nothing: no entry is
 * delivered twice, which Redis itself counts, and nobody has to be pressed to leave.
 *
 * MILLRACE_TEST_SCALE=40 makes a thousand of them.
 */
import { expect, test } from 'bun:test'
import { GROUP } from '../../actors/keys.ts'
import { fill } from '../../faults/load.ts'
import { watch } from '../../faults/monitor.ts'
import { until } from '../../faults/until.ts'
import { type Pipeline, scale, withPipeline } from '../integration/pipeline.ts'
import { expectExact } from './exact.ts'

const MANY = 6
const FEW = 1
const ROUNDS = 5 * scale
/** Records that come in each round, and of these how many are committed before executors have to go. */
const RECORDS = 1_500
const WORK = 200
/** Microseconds of processor time a record: the rest is in hand then, or waits. */
const SPIN_US = '300'
const patiently = { timeoutMs: 60_000 }

test(
  `${ROUNDS * (MANY - FEW)} planned retirements: nothing lost, nothing delivered twice`,
  async () => {
    const options = {
      label: 'retire',
      job: 'students.ts',
      topic: { partitions: 4 },
      environment: { MILLRACE_TEST_SPIN_US: SPIN_US },
    }
    await withPipeline(options, async (pipeline) => {
      await pipeline.begin()
      const monitor = watch(pipeline, { executorsMax: MANY })
      const claimsBefore = await claims(pipeline)
      let busy = 0
      for (let round = 1; round <= ROUNDS; round++) {
        await staff(pipeline, MANY)
        await work(pipeline, round)
        busy += await busyOnes(pipeline)
        await staff(pipeline, FEW)
        const gone = () => left(pipeline) === round * (MANY - FEW)
        await until('those who were asked to leave', gone, patiently)
      }
      await staff(pipeline, MANY)
      await pipeline.drained({ timeoutMs: 60_000 * scale })
      await monitor.end()
      process.stdout.write(`${left(pipeline)} retired; ${busy} were met with entries in hand\n`)
      expect(busy).toBeGreaterThan(0)
      expect(await claims(pipeline)).toBe(claimsBefore)
      expect(pipeline.logLines(/executor (died|killed)/)).toEqual([])
      await expectExact(pipeline, ROUNDS * RECORDS)
    })
  },
  180_000 * scale,
)

/** Sets the limits, and waits until so many say that they are at work. */
async function staff(pipeline: Pipeline, count: number): Promise<void> {
  await pipeline.post('/api/executors', { min: count, max: count })
  await until(
    `${count} executors`,
    async () => {
      const alive = await pipeline.alive('executor')
      return alive.filter(({ state }) => state === 'running').length === count
    },
    patiently,
  )
}

async function work(pipeline: Pipeline, seed: number): Promise<void> {
  const committed = async () => (await pipeline.snapshot()).totals.committed
  const before = await committed()
  await fill(pipeline, RECORDS, seed)
  await until('records to be committed', async () => (await committed()) > before + WORK, patiently)
}

/** Executors with entries in hand, none of which was ever in another's. */
async function busyOnes(pipeline: Pipeline): Promise<number> {
  const { redis } = pipeline.store
  const pending = await redis.xpending(pipeline.keys.entries, GROUP, '-', '+', 1_000)
  const held = pending as [id: string, holder: string, idle: number, deliveries: number][]
  expect(held.filter(([, , , deliveries]) => deliveries !== 1)).toEqual([])
  return new Set(held.map(([, holder]) => holder)).size
}

const left = (pipeline: Pipeline): number => pipeline.logLines(/"executor left"/).length

/** How often this Redis has given an entry of one consumer to another; nobody else uses it now. */
async function claims(pipeline: Pipeline): Promise<number> {
  const stats = await pipeline.store.redis.info('commandstats')
  return Number(/^cmdstat_xclaim:calls=(\d+)/m.exec(stats)?.[1] ?? 0)
}
