import { expect, test } from 'bun:test'
import { distance, nearest } from '../../cli/nearest.ts'

test('a distance counts letters that are added, dropped, changed or swapped', () => {
  for (const [a, b, away] of [
    ['why', 'why', 0],
    ['', 'why', 3],
    ['verfy', 'verify', 1],
    ['supervisorr', 'supervisor', 1],
    ['dokter', 'doctor', 2],
    ['wyh', 'why', 1],
  ] as const) {
    expect({ a, b, away: distance(a, b) }).toEqual({ a, b, away })
    expect(distance(b, a)).toBe(away)
  }
})

test('the nearest names come first, what begins like that too, and nothing that is far', () => {
  const names = ['bench', 'bridge', 'check', 'doctor', 'why', 'web']
  expect(nearest('dcotor', names)).toEqual(['doctor'])
  expect(nearest('b', names)).toEqual(['bench', 'bridge'])
  expect(nearest('wxy', names)).toEqual(['why'])
  expect(nearest('something', names)).toEqual([])
})
