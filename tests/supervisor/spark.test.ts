/** Spark's ExecutorAllocationManager, rule by rule: what its own suite asks of it. */
import { describe, expect, test } from 'bun:test'
import { decide } from '../../supervisor/decide.ts'
import { emptyHistory, observe, remember } from '../../supervisor/history.ts'
import type { Fleet } from '../../supervisor/reasons.ts'
import { fleet, measured } from './views.ts'

interface Look {
  /** Tasks that wait for a slot, and tasks that run. */
  pending: number
  running?: number
}

/** Plays looks, one each half second, and tells the target after each; `busy` executors stay busy. */
function play(looks: readonly Look[], given: Partial<Fleet> = {}, busy = 0): number[] {
  let history = emptyHistory
  let target = given.target ?? 0
  let worked = 0
  return looks.map(({ pending, running = 0 }, i) => {
    const at = 10_000 + i * 500
    const executors = Array.from({ length: target }, (_, k) => ({
      id: `e${k}`,
      busyMs: k < busy ? (worked += 100) : 0,
    }))
    const view = fleet({ max: 8, ...given, target, running: target, executors })
    const entries = pending + running
    const moment = measured({ at, waiting: entries, entries, undelivered: pending })
    history = observe(history, view, moment)
    const decision = decide('spark', view, history, at)
    history = remember(history, decision)
    target = decision.to
    return target
  })
}

const looks = (count: number, look: Look) => Array.from({ length: count }, () => look)

describe('spark', () => {
  test('tasks pending for 1 s bring 1, and each further second 2, 4 … more', () => {
    expect(play(looks(9, { pending: 100 }))).toEqual([0, 0, 1, 1, 3, 3, 7, 7, 8])
  })

  test('never more than there are tasks; a step that was cut begins again with 1', () => {
    expect(play(looks(7, { pending: 2 }))).toEqual([0, 0, 1, 1, 2, 2, 2])
    const grown = [...looks(5, { pending: 2 }), ...looks(5, { pending: 20 })]
    expect(play(grown)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 5, 5])
  })

  test('a moment without a pending task begins the second anew', () => {
    const broken = [...looks(2, { pending: 5 }), { pending: 0 }, ...looks(3, { pending: 5 })]
    expect(play(broken)).toEqual([0, 0, 0, 0, 0, 1])
  })

  test('executors stay when tasks are gone, until each was idle for 10 s', () => {
    const ended = [...looks(5, { pending: 100 }), ...looks(22, { pending: 0 })]
    const targets = play(ended)
    expect(targets.slice(4, 22)).toEqual(Array.from({ length: 18 }, () => 3))
    expect(targets.at(-1)).toBe(0)
  })

  test('busy executors stay, idle ones go, and the minimum stays whatever it does', () => {
    expect(play(looks(30, { pending: 0, running: 1 }), { target: 4 }, 1).at(-1)).toBe(1)
    expect(play(looks(30, { pending: 0 }), { target: 4, min: 2 }).at(-1)).toBe(2)
  })

  test('four that share a trickle are never idle, and all stay: why it is not the default', () => {
    expect(play(looks(60, { pending: 0, running: 1 }), { target: 4 }, 4).at(-1)).toBe(4)
  })
})

test('fixed: always as many as allowed', () => {
  const view = fleet({ max: 3 })
  const history = observe(emptyHistory, view, measured())
  expect(decide('fixed', view, history, 0)).toMatchObject({ to: 3, reason: 'fixed' })
  expect(decide('fixed', { ...view, paused: true }, history, 0)).toMatchObject({ to: 0 })
})
