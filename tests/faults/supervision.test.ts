/**
 * What an operator does to a pipeline at work.
 */
import { expect, test } from 'bun:test'
import { fill } from '../../faults/load.ts'
import { until } from '../../faults/until.ts'
import { withPipeline } from '../integration/pipeline.ts'
import { expectExact } from './exact.ts'

/** As many as last until the pause is through, on a machine with many cores too. */
const RECORDS = 60_000
const environment = { MILLRACE_TEST_SPIN_US: '100' }

test('paused: no executor works; resumed: it goes on', async () => {
  const options = { label: 'paused', job: 'students.ts', topic: { partitions: 4 }, environment }
  await withPipeline(options, async (pipeline) => {
    await fill(pipeline, RECORDS)
    await pipeline.begin()
    await until('executors at work', async () => (await pipeline.alive('executor')).length > 0)
    await pipeline.post('/api/pause')
    await until('no executor', async () => (await pipeline.alive('executor')).length === 0)
    // The page's answers are kept for a quarter of a second.
    const { backlog, totals } = await until('the status to say so', async () => {
      const status = await pipeline.status()
      return status.state === 'paused' && status.executors.count === 0 ? status : null
    })
    expect(backlog.pending).toBe(0)
    expect(totals.committed).toBeLessThan(RECORDS)
    await pipeline.post('/api/resume')
    await expectExact(pipeline, RECORDS)
    await until(
      'the state to be running',
      async () => (await pipeline.status()).state === 'running',
    )
  })
}, 60_000)
