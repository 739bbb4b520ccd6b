import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { avg, count, defineJob, durationMs, JobError, type Meta, sum } from '../../actors/job.ts'
import { consoleSink } from '../../actors/sinks/console.ts'

const good = {
  name: 'job',
  topic: 'records',
  schema: v.looseObject({ at: v.number(), who: v.string(), x: v.number() }),
  eventTime: (record: { at: number }) => record.at,
  window: { size: '10 s', slide: '5 s' },
  groupBy: ['who'],
  aggregates: { n: count(), total: sum('x'), mean: avg('x') },
} as const

const NO_META = {} as Meta

/** A declaration that the compiler would refuse, as a user of JavaScript may write it. */
const declare = (change: Record<string, unknown>) => defineJob({ ...good, ...change })

describe('a job', () => {
  test('may be given its aggregates by a function', () => {
    const given = defineJob({
      ...good,
      aggregates: ({ count, sum }) => ({ n: count(), double: sum((row) => 2 * row.x) }),
    })
    expect(given.ops).toBe('nhl')
    expect(given.aggregates[1]!.aggregate.of!({ x: 4 }, NO_META)).toBe(8)
  })

  test('is completed with the defaults', () => {
    expect(defineJob(good)).toMatchObject({
      watermarkDelayMs: 60_000,
      windowSizeMs: 10_000,
      windowSlideMs: 5_000,
      maxFutureSkewMs: 300_000,
      concurrency: 1,
      filter: null,
      work: null,
      ops: 'nhlnhl',
    })
    expect(declare({ window: { size: 2_000 } })).toMatchObject({ windowSlideMs: 2_000 })
  })

  const wrong: [Record<string, unknown>, string | RegExp][] = [
    [{ windows: 1 }, /^unknown field "windows"; a job has name, topic, topics, schema, /],
    [{ name: 'Job' }, 'name must be 1 to 64 lower-case letters, digits, - or _, not "Job"'],
    [{ name: 'a}b' }, /^name must be/],
    [{ name: '' }, /^name must be/],
    [{ name: undefined }, /^name must be/],
    [{ name: 'a'.repeat(65) }, /^name must be/],
    [{ topic: 'a b' }, /^topic must be 1 to 249 letters/],
    [{ topic: undefined }, /^topic must be/],
    [{ topics: ['a'] }, /^a job has topic or topics, not both/],
    [{ topic: undefined, topics: [] }, /^topics must be a list of names such as/],
    [{ topic: undefined, topics: 'a' }, /^topics must be a list of names such as/],
    [{ topic: undefined, topics: ['a', 'b c'] }, /^topics\[1\] must be 1 to 249 letters/],
    [{ topic: undefined, topics: ['a', 'b', 'a'] }, /^topics names "a" twice/],
    [{ schema: undefined }, 'schema must be a valibot schema'],
    [{ schema: {} }, 'schema must be a valibot schema'],
    [{ schema: v.objectAsync({}) }, 'schema must be synchronous; use work for what waits'],
    [{ eventTime: 'at' }, "eventTime must be a function of a record, or 'kafka'"],
    [{ eventTime: undefined }, "eventTime must be a function of a record, or 'kafka'"],
    [{ decode: 'avro' }, 'decode must be a function of a record'],
    [{ flatMap: [] }, 'flatMap must be a function of a record'],
    [{ flatMap: () => [] }, 'groupBy must be an object of functions where the job has flatMap'],
    [{ filter: true }, 'filter must be a function of a record'],
    [{ work: 1 }, 'work must be a function of a record'],
    [
      { window: undefined },
      "window must be { size, slide }, such as { size: '10 s', slide: '5 s' }",
    ],
    [{ window: {} }, /^window.size must be a duration of at least 1 ms/],
    [{ window: { size: '10 parsecs' } }, /^window.size must be a duration .*not "10 parsecs"$/],
    [{ window: { size: '0 s' } }, /^window.size must be a duration of at least 1 ms/],
    [{ window: { gap: '0 s' } }, /^window.gap must be a duration of at least 1 ms/],
    [
      { window: { gap: '30 s', max: '10 s' } },
      'window.max (10000 ms) must be at least window.gap (30000 ms)',
    ],
    [{ window: { gap: '30 s', size: '10 s' } }, 'window has gap and max for sessions, not "size"'],
    [{ window: { size: 10.5 } }, /^window.size must be/],
    [{ window: { size: Infinity } }, /^window.size must be/],
    [{ window: { size: '0.0001 s' } }, /^window.size must be/],
    [
      { window: { size: '10 s', slide: '3 s' } },
      'window.slide (3000 ms) must divide window.size (10000 ms)',
    ],
    [{ window: { size: '5 s', slide: '10 s' } }, /^window.slide \(10000 ms\) must divide/],
    [
      { window: { size: '129 s', slide: '1 s' } },
      'window.size must be at most 128 times window.slide',
    ],
    [{ watermarkDelay: '-1 s' }, /^watermarkDelay must be a duration of at least 0 ms/],
    [{ allowedLateness: 'a while' }, /^allowedLateness must be a duration of at least 0 ms/],
    [
      { window: { size: '10 s', slide: '1 s' }, allowedLateness: '3 h' },
      'allowedLateness (10800000 ms) must be at most 10,000 times window.slide (1000 ms)',
    ],
    [
      { window: { gap: '10 s' }, allowedLateness: '1 m' },
      'allowedLateness is for windows only: sessions do not change once closed',
    ],
    [{ updates: '500 ms' }, /^updates must be a duration of at least 1000 ms/],
    [{ window: { gap: '10 s' }, updates: '5 s' }, 'updates are of windows only, not of sessions'],
    [
      { sinks: [consoleSink({ updates: true })] },
      "sink console has updates: true, so the job must say how often, such as updates: '5 s'",
    ],
    [{ maxFutureSkew: '5 fortnights' }, /^maxFutureSkew must be/],
    [{ groupBy: 'who' }, 'groupBy must be a list of field names or an object of functions'],
    [{ groupBy: undefined }, /^groupBy must be a list/],
    [{ groupBy: ['who', 'who'] }, 'groupBy must be a list of different field names'],
    [{ groupBy: ['who', ''] }, 'groupBy must be a list of different field names'],
    [{ groupBy: [undefined] }, 'groupBy must be a list of different field names'],
    [{ groupBy: { who: 'who' } }, 'groupBy.who must be a function of a record'],
    [{ aggregates: {} }, 'aggregates must name at least one aggregate'],
    [{ aggregates: undefined }, 'aggregates must name at least one aggregate'],
    [
      { aggregates: { n: 'count' } },
      'aggregates.n must be one of count(), sum(), avg(), min(), max(), first(), last(), distinct(), quantiles(), topK(), aggregate()',
    ],
    [{ aggregates: { n: { kind: 'median' } } }, /^aggregates.n must be one of count\(\), sum\(\)/],
    [{ aggregates: { n: { kind: 'sum' } } }, /^aggregates.n must be one of count\(\), sum\(\)/],
    [{ aggregates: { n: count } }, /^aggregates.n must be/],
    [{ concurrency: 0 }, 'concurrency must be a whole number from 1 to 1024'],
    [{ concurrency: 1.5 }, /^concurrency must be/],
    [{ concurrency: '4' }, /^concurrency must be/],
    [{ sinks: {} }, /^sinks must be a list of sinks/],
    [{ sinks: ['postgres'] }, /^sinks must be a list of sinks/],
    [
      { sinks: [consoleSink(), consoleSink()] },
      'sinks: two have the name "console"; give one another `name`',
    ],
  ]
  const named = wrong.map(
    ([change, message]) =>
      [Bun.inspect(change).replace(/\s+/g, ' ').slice(0, 60), change, message] as const,
  )
  test.each(named)('with %s is refused in one line', (_, change, message) => {
    expect(() => declare(change)).toThrow(JobError)
    expect(() => declare(change)).toThrow(message)
    expect(() => declare(change)).not.toThrow(/\n/)
  })

  test('tells of open windows only where a sink asks for them', () => {
    const updates = '5 s' as const
    expect(declare({ updates, sinks: [consoleSink()] }).updatesMs).toBe(0)
    expect(declare({ updates, sinks: [consoleSink({ updates: true })] }).updatesMs).toBe(5_000)
    expect(declare({}).allowedLatenessMs).toBe(0)
    expect(declare({ allowedLateness: '1 m' }).allowedLatenessMs).toBe(60_000)
    expect(() => consoleSink({ updates: 1 as never })).toThrow('updates must be true or false')
  })

  test('that is no object at all is refused', () => {
    for (const nothing of [undefined, null, 'job', 1]) {
      expect(() => defineJob(nothing as unknown as typeof good)).toThrow(JobError)
    }
  })
})

test('durations are whole milliseconds of any unit', () => {
  const durations = {
    '250 ms': 250,
    '10s': 10_000,
    '1.5 s': 1_500,
    '1.005 s': 1_005,
    '2 m': 120_000,
  }
  const more = { '1 minute': 60_000, '2 hours': 7_200_000, '1 d': 86_400_000, '0.25 h': 900_000 }
  for (const [text, ms] of Object.entries({ ...durations, ...more })) {
    expect([text, durationMs('x', text as '1 s', 0)]).toEqual([text, ms])
  }
  expect(durationMs('x', 0, 0)).toBe(0)
})
