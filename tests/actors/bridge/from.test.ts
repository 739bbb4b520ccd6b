import { describe, expect, test } from 'bun:test'
import { fromFlag, fromText, startOf } from '../../../actors/bridge/from.ts'
import { rejection } from '../../support/rejection.ts'

const ends = {
  earliest: new Map([
    [0, 100],
    [1, 0],
  ]),
  latest: new Map([
    [0, 900],
    [1, 50],
  ]),
}
const nobody = { offsetsFrom: () => Promise.reject(new Error('not asked')) }

describe('--from', () => {
  test.each(['earliest', 'latest', '0:15,3:1720', '2026-01-31T12:00:00.000Z'])(
    '%s is read and passed on as it is',
    (text) => {
      expect(fromText(fromFlag(text, 'latest'))).toBe(text)
    },
  )

  test('a date is its first moment in UTC; absent is the fallback', () => {
    expect(fromFlag('2026-01-31', 'latest')).toEqual({ time: Date.UTC(2026, 0, 31) })
    expect(fromFlag('2026-01-31T12:00:00+02:00', 'latest')).toEqual({
      time: Date.UTC(2026, 0, 31, 10),
    })
    expect(fromFlag(undefined, 'earliest')).toBe('earliest')
  })

  test.each([
    '',
    'yesterday',
    '2026-13-01',
    '0:',
    '0:1,',
    '0:1;1:2',
    '-1:5',
    '2026-01-31T12:00:00',
  ])('%p is refused with what is allowed', (text) => {
    expect(() => fromFlag(text, 'latest')).toThrow(
      /--from must be earliest, latest, a time .* or offsets/,
    )
  })

  test('a partition that is named twice is refused', () => {
    expect(() => fromFlag('0:1,0:2', 'latest')).toThrow(/twice/)
  })
})

describe('where partitions begin', () => {
  test('at an offset where one is named, else at the first record', async () => {
    const from = fromFlag('0:150', 'latest')
    expect(await startOf(from, nobody, ends)).toEqual(
      new Map([
        [0, 150],
        [1, 0],
      ]),
    )
  })

  test.each(['0:99', '0:901', '7:0'])('%s, which Kafka does not have, is refused', async (text) => {
    const error = await rejection(startOf(fromFlag(text, 'latest'), nobody, ends))
    expect(error.message).toMatch(/--from names/)
  })

  test('at the first record from a time on, or behind the last', async () => {
    const asked: unknown[] = []
    const kafka = {
      offsetsFrom: (...args: unknown[]) => {
        asked.push(args)
        return Promise.resolve(new Map([[0, 333]]))
      },
    }
    expect(await startOf({ time: 5 }, kafka, ends)).toEqual(
      new Map([
        [0, 333],
        [1, 50],
      ]),
    )
    expect(asked).toEqual([[5, [0, 1]]])
  })
})
