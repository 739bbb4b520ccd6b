import { expect, test } from 'bun:test'
import { seededRandom } from '../../../actors/clock.ts'
import { UsageError } from '../../../actors/errors.ts'
import { readOptions, seriesNames } from '../../../bench/growth/options.ts'
import { groupedBodyMaker, paddedBodyMaker } from '../../../bench/growth/records.ts'
import { allSeries, base, countOf, topicOf } from '../../../bench/growth/series.ts'

test('settings share a topic exactly where they read the same records', () => {
  const topics = (name: keyof typeof allSeries) =>
    new Set(allSeries[name].points.map(({ setting }) => topicOf(setting)))
  expect([...topics('executors')]).toEqual([topicOf(base)])
  expect([...topics('windows')]).toEqual([topicOf(base)])
  for (const name of ['groups', 'partitions', 'size', 'rate'] as const) {
    expect(topics(name).size).toBe(allSeries[name].points.length)
  }
  for (const { points } of Object.values(allSeries)) {
    for (const { setting } of points) expect(topicOf(setting)).toMatch(/^[a-z0-9-]+$/)
  }
})

test('large records are fewer', () => {
  expect(countOf({ ...base, recordBytes: 100_000 }, 1_000_000, 400_000_000)).toBe(4_000)
  expect(countOf({ ...base, recordBytes: 100 }, 1_000_000, 400_000_000)).toBe(1_000_000)
})

test('records have as many groups as they shall', () => {
  const body = groupedBodyMaker(seededRandom(1), 50)
  const groups = Array.from({ length: 2_000 }, () => {
    const { course, activity } = JSON.parse(`{${body().rest}`) as Record<string, string>
    return `${course}|${activity}`
  })
  expect(new Set(groups).size).toBe(50)
})

test('padded records are as long as they shall be, but for two or three bytes', () => {
  for (const bytes of [100, 215, 1_000, 100_000]) {
    const body = paddedBodyMaker(seededRandom(1), bytes)
    for (let i = 0; i < 100; i++) {
      const value = `{"timestamp":1760000000.123,${body().rest}`
      expect(Object.keys(JSON.parse(value) as object)).toContain('cpu')
      expect(Math.abs(value.length - bytes)).toBeLessThanOrEqual(3)
    }
  }
})

test('every series is played unless some are chosen, and unknown ones are named', () => {
  expect(readOptions([]).series).toEqual([...seriesNames])
  expect(readOptions(['--series', 'size,rate']).series).toEqual(['rate', 'size'])
  const allowed = `some of ${seriesNames.join(',')}`
  const wrong: [string[], string][] = [
    [['--series', 'speed'], `--series must be ${allowed}, not "speed"`],
    [['--series', ''], `--series must be ${allowed}, not ""`],
    [['--count', '10'], '--count must be a number from 1000000 to 1000000000, not "10"'],
  ]
  for (const [argv, message] of wrong) {
    expect(() => readOptions(argv)).toThrow(new UsageError(message))
  }
})
