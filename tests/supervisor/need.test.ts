import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { amount, drainSeconds, executorsNeeded, formula, type Load } from '../../supervisor/need.ts'

const load = (given: Partial<Load>): Load => ({
  backlog: 0,
  running: 1,
  arrivals: 0,
  rate: 12.4,
  drainMs: 1_000,
  utilisation: 0.8,
  ...given,
})

describe('executors needed', () => {
  test('what arrives, at 80 % of an executor’s time', () => {
    expect(executorsNeeded(load({ arrivals: 38 }))).toBe(4)
    expect(executorsNeeded(load({ arrivals: 9.9 }))).toBe(1)
    expect(executorsNeeded(load({ arrivals: 10, rate: 12.5 }))).toBe(1)
    expect(executorsNeeded(load({ arrivals: 10.1, rate: 12.5 }))).toBe(2)
  })

  test('and what waits, in the time that it may take, at all of it', () => {
    expect(executorsNeeded(load({ backlog: 63, arrivals: 0 }))).toBe(5)
    expect(executorsNeeded(load({ backlog: 63, arrivals: 0, drainMs: 10_000 }))).toBe(1)
    expect(executorsNeeded(load({ backlog: 26, arrivals: 12.4, running: 1 }))).toBe(4)
  })

  test('a record that is in hand is nobody else’s to speed up', () => {
    expect(executorsNeeded(load({ backlog: 4, running: 4, arrivals: 0.4, rate: 0.5 }))).toBe(1)
    expect(executorsNeeded(load({ backlog: 5, running: 4, arrivals: 0.4, rate: 0.5 }))).toBe(3)
  })

  test('none where nothing arrives and nothing waits; not known where a rate is not', () => {
    expect(executorsNeeded(load({ rate: null }))).toBe(0)
    expect(executorsNeeded(load({ backlog: 1, rate: null }))).toBeNull()
    expect(executorsNeeded(load({ backlog: 1, arrivals: null }))).toBeNull()
  })

  test('more to do never needs fewer', () => {
    const amounts = fc.double({ min: 0, max: 1e6, noNaN: true })
    const loads = fc.record({
      backlog: fc.nat(1e6),
      running: fc.nat(8),
      arrivals: amounts,
      rate: fc.double({ min: 0.01, max: 1e6, noNaN: true }),
      drainMs: fc.integer({ min: 50, max: 1e6 }),
      utilisation: fc.constantFrom(0.5, 0.8, 0.95),
    })
    fc.assert(
      fc.property(loads, fc.nat(1_000), amounts, (given, more, faster) => {
        const need = executorsNeeded(given)!
        const { backlog, arrivals } = given
        expect(executorsNeeded({ ...given, backlog: backlog + more })!).toBeGreaterThanOrEqual(need)
        const busier = { ...given, arrivals: arrivals + faster }
        expect(executorsNeeded(busier)!).toBeGreaterThanOrEqual(need)
      }),
    )
  })
})

test('how long draining takes', () => {
  expect(drainSeconds(0, 0, null)).toBe(0)
  expect(drainSeconds(10, 2, 5)).toBe(1)
  expect(drainSeconds(10, 0, 5)).toBeNull()
  expect(drainSeconds(10, 2, null)).toBeNull()
})

describe('the formula in words', () => {
  test('by what arrives', () => {
    expect(formula(load({ arrivals: 38 }))).toBe(
      '38/s arriving, 12.4/s per executor at 80 % → 4 needed',
    )
  })

  test('by what waits', () => {
    expect(formula(load({ arrivals: 9.87, backlog: 40 }))).toBe(
      '9.9/s arriving and 40 waiting to be done within 1 s, 12.4/s per executor → 4 needed',
    )
  })

  test('before a rate is known, and with nothing to do', () => {
    expect(formula(load({ backlog: 7, rate: null }))).toBe(
      '7 records wait; how fast an executor is is not known yet',
    )
    expect(formula(load({ backlog: 1, arrivals: null }))).toBe(
      '1 record waits; how many arrive is not known yet',
    )
    expect(formula(load({ rate: null }))).toBe('nothing arrives and nothing waits → 0 needed')
  })

  test('numbers with two or three digits', () => {
    expect([0.4237, 3.456, 12.44, 380.4, 52_000.7].map(amount)).toEqual([
      '0.42',
      '3.5',
      '12.4',
      '380',
      '52001',
    ])
  })
})
