import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import job from '../../examples/sensors.ts'

const start = Date.parse('2025-06-02T09:00:00Z')
const message = (second: number, device: string, ...readings: object[]) => ({
  device,
  hall: 'paint',
  at: start + second * 1_000,
  readings,
})
const celsius = (value: number) => ({ kind: 'temperature', value, unit: 'C' })
const fahrenheit = (value: number) => ({ kind: 'temperature', value, unit: 'F' })
const psi = (value: number) => ({ kind: 'pressure', value, unit: 'psi' })

test('readings of one message are rows of their kinds, in one unit', async () => {
  const it = testJob(job)
  await it.feed(message(5, 'd1', celsius(20), psi(100)))
  await it.feed(message(8, 'd2', fahrenheit(212)))
  const rows = (await it.windows()).filter((row) => row.start === start)
  const told = rows.map(({ key, values }) => {
    const { value: _, ...exact } = values
    return { ...key, ...exact }
  })
  expect(told).toEqual([
    {
      hall: 'paint',
      kind: 'pressure',
      readings: 1,
      devices: 1,
      least: 6.895,
      greatest: 6.895,
      newest: 6.895,
    },
    {
      hall: 'paint',
      kind: 'temperature',
      readings: 2,
      devices: 2,
      least: 20,
      greatest: 100,
      newest: 100,
    },
  ])
  expect(await it.totals()).toMatchObject({ counted: 2 })
})

//  start of windows: …9:00  9:10  9:20  …   each a minute long
test('a reading is in each of the six windows that hold its time', async () => {
  const it = testJob(job)
  await it.feed(message(65, 'd1', celsius(20)))
  const starts = (await it.windows()).map((row) => (row.start - start) / 1_000)
  expect(starts).toEqual([10, 20, 30, 40, 50, 60])
})

test('the newest is by event time, and quantiles are within 0.78 %', async () => {
  const it = testJob(job)
  for (const second of [9, 3, 1]) await it.feed(message(second, 'd1', celsius(100 + second)))
  const [row] = (await it.windows()).filter((row) => row.start === start)
  expect(row!.values.newest).toBe(109)
  const { p50, p95 } = row!.values.value as { p50: number; p95: number }
  expect(Math.abs(p50 - 103)).toBeLessThan(103 * 0.0078)
  expect(Math.abs(p95 - 109)).toBeLessThan(109 * 0.0078)
})

test('a unit that nobody knows rejects the message, with all of its readings', async () => {
  const it = testJob(job)
  await it.feed(message(5, 'd1', celsius(20), { kind: 'pressure', value: 1, unit: 'Pa' }))
  expect(await it.rejects()).toMatchObject([{ reason: 'schema' }])
  expect(await it.windows()).toEqual([])
})

test('a message without a reading is filtered', async () => {
  const it = testJob(job)
  await it.feed(message(5, 'd1'))
  expect(await it.totals()).toMatchObject({ counted: 0, filtered: 1 })
})
