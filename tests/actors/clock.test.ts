/**
 * A clock that is set while somebody waits by it.
 */
import { expect, test } from 'bun:test'
import { nextTick, steady } from '../../actors/clock.ts'

/** A wall clock that can be set, beside one that only counts. */
function clocks() {
  const state = { wall: 1_000_000, elapsed: 0 }
  return {
    now: steady(
      () => state.wall,
      () => state.elapsed,
    ),
    pass(ms: number) {
      state.wall += ms
      state.elapsed += ms
    },
    set(byMs: number) {
      state.wall += byMs
    },
  }
}

test('the time is the wall clock’s', () => {
  const { now, pass } = clocks()
  expect(now()).toBe(1_000_000)
  pass(250)
  expect(now()).toBe(1_000_250)
})

test('a clock that is set forward is believed', () => {
  const { now, set } = clocks()
  now()
  set(600_000)
  expect(now()).toBe(1_600_000)
})

test('set back ten minutes it neither goes back nor stands still: who waits by it waits twice as long', () => {
  const { now, pass, set } = clocks()
  now()
  set(-600_000)
  expect(now()).toBe(1_000_000)
  pass(2_000)
  expect(now()).toBe(1_001_000)
  for (let i = 0; i < 1_000; i++) pass(1_000)
  expect(now()).toBe(1_501_000)
  for (let i = 0; i < 400; i++) pass(1_000)
  expect(now()).toBe(1_802_000)
})

test('what comes every second comes at the same moments, also after a timer that was early', () => {
  const moments = [0, 1, 999.9, 1_000.4, 1_700, 1_989].map((now) => nextTick(now, 1_000))
  expect(moments).toEqual([1_000, 1_000, 2_000, 2_000, 2_000, 2_000])
  expect(nextTick(1_700, 500)).toBe(2_000)
})
