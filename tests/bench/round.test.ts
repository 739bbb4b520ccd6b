import { expect, test } from 'bun:test'
import { median, medianRound, type Round, warmPerSecond } from '../../bench/round.ts'

const round = (values: Partial<Round> = {}): Round => ({
  seconds: 10,
  firstResultSeconds: 1,
  warmPerSecond: 100,
  cpuMicros: { executor: 2, kafka: 1 },
  peakBytes: 1_000,
  ...values,
})

test('warm is from the first sample at a fifth of the topic to the end', () => {
  const samples = [
    { seconds: 5, records: 100 },
    { seconds: 6, records: 250 },
    { seconds: 7, records: 600 },
  ]
  expect(warmPerSecond(samples, 1_000, 8)).toBe((1_000 - 250) / (8 - 6))
})

test('without a sample between a fifth and the end nothing is known', () => {
  expect(warmPerSecond([], 1_000, 8)).toBeNull()
  expect(warmPerSecond([{ seconds: 1, records: 199 }], 1_000, 8)).toBeNull()
  expect(warmPerSecond([{ seconds: 8, records: 1_000 }], 1_000, 8)).toBeNull()
  expect(warmPerSecond([{ seconds: 8, records: 500 }], 1_000, 8)).toBeNull()
})

test('the median of an even number lies between the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([10, 1, 4, 2])).toBe(3)
  expect(median([7])).toBe(7)
  expect(median([])).toBeNaN()
})

test("each number's median is taken by itself", () => {
  const middle = medianRound([
    round({ seconds: 9, peakBytes: 3 }),
    round({ seconds: 30, peakBytes: 1 }),
    round({ seconds: 11, peakBytes: 2 }),
  ])
  expect(middle).toMatchObject({ seconds: 11, peakBytes: 2 })
})

test('rounds without a warm pace are left out of its median', () => {
  const rounds = [round({ warmPerSecond: null }), round({ warmPerSecond: 40 })]
  expect(medianRound(rounds).warmPerSecond).toBe(40)
  expect(medianRound([round({ warmPerSecond: null })]).warmPerSecond).toBeNull()
})

test('a process that a round did not see used nothing in it', () => {
  const rounds = [round(), round(), round({ cpuMicros: { kafka: 1, other: 5 } })]
  expect(medianRound(rounds).cpuMicros).toEqual({ executor: 2, kafka: 1, other: 0 })
})
