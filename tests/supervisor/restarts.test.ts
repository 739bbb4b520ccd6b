import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  bridgeRestarts,
  type Crash,
  crashed,
  executorRestarts,
  lived,
  mayStart,
  noCrashes,
  type Restarts,
  webRestarts,
} from '../../supervisor/restarts.ts'

const crash = (at: number, given: Partial<Crash> = {}): Crash => ({
  at,
  uptimeMs: 10,
  reason: 'SIGKILL',
  refused: false,
  ...given,
})

/** Crashes again as soon as it may start, `times` times. */
function loop(policy: typeof bridgeRestarts, times: number, given: Partial<Crash> = {}) {
  let state: Restarts = noCrashes
  const delays: number[] = []
  let now = 1_000_000
  for (let i = 0; i < times && state.failed === null; i++) {
    state = crashed(policy, state, crash(now, given), 0.999)
    delays.push(state.readyAt - now)
    now = state.readyAt + 10
  }
  return { state, delays, now }
}

describe('restarts', () => {
  test('50 that are lost with a machine are one crash; who dies there later is another', () => {
    const lost = { machine: 'node-1', oursMs: 60_000, uptimeMs: 60_000 }
    let state: Restarts = noCrashes
    for (let i = 0; i < 50; i++) {
      state = crashed(executorRestarts, state, crash(1_000_000 + i * 100, lost), 0.5)
    }
    expect(state.crashes).toHaveLength(1)
    expect(mayStart(state, 1_005_000)).toBe(true)
    // Both were there when the other machine was lost, whose pods are missed between the first's.
    for (const machine of ['node-2', 'node-1', 'node-2']) {
      state = crashed(executorRestarts, state, crash(1_005_000, { ...lost, machine }), 0.5)
    }
    expect(state.crashes).toHaveLength(2)
    const young = { ...lost, oursMs: 5 }
    for (let i = 0; i < 30; i++) {
      state = crashed(executorRestarts, state, crash(1_006_000 + i * 10, young), 0.5)
    }
    expect(state.failed).toContain('crashes within 60 s')
  })

  test('what ends by itself and says why counts, wherever it ran', () => {
    const refused = { machine: 'node-1', oursMs: 60_000, refused: true }
    const { state } = loop(bridgeRestarts, 10, refused)
    expect(state.failed).not.toBeNull()
  })

  test('one that had lived for a while starts at once again', () => {
    const { state, now } = loop(executorRestarts, 5)
    const next = crashed(executorRestarts, state, crash(now, { uptimeMs: 2_000 }), 0.5)
    expect(next.readyAt - now).toBeLessThanOrEqual(100)
  })

  test('past the budget it is failed, and the reason says so and when it is tried again', () => {
    const { state, delays, now } = loop(executorRestarts, 100)
    expect(delays).toHaveLength(executorRestarts.crashesMax + 1)
    expect(state.failed).toBe(
      '31 crashes within 60 s, the last: SIGKILL; it is tried again every 60 s',
    )
    expect(mayStart(state, now - 11 - executorRestarts.pauseMs / 2)).toBe(false)
    expect(mayStart(state, state.readyAt)).toBe(true)
  })

  test('crashes slower than the budget never fail', () => {
    let state: Restarts = noCrashes
    for (let at = 0; at < 3_600_000; at += 5_000) {
      state = crashed(executorRestarts, state, crash(at, { uptimeMs: 4_900 }), 0.5)
    }
    expect(state.failed).toBeNull()
  })

  test('the same refusal three times needs no more tries; another reason counts anew', () => {
    const refusal = { refused: true, reason: 'topic was created anew' }
    const { state, delays } = loop(bridgeRestarts, 10, refusal)
    expect(delays).toHaveLength(3)
    expect(state.failed).toBe('topic was created anew; it is tried again every 60 s')
    const twice = loop(bridgeRestarts, 2, refusal).state
    const other = crashed(bridgeRestarts, twice, crash(0, { refused: true, reason: 'other' }), 0)
    expect(other.failed).toBeNull()
    expect(other.refusals).toBe(1)
  })

  test('failed: one more try after the pause; it dies → failed again, it lives → forgotten', () => {
    const { state } = loop(bridgeRestarts, 10, { refused: true, reason: 'no' })
    const again = crashed(bridgeRestarts, state, crash(state.readyAt + 100), 0.5)
    expect(again.failed).toBe('it died again: SIGKILL; it is tried again every 60 s')
    expect(again.readyAt - state.readyAt).toBeGreaterThanOrEqual(bridgeRestarts.pauseMs)
    expect(lived(bridgeRestarts, state, 100)).toBe(state)
    expect(lived(bridgeRestarts, state, 6_000)).toMatchObject({ failed: null, attempt: 0 })
  })

  describe.each([
    ['executors', executorRestarts],
    ['the bridge', bridgeRestarts],
    ['the web process', webRestarts],
  ])('of %s', (_, policy) => {
    test('the first restart within 100 ms, then doubling up to a cap', () => {
      const { delays } = loop(policy, 6)
      expect(delays.map((ms) => Math.round(ms / 100) * 100)).toEqual([
        100, 200, 400, 800, 1_000, 1_000,
      ])
    })

    test('the budget is so many within a time: one more is failed, and says why', () => {
      const { state, delays } = loop(policy, 100)
      expect(delays).toHaveLength(policy.crashesMax + 1)
      expect(state.failed).toStartWith(`${policy.crashesMax + 1} crashes within 60 s`)
      expect(state.failed).toContain('SIGKILL')
    })

    test('crashes that are older than that time do not count', () => {
      const { state, now } = loop(policy, policy.crashesMax)
      const later = crashed(policy, state, crash(now + policy.withinMs), 0.5)
      expect(later.failed).toBeNull()
      expect(later.crashes).toHaveLength(1)
    })

    test('after a quiet time it starts as if nothing had been', () => {
      const { state, now } = loop(policy, 5)
      const quiet = lived(policy, state, policy.steadyMs)
      expect(quiet).toMatchObject({ attempt: 0, refusals: 0, failed: null })
      const next = crashed(policy, quiet, crash(now), 0.999)
      expect(next.readyAt - now).toBeLessThanOrEqual(100)
    })
  })

  test('for any crashes the wait is bounded and the memory too', () => {
    const crashes = fc.array(
      fc.record({
        afterMs: fc.integer({ min: 0, max: 30_000 }),
        uptimeMs: fc.integer({ min: 0, max: 20_000 }),
        reason: fc.constantFrom('a', 'b'),
        refused: fc.boolean(),
      }),
      { maxLength: 80 },
    )
    fc.assert(
      fc.property(crashes, fc.double({ min: 0, max: 0.99, noNaN: true }), (list, random) => {
        let state: Restarts = noCrashes
        let at = 0
        for (const { afterMs, ...rest } of list) {
          at = Math.max(at, state.readyAt) + afterMs
          state = crashed(bridgeRestarts, state, { at, ...rest }, random)
          const wait = state.readyAt - at
          expect(wait).toBeGreaterThanOrEqual(50)
          expect(wait).toBeLessThanOrEqual(state.failed === null ? 1_000 : 60_000)
          expect(state.crashes.length).toBeLessThanOrEqual(list.length)
        }
      }),
    )
  })
})
