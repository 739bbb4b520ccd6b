import { expect, test } from 'bun:test'
import { UsageError } from '../../../actors/errors.ts'
import { readOptions } from '../../../bench/latency/options.ts'

test('without flags: four rates, one and four executors, a minute each', () => {
  expect(readOptions([])).toMatchObject({
    rates: [40, 1_000, 10_000, 100_000],
    executors: [1, 4],
    seconds: 60,
  })
})

test('lists are taken as they are given', () => {
  expect(readOptions(['--rates', '500', '--executors', '2,1']).rates).toEqual([500])
  expect(readOptions(['--rates', '500', '--executors', '2,1']).executors).toEqual([2, 1])
})

test('a flag that can not be used is named with what is allowed', () => {
  const rates = '--rates must be whole numbers from 1 to 1000000 with commas between'
  const wrong: [string[], string][] = [
    [['--rates', '40,'], `${rates}, not "40,"`],
    [['--rates', ''], `${rates}, not ""`],
    [['--rates', '1e3'], `${rates}, not "1e3"`],
    [['--rates', '0'], `${rates}, not "0"`],
    [
      ['--executors', '65'],
      '--executors must be whole numbers from 1 to 64 with commas between, not "65"',
    ],
    [['--seconds', '0'], '--seconds must be a number from 1 to 3600, not "0"'],
  ]
  for (const [argv, message] of wrong) {
    expect(() => readOptions(argv)).toThrow(new UsageError(message))
  }
})
