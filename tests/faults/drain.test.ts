/**
 * Executors drained by hand, one after the other, under load: each leaves with entries in hand, another
 * takes its place. Nothing is delivered twice, which Redis itself counts, nobody has to be pressed, and
 * no supervisor takes it for a failure.
 */
import { expect, test } from 'bun:test'
import { GROUP } from '../../actors/keys.ts'
import { fill } from '../../faults/load.ts'
import { until } from '../../faults/until.ts'
import { type Pipeline, scale, withPipeline } from '../integration/pipeline.ts'
import { expectExact } from './exact.ts'

const FLEET = 3
const DRAINS = 6 * scale
const RECORDS = 1_500
/** Microseconds of processor time a record: the rest is in hand then, or waits. */
const SPIN_US = '300'
const patiently = { timeoutMs: 60_000 }

test(
  `${DRAINS} executors drained by hand: nothing lost, nothing delivered twice`,
  async () => {
    const options = {
      label: 'drain',
      job: 'students.ts',
      topic: { partitions: 4 },
      environment: { MILLRACE_TEST_SPIN_US: SPIN_US, MILLRACE_TOKEN: 'canary-4711-canary' },
    }
    await withPipeline(options, async (pipeline) => {
      await pipeline.begin()
      await pipeline.post('/api/executors', { min: FLEET, max: FLEET })
      await fleet(pipeline)
      const claimsBefore = await claims(pipeline)
      for (let round = 1; round <= DRAINS; round++) {
        await fill(pipeline, RECORDS, round)
        const holder = await until('an executor at work', () => holderOf(pipeline), patiently)
        await pipeline.post(`/api/executors/${holder}/drain`)
        const gone = () => left(pipeline) === round
        await until('the one that was asked to leave', gone, patiently)
        await fleet(pipeline)
      }
      await pipeline.drained({ timeoutMs: 60_000 * scale })
      expect(await claims(pipeline)).toBe(claimsBefore)
      expect(pipeline.logLines(/executor (died|killed|failed)/)).toEqual([])
      expect(pipeline.logLines(/control: drain/)).toHaveLength(DRAINS)
      expect(pipeline.logLines(/canary/)).toEqual([])
      expect((await pipeline.status()).state).toBe('running')
      await expectExact(pipeline, DRAINS * RECORDS)
    })
  },
  180_000 * scale,
)

async function fleet(pipeline: Pipeline): Promise<void> {
  await until(
    `${FLEET} executors at work`,
    async () => {
      const alive = await pipeline.alive('executor')
      return alive.length === FLEET && alive.every(({ state }) => state === 'running')
    },
    patiently,
  )
}

/** One that has an entry in hand, which was never in another's. */
async function holderOf(pipeline: Pipeline): Promise<string | null> {
  const { redis } = pipeline.store
  const pending = await redis.xpending(pipeline.keys.entries, GROUP, '-', '+', 1_000)
  const held = pending as [id: string, holder: string, idle: number, deliveries: number][]
  expect(held.filter(([, , , deliveries]) => deliveries !== 1)).toEqual([])
  return held[0]?.[1] ?? null
}

const left = (pipeline: Pipeline): number => pipeline.logLines(/"executor left"/).length

/** How often this Redis has given an entry of one consumer to another; nobody else uses it now. */
async function claims(pipeline: Pipeline): Promise<number> {
  const stats = await pipeline.store.redis.info('commandstats')
  return Number(/^cmdstat_xclaim:calls=(\d+)/m.exec(stats)?.[1] ?? 0)
}
