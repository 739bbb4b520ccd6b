import { afterEach, describe, expect, test } from 'bun:test'
import { CostMeter, costReport, executorMs, readCost } from '../../supervisor/cost.ts'
import { openPlace, type Place } from '../support/redis.ts'
import { executor, HandClock, type Known, T0 } from './accounts.ts'

const gone = (id: string, from: number, to: number | null, at = 0) =>
  executor(id, {
    alive: false,
    state: to === null ? 'running' : 'stopped',
    startedAt: T0 + from,
    stoppedAt: to === null ? null : T0 + to,
    at: T0 + at,
  })

describe('the time of executors', () => {
  //  0 ms      1,000      2,000      3,000
  //  ├──────────┼──────────┼──────────┤
  //             [   looks between    )
  test.each([
    ['one that lives all of it', executor('a'), 1_000],
    ['one that drains', executor('a', { state: 'draining' }), 1_000],
    ['one that began within it', executor('a', { startedAt: T0 + 1_700 }), 300],
    ['one that began later', executor('a', { startedAt: T0 + 2_400 }), 0],
    ['one that ended within it', gone('a', 0, 1_250), 250],
    ['one that came and went within it', gone('a', 1_100, 1_500), 400],
    ['one that ended before', gone('a', 0, 900), 0],
    ['one that fell silent: until its last heartbeat', gone('a', 0, null, 1_600), 600],
    ['a bridge', executor('a', { kind: 'bridge' }), 0],
  ])('%s', (_, one, ms) => {
    expect(executorMs([one], T0 + 1_000, T0 + 2_000)).toBe(ms)
  })

  test('does not depend on when somebody looks', () => {
    const all = [executor('a'), gone('b', 130, 2_690), gone('c', 777, 778)]
    for (const stepMs of [10, 250, 333, 1_000]) {
      let sum = 0
      for (let at = 0; at < 3_000; at += stepMs) {
        sum += executorMs(all, T0 + at, T0 + Math.min(at + stepMs, 3_000))
      }
      expect(sum).toBe(3_000 + 2_560 + 1)
    }
  })
})

describe('the account', () => {
  let place: Place
  afterEach(() => place.end())

  async function open(label: string) {
    place = await openPlace(label)
    const { store, keys } = place
    const clock = new HandClock()
    const moment = () => ({ elapsed: clock.elapsed(), now: clock.now() })
    const make = async () => {
      const meter = new CostMeter(store, keys, 0.05)
      await meter.open(moment())
      return meter
    }
    const look = async (meter: CostMeter, actors: Known[], max = 4) => {
      await meter.count(moment(), { actors }, max)
    }
    return { clock, make, look, report: () => readCost(store, keys) }
  }

  test('executors × time against max × time, as seconds, share and money', async () => {
    const { clock, make, look, report } = await open('cost-account')
    const meter = await make()
    clock.pass(1_000)
    await look(meter, [executor('a')])
    clock.pass(1_000)
    const later = { startedAt: T0 + 1_500 }
    await look(meter, [executor('a'), executor('b', later), executor('c', later)])
    expect(await report()).toEqual({
      since: '2026-01-01T00:00:00.000Z',
      elapsedSeconds: 2,
      executorSeconds: 3,
      staticExecutorSeconds: 8,
      savedShare: 0.625,
      pricePerExecutorHour: 0.05,
      money: { used: 0.000042, static: 0.000111, saved: 0.000069 },
    })
  })

  test('more than the maximum for a while is no saving', async () => {
    const { clock, make, look, report } = await open('cost-over')
    const meter = await make()
    clock.pass(1_000)
    await look(meter, [executor('a'), executor('b', { state: 'draining' })], 1)
    expect(await report()).toMatchObject({ savedShare: -1, staticExecutorSeconds: 1 })
  })

  test('another leader goes on from there; without one nothing counts', async () => {
    const { clock, make, look, report } = await open('cost-leaders')
    const first = await make()
    clock.pass(2_000)
    await look(first, [executor('a')])
    clock.pass(60_000)
    const second = await make()
    clock.pass(1_000)
    await look(second, [executor('a')])
    expect(await report()).toMatchObject({ elapsedSeconds: 3, executorSeconds: 3 })
    // The first one was held up meanwhile: it neither counts the gap nor takes back what is counted.
    await look(first, [executor('a')])
    clock.pass(1_000)
    await look(first, [executor('a')])
    expect(await report()).toMatchObject({ elapsedSeconds: 4, executorSeconds: 4 })
  })
})

test('nothing was counted: nothing is known', () => {
  expect(costReport(null, null)).toMatchObject({ since: null, savedShare: null })
  expect(costReport(null, null).money).toEqual({ used: null, static: null, saved: null })
})
