/** All of the job language in the real pipeline, against the same records through `testJob`. */
import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import { until } from '../../faults/until.ts'
import { lateOrder, laterOrders, type Order, orders, ordersJob } from '../fixtures/orders.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

test('a job gives in the pipeline what it gives in its tests', async () => {
  const harness = testJob(ordersJob({ name: 'orders', topic: 'orders' }), { partitions: 3 })
  const feed = async (given: Order[]) => {
    for (const { value, ...meta } of given) await harness.feed(value, meta)
  }
  const topic = { partitions: 3 }
  await withPipeline({ label: 'orders', job: 'orders.ts', topic }, async (pipeline) => {
    await pipeline.begin()
    for (const given of [orders, laterOrders, [lateOrder]]) {
      await feed(given)
      await pipeline.topic.produce(given)
      await pipeline.drained()
      const expected = await inTest(harness)
      await until('the windows that close', async () => {
        const closed = await pipeline.windows('state=closed')
        return closed.length === expected.filter(({ state }) => state === 'closed').length
      })
      expect(await inPipeline(pipeline)).toEqual(expected)
    }
    const totals = await harness.totals()
    expect(totals).toMatchObject({ filtered: 31, late: 1, rejected: 2 })
    expect((await pipeline.statusNow()).totals).toMatchObject({
      counted: totals.counted,
      filtered: totals.filtered,
      late: totals.late,
      rejected: totals.rejected,
      unaccounted: 0,
    })
    const reasons = (await pipeline.rejects()).map(({ reason }) => reason).sort()
    expect(reasons).toEqual(
      [...(await harness.rejects()), ...(await harness.late())].map(({ reason }) => reason).sort(),
    )
    expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
  })
}, 60_000)

interface Row {
  start: string
  state: string
  key: unknown
  values: unknown
}

const place = ({ start, key }: Row) => start + JSON.stringify(key)
const sorted = (rows: Row[]) => rows.sort((a, b) => place(a).localeCompare(place(b)))

const inTest = async (harness: ReturnType<typeof testJob>) =>
  sorted(
    (await harness.windows()).map(({ start, state, key, values }) => ({
      start: new Date(start).toISOString(),
      state,
      key,
      values,
    })),
  )

const inPipeline = async (pipeline: Pipeline) =>
  sorted(
    (await pipeline.windows()).map(({ start, state, key, values }) => ({
      start,
      state,
      key,
      values,
    })),
  )
