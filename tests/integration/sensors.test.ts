/**
 * A second job that has nothing in common with the shipped one, against values computed by hand: no
 * part of the pipeline may know what a student is.
 */
import { expect, test } from 'bun:test'
import { until } from '../../faults/until.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

interface Reading {
  at: string
  name: string
  floor: number
  celsius: number
  litres?: number
  test?: boolean
}

const reading = ({ at, name, floor, ...rest }: Reading) =>
  JSON.stringify({ at: `2024-05-01T${at}Z`, site: { name, floor }, ...rest })

/*
 *            12:00          12:01          12:02          12:03
 *   mill N     |  a b c . d   |      e       |              |
 *   mill N ↑   |              |    f   g     |              |
 *   mill S     |  h           |              |   later ─────┼──► closes 12:00 and 12:01
 */
const readings: Reading[] = [
  { at: '12:00:00.000', name: 'mill n', floor: 0, celsius: 20.5, litres: 1.25 }, // a
  { at: '12:00:10.500', name: 'Mill N', floor: 0, celsius: -3, litres: 0.0005 }, // b: the same site
  { at: '12:00:20.000', name: 'MILL N', floor: -1, celsius: 11.111, litres: 2 }, // c: no litres lost
  { at: '12:00:30.000', name: 'mill n', floor: 0, celsius: 1_000, test: true }, // filtered
  { at: '12:00:59.999', name: 'mill n', floor: 0, celsius: 7 }, // d: without litres
  { at: '12:01:00.000', name: 'mill n', floor: 0, celsius: 8.4 }, // e: the next window
  { at: '12:01:20.000', name: 'mill n', floor: 2, celsius: 8.25, litres: 1e-9 }, // f
  { at: '12:01:40.000', name: 'mill n', floor: 3, celsius: 8.26, litres: 3 }, // g
  { at: '12:00:05.000', name: 'mill s', floor: 0, celsius: -40, litres: -7.5 }, // h
]

const row = (
  at: string,
  site: string,
  upstairs: boolean,
  values: Record<string, number | null>,
) => ({
  start: `2024-05-01T${at}:00.000Z`,
  key: { site, upstairs },
  values,
})

const expected = [
  // mean (20.5 − 3 + 11.111 + 7) ÷ 4 = 8.90275; litres 1.25 + 0.0005 → 0.001 + 2
  row('12:00', 'MILL N', false, {
    coldest: -3,
    hottest: 20.5,
    mean: 8.9,
    litres: 3.251,
    readings: 4,
  }),
  row('12:00', 'MILL S', false, {
    coldest: -40,
    hottest: -40,
    mean: -40,
    litres: -7.5,
    readings: 1,
  }),
  row('12:01', 'MILL N', false, { coldest: 8.4, hottest: 8.4, mean: 8.4, litres: 0, readings: 1 }),
  // mean (8.25 + 8.26) ÷ 2 = 8.255, half away from zero
  row('12:01', 'MILL N', true, {
    coldest: 8.25,
    hottest: 8.26,
    mean: 8.26,
    litres: 3,
    readings: 2,
  }),
]

test('another job: functions, least and greatest, a filter, windows side by side', async () => {
  const topic = { partitions: 3 }
  await withPipeline({ label: 'sensors', job: 'sensors.ts', topic }, async (pipeline) => {
    await pipeline.begin()
    await pipeline.topic.produce(readings.map(reading))
    await pipeline.topic.produce([{ value: JSON.stringify({ at: 'noon' }), partition: 0 }])
    await pipeline.drained()
    expect((await pipeline.windows()).map(({ state }) => state)).not.toContain('closed')
    expect(await found(pipeline)).toEqual(expected)

    // The watermark is the least of the partitions', so one alone closes nothing.
    const later = reading({ at: '12:03:02.001', name: 'mill s', floor: 0, celsius: 1 })
    await pipeline.topic.produce([
      { value: later, partition: 0 },
      { value: later, partition: 1 },
    ])
    await pipeline.drained()
    expect((await pipeline.windows('state=closed')).length).toBe(0)
    await pipeline.topic.produce([{ value: later, partition: 2 }])
    await until('two windows to be closed', async () => (await closedRows(pipeline)) === 4)
    expect(await found(pipeline)).toEqual(expected)

    const late = reading({ at: '12:01:30.000', name: 'mill n', floor: 2, celsius: 9 })
    await pipeline.topic.produce([{ value: late, partition: 1 }])
    await pipeline.drained()
    const [last, first] = await pipeline.rejects()
    expect(last).toMatchObject({ reason: 'late', partition: 1, value: late })
    expect(first).toMatchObject({ reason: 'schema', partition: 0, value: '{"at":"noon"}' })
    expect(await found(pipeline)).toEqual(expected)
    expect((await pipeline.statusNow()).totals).toMatchObject({
      counted: 11,
      filtered: 1,
      rejected: 1,
      late: 1,
      unaccounted: 0,
    })
    expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
    const one = await pipeline.windows('site=MILL%20N&upstairs=true')
    expect(one.map(({ values }) => values.readings)).toEqual([2])
  })
}, 60_000)

const closedRows = async (pipeline: Pipeline): Promise<number> =>
  (await pipeline.windows('state=closed')).length

/** The rows of 12:00 and 12:01, oldest first. */
async function found(pipeline: Pipeline) {
  const rows = await pipeline.windows('to=2024-05-01T12:02:00Z')
  const place = (one: (typeof rows)[number]) => one.start + JSON.stringify(one.key)
  return rows
    .sort((a, b) => place(a).localeCompare(place(b)))
    .map(({ start, key, values }) => ({ start, key, values }))
}
