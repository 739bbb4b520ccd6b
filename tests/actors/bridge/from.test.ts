import { describe, expect, test } from 'bun:test'
import {
  fromFlag,
  fromOf,
  fromText,
  refuseUnknownTopics,
  startOf,
} from '../../../actors/bridge/from.ts'
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

const job = { name: 'rooms', topic: 'records', topics: null }
const only = { name: 'records', index: 0 }

describe('where partitions begin', () => {
  test('at an offset where one is named, else at the first record', async () => {
    const from = fromOf(fromFlag('0:150', 'latest'), only, job)
    expect(await startOf(from, nobody, ends)).toEqual(
      new Map([
        [0, 150],
        [1, 0],
      ]),
    )
  })

  test.each(['0:99', '0:901', '7:0'])('%s, which Kafka does not have, is refused', async (text) => {
    const error = await rejection(
      startOf(fromOf(fromFlag(text, 'latest'), only, job), nobody, ends),
    )
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

describe('of several topics', () => {
  const several = { name: 'rooms', topic: 'a.b, c', topics: ['a.b', 'c'] }
  const from = fromFlag('a.b:0:5,a.b:1:6,c:0:7', 'latest')

  test('says its offsets by topic, and back', () => {
    expect(fromText(from)).toBe('a.b:0:5,a.b:1:6,c:0:7')
    expect(fromOf(from, { name: 'c', index: 1 }, several)).toEqual({
      offsets: new Map([[65_536, 7]]),
    })
    expect(fromOf(from, { name: 'd', index: 2 }, several)).toEqual({ offsets: new Map() })
    expect(fromOf('earliest', { name: 'c', index: 1 }, several)).toBe('earliest')
  })

  test('what does not say which is meant is refused', () => {
    expect(() => fromOf(fromFlag('0:5', 'latest'), { name: 'c', index: 1 }, several)).toThrow(
      /say topic:partition:offset/,
    )
    expect(() => fromFlag('c:0:5,c:0:6', 'latest')).toThrow(/twice/)
    expect(() => refuseUnknownTopics(from, [{ name: 'c' }])).toThrow(/topic a.b, which the job/)
    expect(() => refuseUnknownTopics(from, [{ name: 'c' }, { name: 'a.b' }])).not.toThrow()
  })
})
