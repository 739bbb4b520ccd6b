import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import type { Clock } from '../../actors/clock.ts'
import type { Sample } from '../../supervisor/measurements.ts'
import { Recorder } from '../../supervisor/measurements.ts'
import { pointsOf } from '../../web/history.ts'
import { historySchema } from '../../web/schemas.ts'
import { fleet, measured, sampleAt } from '../supervisor/views.ts'
import { openWeb, type Web } from './setup.ts'

const begin = 1_800_000_000_000

const sample = (seconds: number, given: Partial<Sample> = {}): Sample =>
  sampleAt(begin + seconds * 1_000, given)

describe('points of a chart', () => {
  /**
   *   seconds      -1 │  0    1    2    3    4 │  5 …
   *   arrived     100 │     110       200      │
   *   waiting       0 │  2    9    4    0    1 │
   *                     one point of 5 s
   */
  test('keep the peaks of their step; rates are what was counted in it', () => {
    const step = [
      sample(0, { arrived: 100, committed: 100, waiting: 2, running: 1, resultP50: 4 }),
      sample(1, { arrived: 110, waiting: 9, running: 3, resultP50: 8, resultP99: 90 }),
      sample(4, {
        arrived: 200,
        committed: 150,
        waiting: 1,
        kafkaLag: null,
        watermark: begin - 56_000,
      }),
    ]
    const before = sample(-1, { arrived: 100, committed: 100 })
    expect(pointsOf([before, ...step], begin, 5_000)).toEqual([
      {
        at: new Date(begin + 4_000).toISOString(),
        backlog: 9,
        kafkaLag: 0,
        arrivedPerSecond: 20,
        committedPerSecond: 10,
        executors: 3,
        target: 1,
        max: 4,
        latencyMs: { p50: 6, p99: 90 },
        eventDelayMs: { p50: null, p99: null },
        watermarkDelayMs: 60_000,
      },
    ])
  })

  test('are none where nothing was measured; what is not known is null', () => {
    const points = pointsOf(
      [sample(0, { arrived: null }), sample(60, { arrived: 7 })],
      begin,
      1_000,
    )
    expect(points.map(({ at }) => Date.parse(at) - begin)).toEqual([0, 60_000])
    expect(points.map(({ arrivedPerSecond }) => arrivedPerSecond)).toEqual([null, null])
  })

  test('of counters that began anew have no rate', () => {
    const points = pointsOf([sample(0, { arrived: 9 }), sample(1, { arrived: 2 })], begin, 1_000)
    expect(points[1]?.arrivedPerSecond).toBeNull()
  })
})

describe('GET /api/history', () => {
  let web: Web
  beforeEach(async () => {
    web = await openWeb('history')
  })
  afterEach(() => web.end())

  test('gives what Redis keeps, for whoever asks first and for those that come later', async () => {
    const { store, keys } = web.seeded
    const recorder = new Recorder(store, keys, { elapsed: () => 0 } as Clock)
    const [seconds] = await store.redis.time()
    const observed = measured({ at: Number(seconds) * 1_000, waiting: 77 })
    const nobody = { watermark: null, actors: [] }
    await recorder.record(observed, fleet({ running: 2 }), 'backlog', nobody)
    const { status, body } = await web.json('/api/history?span=1h&limit=60')
    expect(status).toBe(200)
    const report = v.parse(historySchema, body)
    expect(report.stepMs).toBe(60_000)
    expect(report.points).toMatchObject([{ backlog: 77, executors: 2, max: 4 }])
    expect(Date.parse(report.to) - Date.parse(report.from)).toBe(3_600_000)
  })

  test.each(['span=1s', 'span=2d', 'span=x', 'limit=0', 'spam=1h', 'span=1h&span=2h'])(
    'refuses %s with what is allowed',
    async (query) => {
      const { status, body } = await web.json(`/api/history?${query}`)
      expect(status).toBe(400)
      expect(body.error?.message).toMatch(/span must be|limit must be|allowed: span, limit/)
    },
  )
})
