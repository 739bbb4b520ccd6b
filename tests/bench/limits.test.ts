import { expect, test } from 'bun:test'
import { consumerLine, redisLine } from '../../bench/limits.ts'

test("the figures of kafka-consumer-perf-test's one line", () => {
  const line =
    '2026-01-01 10:00:00:100, 2026-01-01 10:00:02:100, 20.0000, 10.0000, 100000, 50000.0000, 500, ' +
    '1500, 13.3333, 66666.6667'
  expect(consumerLine(line)).toEqual({
    recordsPerSecond: 66_666.6667,
    bytesPerRecord: (20 * 2 ** 20) / 100_000,
  })
})

test('warnings and headings are no figures', () => {
  expect(consumerLine('WARNING: Exiting before consuming the expected number of messages')).toBe(
    undefined,
  )
  expect(consumerLine('start.time, end.time, data.consumed.in.MB, MB.sec, a, b, c, d, e, f')).toBe(
    undefined,
  )
  expect(redisLine('"test","rps","avg_latency_ms"')).toBe(undefined)
})

test('calls a second of redis-benchmark', () => {
  expect(redisLine('"SET","1735.20","1.1","0.3"')).toBe(1_735.2)
  expect(redisLine('"GET","2000","1.1","0.3"')).toBe(2_000)
})
