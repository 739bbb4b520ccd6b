import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { phases } from '../../simulate/load.ts'
import { cheapest, optimumOf, type Work } from '../../simulate/optimum.ts'
import type { Scenario } from '../../simulate/scenario.ts'
import { scenarios } from '../../simulate/scenarios.ts'
import { play } from '../../simulate/world.ts'

setDefaultTimeout(60_000)

const stepMs = 1_000
const demo = scenarios.find(({ name }) => name === 'demo')!

/** Work that arrives in each step, and is due so many steps later. */
function workOf(perStep: readonly number[], delaySteps: number): Work {
  const arrived = new Float64Array(perStep.length)
  let sum = 0
  for (const [i, ms] of perStep.entries()) arrived[i] = sum += ms
  const due = arrived.map((_, i) => arrived[i - delaySteps] ?? 0)
  return { arrived, due }
}

/** Least Σ n over all plans there are; null where no plan is in time. */
function bruteForce(work: Work, max: number): number | null {
  let best: number | null = null
  const most = (max + 1) ** work.arrived.length
  for (let code = 0; code < most; code++) {
    const plan = digits(code, max + 1, work.arrived.length)
    const cost = plan.reduce((sum, executors) => sum + executors, 0)
    if ((best === null || cost < best) && isInTime(work, plan)) best = cost
  }
  return best
}

function isInTime({ arrived, due }: Work, plan: readonly number[]): boolean {
  let done = 0
  return plan.every((executors, i) => {
    done = Math.min(arrived[i]!, done + executors * stepMs)
    return done >= due[i]!
  })
}

const digits = (code: number, base: number, length: number) =>
  Array.from({ length }, (_, i) => Math.floor(code / base ** i) % base)

describe('the hindsight optimum', () => {
  /**
   *   work a second   700  700  700  700  700  700      due two seconds later
   *   executors         1    0    1    1    0    1      2100 ms in 3 steps: 2 are too few at the third
   */
  test('collects work as long as it may wait', () => {
    const { executorMs, plan, feasible } = cheapest({
      ...workOf([700, 700, 700, 700, 700, 700], 2),
      stepMs,
      max: 4,
    })
    expect(executorMs).toBe(3_000)
    expect([...plan].reduce((sum, executors) => sum + executors * stepMs, 0)).toBe(executorMs)
    expect(isInTime(workOf([700, 700, 700, 700, 700, 700], 2), [...plan])).toBe(true)
    expect(feasible).toBe(true)
  })

  test('of any load is what trying all plans finds', () => {
    const problems = fc.record({
      perStep: fc.array(fc.constantFrom(0, 0, 300, 700, 1_000, 1_500, 2_600), {
        minLength: 1,
        maxLength: 6,
      }),
      delaySteps: fc.integer({ min: 0, max: 3 }),
      max: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(problems, ({ perStep, delaySteps, max }) => {
        const work = workOf(perStep, delaySteps)
        const { executorMs, plan, feasible } = cheapest({ ...work, stepMs, max })
        const best = bruteForce(work, max)
        expect(feasible).toBe(best !== null)
        if (best !== null) {
          expect(executorMs).toBe(best * stepMs)
          expect(isInTime(work, [...plan])).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('where the fleet is too small: never behind a fleet that is always at its maximum', () => {
    const work = workOf([9_000, 0, 0, 0, 0, 0, 0, 0], 1)
    const { executorMs, plan, feasible } = cheapest({ ...work, stepMs, max: 2 })
    expect(feasible).toBe(false)
    expect([...plan]).toEqual([2, 2, 2, 2, 1, 0, 0, 0])
    expect(executorMs).toBe(9_000)
  })

  test('no plan of whole seconds that is in time costs less, when records are really worked on', () => {
    // Records that fit into a second, so that nobody works on after the end of a planned second.
    const one: Scenario = {
      ...demo,
      seconds: 5,
      load: phases([0, 0.49], [100, 0.03], [0, 1.47], [100, 0.04], [0, 2.97]),
      cost: { kind: 'constant', ms: 500 },
      startMs: 0,
    }
    const maxResultDelayMs = 1_600
    const setting = {
      ...({ policy: 'backlog', min: 0, max: 2, maxResultDelayMs, seed: 1 } as const),
      overtimeMs: 5_000,
    }
    const { executorMs } = optimumOf(one, { max: 2, maxResultDelayMs, seed: 1 })
    let cheapestPlayed = Infinity
    for (let code = 0; code < 3 ** 5; code++) {
      const counts = digits(code, 3, 5)
      const plan = counts.map((executors, i) => [i, executors] as const)
      const { delays, account } = play(one, { ...setting, plan, warm: counts[0]! })
      if (delays.at(-1)! > maxResultDelayMs) continue
      expect(account.usedMs).toBeGreaterThanOrEqual(executorMs)
      cheapestPlayed = Math.min(cheapestPlayed, account.usedMs)
    }
    // Some plan is in time at all, else nothing was compared.
    expect(cheapestPlayed).toBeLessThan(Infinity)
  })

  test('of a real scenario lies between its work and what a plan in time uses', () => {
    const setting = { max: 4, maxResultDelayMs: 2_000, seed: 1 }
    const { executorMs, workMs, feasible } = optimumOf(demo, setting)
    expect(feasible).toBe(true)
    // 300 + 1,200 records of 70 ms.
    expect(workMs).toBeCloseTo(1_500 * 70, 3)
    expect(executorMs).toBeGreaterThanOrEqual(workMs - stepMs)
    const plan = demo.plan!
    const played = play(demo, { ...setting, policy: 'backlog', min: 0, plan, warm: 1 })
    expect(played.delays.at(-1)).toBeLessThan(setting.maxResultDelayMs)
    expect(executorMs).toBeLessThan(played.account.usedMs)
  })
})
