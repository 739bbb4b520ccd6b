import { afterEach, describe, expect, test } from 'bun:test'
import type { Clock } from '../../actors/clock.ts'
import type { Snapshot } from '../../actors/measure.ts'
import type { Measurement } from '../../supervisor/backlog.ts'
import { readSamples, Recorder } from '../../supervisor/measurements.ts'
import { openPlace, type Place } from '../support/redis.ts'
import { fleet, measured as view } from './views.ts'

const begin = 1_800_000_000_000

const places: Place[] = []
afterEach(async () => {
  for (const place of places.splice(0)) await place.end()
})

/** A recorder in a job of its own, and a clock that stands where it is put. */
async function create() {
  const place = await openPlace('measurements')
  places.push(place)
  let now = 0
  const clock = { elapsed: () => now } as Clock
  const recorder = new Recorder(place.store, place.keys, clock)
  const look = async (
    seconds: number,
    given: Partial<Measurement> = {},
    target = 1,
    snapshot = nobody,
  ) => {
    now = seconds * 1_000
    const view = fleet({ target, running: target, min: 0, max: 4 })
    await recorder.record(measured(seconds, given), view, 'backlog', snapshot)
  }
  return { ...place, look, recorder, samples: () => readSamples(place.store, place.keys) }
}

const measured = (at: number, given: Partial<Measurement> = {}): Measurement =>
  view({ at: begin + at * 1_000, arrived: 7, committed: 7, busyUs: 490_000, ...given })

const nobody: Pick<Snapshot, 'watermark' | 'actors'> = { watermark: null, actors: [] }

const executor = (delays: number[], eventDelays: number[]) =>
  ({ ...plainActor, delays, eventDelays }) as Snapshot['actors'][number]

const plainActor = { id: 'e1', kind: 'executor', alive: true }

const seconds = (samples: { at: number }[]) => samples.map(({ at }) => (at - begin) / 1_000)

describe('what the leader measured', () => {
  test('comes back as it was written', async () => {
    const { look, samples } = await create()
    await look(0, { waiting: 3, arrived: null, kafkaLag: null, busyUs: 123_456 }, 2)
    expect(await samples()).toEqual([
      {
        at: begin,
        arrived: null,
        committed: 7,
        busyUs: 123_456,
        waiting: 3,
        kafkaLag: null,
        running: 2,
        target: 2,
        min: 0,
        max: 4,
        policy: 'backlog',
        watermark: null,
        resultP50: null,
        resultP99: null,
        eventP50: null,
        eventP99: null,
      },
    ])
  })

  test('has the delays of what was committed since the sample before', async () => {
    const { look, samples } = await create()
    await look(0, {}, 1, { watermark: begin, actors: [executor([5], [0, 0, 1])] })
    await look(1, {}, 1, { watermark: begin + 9, actors: [executor([5, 0, 0, 0, 7], [0, 0, 1])] })
    expect(await samples()).toMatchObject([
      { watermark: begin, resultP50: null, eventP50: null },
      { watermark: begin + 9, resultP50: 2, resultP99: 2, eventP50: null, eventP99: null },
    ])
  })

  test('is read from a moment on', async () => {
    const { store, keys, look } = await create()
    for (const at of [0, 1, 2]) await look(at, { waiting: 1 })
    const ids = (await store.redis.xrange(keys.measurements, '-', '+')).map(([id]) => id)
    const last = Number(ids[2]!.split('-')[0])
    const inThatMs = ids.filter((id) => Number(id.split('-')[0]) >= last)
    expect(await readSamples(store, keys, last)).toHaveLength(inThatMs.length)
    expect(await readSamples(store, keys, last + 1)).toEqual([])
  })

  test('is kept once a second, however often it looks, and not while it is unknown', async () => {
    const { look, recorder, samples } = await create()
    for (const at of [0, 0.25, 0.5, 0.75, 1, 1.25, 2.5]) await look(at, { waiting: 1 })
    await recorder.record({ known: false, at: begin + 9_000 }, fleet({}), 'backlog', nobody)
    expect(seconds(await samples())).toEqual([0, 1, 2.5])
  })

  /**
   *   executors  1 ──┐ 0 ────────────────────────────────────────┐ a record at 130.25
   *   written    0   1            61           121         130   130.25
   */
  test('is kept once a minute in a silence, and its last moment before something happens', async () => {
    const { look, samples } = await create()
    await look(0)
    for (let at = 1; at <= 130; at++) await look(at, {}, 0)
    await look(130.25, { arrived: 8, waiting: 1 }, 0)
    expect(seconds(await samples())).toEqual([0, 1, 61, 121, 130, 130.25])
  })

  test('is bounded; what another version wrote is left out', async () => {
    const { store, keys, samples } = await create()
    for (let i = 0; i < 1_000; i++) await store.redis.xadd(keys.measurements, '*', 'at', String(i))
    const clock = { elapsed: () => 0 } as Clock
    await new Recorder(store, keys, clock, 200).record(measured(1), fleet({}), 'backlog', nobody)
    const kept = await store.redis.xlen(keys.measurements)
    // Redis trims whole nodes of a hundred.
    expect(kept).toBeLessThanOrEqual(300)
    expect(kept).toBeGreaterThanOrEqual(200)
    expect(seconds(await samples())).toEqual([1])
  })
})
