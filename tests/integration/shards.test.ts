/**
 * A job of several shards from end to end: their parts become one window each, also while whoever works on
 * them is killed.
 */
import { expect, test } from 'bun:test'
import { scale, withPipeline } from './pipeline.ts'

const RECORDS = 20_000 * scale

test('records of several shards are counted once, and their windows are whole', async () => {
  const options = { label: 'shards', job: 'students.ts', topic: { partitions: 4 }, shards: 3 }
  await withPipeline(options, async (pipeline) => {
    const producer = ['actors/producer/main.ts', '--topic', pipeline.topic.name]
    const pace = ['--count', String(RECORDS), '--rate', '20000', '--seed', '7']
    await pipeline.begin()
    expect(await pipeline.spawn([...producer, ...pace]).exited).toBe(0)

    const { totals, partitions } = await pipeline.drained()
    expect(totals).toMatchObject({ appended: RECORDS, committed: RECORDS, counted: RECORDS })
    expect(partitions).toHaveLength(4)
    const rows = await pipeline.windows()
    expect(rows.reduce((sum, { values }) => sum + Number(values.events), 0)).toBe(2 * RECORDS)
    // A group of a window is one row, whichever shards hold it.
    const places = new Set(rows.map(({ start, key }) => JSON.stringify([start, key])))
    expect(places.size).toBe(rows.length)
  })
}, 120_000)
