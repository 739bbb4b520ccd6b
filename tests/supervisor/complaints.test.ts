/** What users of other autoscalers complain of, each as a load that must go well here. */
import { describe, expect, test } from 'bun:test'
import { decide } from '../../supervisor/decide.ts'
import { emptyHistory, observe } from '../../supervisor/history.ts'
import { changes, simulate } from './simulation.ts'
import { fleet, measured } from './views.ts'

const costMs = 70

describe('users of other autoscalers complain that', () => {
  test('one message does not wake the consumer', () => {
    const ticks = simulate({ arrivals: (ms) => (ms < 110 ? 10 : 0), costMs, untilMs: 20_000 })
    expect(changes(ticks).map(([, from, to]) => [from, to])).toEqual([
      [0, 1],
      [1, 0],
    ])
    expect(ticks.at(-1)!.backlog).toBe(0)
  })

  test('a metric that is null scales to the maximum, or to 0', () => {
    const arrivals = (ms: number) => (ms < 30_000 ? 20 : 0)
    const blind = (ms: number) => ms >= 15_000
    const ticks = simulate({ arrivals, costMs, blind, untilMs: 7_200_000 })
    const before = ticks.find(({ at }) => at === 14_750)!.decision.to
    expect(new Set(ticks.filter(({ at }) => blind(at)).map(({ decision }) => decision.to))).toEqual(
      new Set([before]),
    )
  })

  test('it goes from 5 to 0 in one step', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 30_000 ? 65 : 0),
      costMs,
      max: 5,
      untilMs: 90_000,
    })
    expect(Math.max(...ticks.map(({ decision }) => decision.to))).toBe(5)
    const toNone = changes(ticks).filter(([, , to]) => to === 0)
    expect(toNone.map(([, from]) => from)).toEqual([1])
  })

  test('more consumers make it slower, and stay', () => {
    const ticks = simulate({ arrivals: () => 200, ceiling: 100, costMs: 9, untilMs: 120_000 })
    const late = ticks.filter(({ at }) => at > 20_000).map(({ decision }) => decision.to)
    expect(late.filter((to) => to === 1).length / late.length).toBeGreaterThan(0.8)
  })

  test('it rescales all day long', () => {
    // Thirty times an hour over what one executor can do, and back.
    const ticks = simulate({
      arrivals: (ms) => (ms % 120_000 < 20_000 ? 22 : 8),
      costMs,
      untilMs: 7_200_000,
    })
    const ofSecondHour = changes(ticks).filter(([seconds]) => seconds > 3_600)
    expect(ofSecondHour.length).toBeLessThan(15)
  })

  test('it scales down while it catches up', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 2_000 ? 1_000 : 1),
      costMs,
      untilMs: 60_000,
    })
    const done = ticks.find(({ at, backlog }) => at > 2_000 && backlog <= 1)!.at
    const shrinks = changes(ticks).filter(([, from, to]) => to < from)
    expect(shrinks[0]![0] * 1_000).toBeGreaterThan(done)
  })

  test('it scales down at 100 % busy', () => {
    // What arrives is little by the counters, and still nobody ever has a moment without a record.
    const view = fleet({ target: 4, running: 4 })
    let history = emptyHistory
    for (let at = 0; at <= 30_000; at += 250) {
      const done = { arrived: at / 100, committed: at / 100, busyUs: at * 4_000 }
      history = observe(history, view, measured({ at, waiting: 4, ...done }))
      // Learned while records were cheap.
      history = { ...history, rate: 100 }
    }
    expect(decide('backlog', view, history, 30_000)).toMatchObject({ to: 4, inputs: { busy: 1 } })
  })

  test('whoever takes longer to start than idle ones may stay is sent away before it worked', () => {
    const ticks = simulate({
      arrivals: (ms) => (ms < 110 ? 10 : 0),
      costMs,
      startMs: 30_000,
      untilMs: 120_000,
    })
    expect(changes(ticks).map(([, from, to]) => [from, to])).toEqual([
      [0, 1],
      [1, 0],
    ])
    expect(ticks.at(-1)!.backlog).toBe(0)
  })

  test('one missed event stops all scaling: each look decides by what is', () => {
    const view = fleet({ target: 0 })
    const history = observe(emptyHistory, view, measured({ at: 50_000, waiting: 3, arrived: 3 }))
    expect(decide('backlog', view, history, 50_000)).toMatchObject({ to: 1, reason: 'wake' })
  })
})
