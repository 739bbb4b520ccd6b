import { describe, expect, test } from 'bun:test'
import { delayBucket, delayBucketsMs } from '../../actors/messages.ts'
import { ofDelays } from '../../web/histograms.ts'
import { metricsText } from '../../web/metrics.ts'
import { parseExposition } from '../support/exposition.ts'
import { promtool, runPromtool } from '../support/promtool.ts'
import { actorReport, everything } from './telling.ts'

const nothing = {
  status: null,
  actors: [],
  partitions: [],
  sinks: [],
  tallies: null,
  cost: null,
  loop: null,
  leader: null,
}

const read = async (source = everything) => parseExposition(await metricsText(source))

test('what is told is the format to the letter', async () => {
  const families = await read()
  expect([...families.keys()].every((name) => name.startsWith('millrace_'))).toBe(true)
  const value = (name: string, labels = {}) =>
    families
      .get(`millrace_${name}`)
      ?.samples.find((sample) => Bun.deepEquals(sample.labels, labels))?.value
  expect(value('job_info', { name: 'rooms \\"and\\" halls\\n', topic: 'sensor\\\\readings' })).toBe(
    1,
  )
  expect(value('partition_lag_records', { partition: '0' })).toBe(3)
  expect(value('partition_lag_records', { partition: '1' })).toBeUndefined()
  expect(value('actors', { kind: 'executor', state: 'dead' })).toBe(1)
  expect(value('executors_busy')).toBe(0.5)
  expect(value('executor_deaths_total')).toBe(1)
  expect(value('result_delay_target_seconds')).toBe(2)
})

test('how many are wanted is told as long as a supervisor tells it', async () => {
  const { loop } = everything
  const decision = { at: 1, from: 2, to: 3, reason: 'hold', sentence: '', inputs: {} } as const
  const told = async (age: number) => {
    const source = { ...everything, loop: { ...loop!, at: loop!.at - age, decision } }
    return (await read(source)).get('millrace_executors_wanted')?.samples[0]?.value
  }
  expect(await told(0)).toBe(3)
  expect(await told(14_000)).toBe(3)
  expect(await told(15_000)).toBeUndefined()
  expect((await read()).has('millrace_executors_wanted')).toBe(false)
})

test.skipIf(!promtool)('promtool has nothing to say of it', async () => {
  const full = await runPromtool(['check', 'metrics'], await metricsText(everything))
  expect(full).toEqual({ code: 0, said: '' })
  const little = await runPromtool(['check', 'metrics'], await metricsText(nothing))
  expect(little).toEqual({ code: 0, said: '' })
})

test('while Redis is away that is told, and nothing of the job', async () => {
  const families = await read({ ...everything, ...nothing })
  expect([...families.keys()]).toEqual(['millrace_build_info', 'millrace_redis_up'])
  expect(families.get('millrace_redis_up')?.samples[0]?.value).toBe(0)
})

test('an actor has series while it lives, and memory once it has spoken', async () => {
  const actors = [actorReport({ id: 'a', state: 'dead' }), actorReport({ id: 'b', rssBytes: 0 })]
  const families = await read({ ...everything, actors })
  expect(families.has('millrace_actor_resident_memory_bytes')).toBe(false)
  const busy = families.get('millrace_executor_busy_ratio')?.samples.map(({ labels }) => labels)
  expect(busy).toEqual([{ executor: 'b' }])
})

describe('delays of executors as a histogram', () => {
  const histogram = (...delaysMs: number[]) => {
    const delays = delayBucketsMs.map(() => 0)
    for (const ms of delaysMs) delays[delayBucket(ms)]!++
    return ofDelays(delays)
  }
  const upTo = (seconds: number, { bounds, buckets }: ReturnType<typeof histogram>) =>
    buckets.reduce((sum, records, k) => sum + (bounds[k]! <= seconds ? records : 0), 0)

  test('each record is in the first bucket whose bound is not less than its delay', () => {
    for (const ms of [0, 1, 1.1, 1.2, 2, 63, 1_000, 1_024, 1_025, 60_000, 4_194_304]) {
      const one = histogram(ms)
      const bucket = one.buckets.findIndex((records) => records === 1)
      const [below = 0, bound = 0] = [one.bounds[bucket - 1], one.bounds[bucket]]
      // Bounds are told to four digits.
      expect(ms / 1_000).toBeLessThanOrEqual(bound * 1.001)
      expect(ms / 1_000).toBeGreaterThanOrEqual(below * 0.999)
    }
  })

  test('what took longer than the last bound is in the count alone', () => {
    const one = histogram(5_000_000)
    expect(one.count).toBe(1)
    expect(one.buckets.every((records) => records === 0)).toBe(true)
  })

  test('the sum is near what it stands for', () => {
    const ms = Array.from({ length: 2_000 }, (_, k) => k + 1)
    const { sum, count } = histogram(...ms)
    expect(count).toBe(2_000)
    const exact = ms.reduce((all, each) => all + each, 0) / 1_000
    expect(Math.abs(sum - exact) / exact).toBeLessThan(0.09)
    expect(upTo(1.024, histogram(...ms))).toBe(1_024)
  })

  test('bounds do not change with what is counted, and the series are there before any record', () => {
    expect(ofDelays([]).bounds).toEqual(histogram(5).bounds)
    expect(ofDelays([]).buckets.length).toBe(ofDelays([]).bounds.length)
  })
})
