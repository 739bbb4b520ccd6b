import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { backoffDelayMs } from '../../actors/backoff.ts'

test('doubles from base to cap, the upper half of it by chance', () => {
  const policy = { baseMs: 100, capMs: 1_000 }
  const at = (attempt: number, random: number) => backoffDelayMs(policy, attempt, random)
  expect([1, 2, 3, 4, 5, 6].map((attempt) => at(attempt, 0))).toEqual([50, 100, 200, 400, 500, 500])
  expect(at(1, 0.5)).toBe(75)
  expect(at(0, 0)).toBe(50)
})

test('is bounded for any attempt and chance', () => {
  const policies = fc.record({
    baseMs: fc.integer({ min: 1, max: 1_000 }),
    capMs: fc.integer({ min: 1_000, max: 60_000 }),
  })
  const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(policies, fc.nat(100_000), chances, (policy, attempt, random) => {
      const delay = backoffDelayMs(policy, attempt, random)
      expect(delay).toBeGreaterThanOrEqual(policy.baseMs / 2)
      expect(delay).toBeLessThanOrEqual(policy.capMs)
    }),
  )
})
