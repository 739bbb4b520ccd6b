/**
 * Session windows end to end: what Kafka brings over several partitions becomes sessions, also while
 * executors are killed, and the verification finds the same.
 */
import { expect, test } from 'bun:test'
import { seededRandom } from '../../actors/clock.ts'
import { killOne } from '../../faults/actions/processes.ts'
import { until } from '../../faults/until.ts'
import { withPipeline } from './pipeline.ts'

const MINUTE = Date.parse('2024-05-01T12:00:00Z')
const RECORDS = 40_000

/*               12:00:00  :01  :02  :03 … :58  :59 | 12:01:00
 *   a              x··x··x·····|                   |              3 clicks, to 2 s after the last
 *   b                            x·····|       x···|x·····|       cut at the minute
 */
test('sessions of several partitions, kill -9 of an executor among them', async () => {
  const options = { label: 'visits', job: 'visits.ts', topic: { partitions: 3 } }
  await withPipeline(options, async (pipeline) => {
    const click = (ms: number, who: string, partition: number) => ({
      value: JSON.stringify({ at: MINUTE + ms, who, spent: 0.5 }),
      partition,
    })
    await pipeline.begin()
    await pipeline.topic.produce([
      click(0, 'a', 0),
      click(2_500, 'a', 1),
      click(1_000, 'a', 2),
      click(3_000, 'b', 0),
      click(59_000, 'b', 1),
      click(60_500, 'b', 2),
    ])
    await pipeline.drained()
    const rows = await pipeline.windows('state=open')
    expect(rows.map(({ start, end, key, values }) => [key.who, start, end, values])).toEqual([
      ['b', iso(60_500), iso(62_500), { clicks: 1, spent: 0.5 }],
      ['b', iso(59_000), iso(60_000), { clicks: 1, spent: 0.5 }],
      ['b', iso(3_000), iso(5_000), { clicks: 1, spent: 0.5 }],
      ['a', iso(0), iso(4_500), { clicks: 3, spent: 1.5 }],
    ])
    expect(await pipeline.verify()).toMatchObject({ ok: true, windows: { open: 4 } })

    const random = seededRandom(7)
    const later = Array.from({ length: RECORDS }, (_, i) =>
      click(70_000 + i * 2 + random() * 6_000, `w${Math.floor(random() * 40)}`, i % 3),
    )
    await pipeline.topic.produce(later)
    await until('an executor to kill', async () => {
      return (await killOne(pipeline, 'executor', random)) !== null
    })
    await pipeline.drained()
    const report = await pipeline.verify()
    expect(report).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0, unaccounted: 0 })
    expect(report.windows.closed).toBeGreaterThan(4)
    expect((await pipeline.statusNow()).totals).toMatchObject({
      appended: RECORDS + 6,
      unaccounted: 0,
    })
  })
}, 90_000)

const iso = (ms: number) => new Date(MINUTE + ms).toISOString()
