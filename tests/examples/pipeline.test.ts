/** Each example in the real pipeline, against the same sample through `testJob`. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { testJob } from 'millrace/testing'
import { loadJob } from '../../actors/load.ts'
import { exampleNames, jobFileOf, sampleFileOf } from '../../examples/samples/all.ts'
import { until } from '../../faults/until.ts'
import { withPipeline } from '../integration/pipeline.ts'

const partitions = 3

test.each(exampleNames)(
  '%s gives in the pipeline what it gives in its tests',
  async (name) => {
    const job = jobFileOf(name)
    const lines = readFileSync(sampleFileOf(name), 'utf8').trim().split('\n')
    const records = lines.map((value, i) => ({ value, partition: i % partitions }))
    const harness = testJob(await loadJob(job), { partitions })
    for (const { value, partition } of records) await harness.feed(value, { partition })
    const expected = await harness.windows()

    const environment = { EXAMPLE_JOB_FILE: job }
    const options = { label: name, job: 'example.ts', topic: { partitions }, environment }
    await withPipeline(options, async (pipeline) => {
      await pipeline.begin()
      await pipeline.topic.produce(records)
      await pipeline.drained()
      const closed = expected.filter(({ state }) => state === 'closed').length
      // More than these once the clock closes the rest.
      await until('the windows that close', async () => {
        const rows = await pipeline.windows('state=closed')
        return rows.length >= closed
      })
      expect(comparable(await pipeline.windows())).toEqual(comparable(expected))
      const { late, partly: _, ...totals } = await harness.totals()
      expect(late).toBe(0)
      const status = await pipeline.status()
      expect(status.totals).toMatchObject({ ...totals, late, unaccounted: 0 })
      expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
    })
  },
  60_000,
)

interface Row {
  start: number | string
  key: unknown
  values: unknown
}

/** In one order; open or closed is a matter of the clock, and compared by their number. */
function comparable(rows: Row[]): [string, unknown][] {
  return rows
    .map(({ start, key, values }): [string, unknown] => [
      new Date(start).toISOString() + JSON.stringify(key),
      values,
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}
