/** What a session of several topics begins with, and what ends it. */
import { describe, expect, test } from 'bun:test'
import { absentTopics, changeOf, numbersOf, startsOf } from '../../../actors/bridge/opening.ts'
import { type From, fromFlag } from '../../../actors/bridge/from.ts'
import { type Declared, type Listed, numberOf, type TopicInfo } from '../../../actors/topics.ts'

const list: Declared = { name: 'rooms', topic: 'a, b', topics: ['a', 'b'] }
const pattern: Declared = { name: 'rooms', topic: '/^[ab]/', topics: /^[ab]/ }
const info = (name: string, partitions = [0]): TopicInfo => ({ name, id: `id-${name}`, partitions })
const listed = (name: string, index: number, isNew = false): Listed => ({
  ...info(name, [0, 1]),
  index,
  isNew,
})

describe('a job waits', () => {
  test('for each topic of its list, and says for which', () => {
    expect(absentTopics(list, [info('b')], [])).toMatchObject({
      names: ['a'],
      text: 'topic a does not exist yet',
    })
    const known = [{ name: 'a', id: 'id-a', left: false }]
    expect(absentTopics(list, [info('b')], known)?.text).toBe('topic a does not exist any more')
    expect(absentTopics(list, [info('a'), info('b')], [])).toBeNull()
    const one = { name: 'rooms', topic: 'a', topics: null }
    expect(absentTopics(one, [], [])?.text).toBe('topic a does not exist yet')
  })

  test('for the first one that matches', () => {
    expect(absentTopics(pattern, [], [])?.text).toBe('no topic matches /^[ab]/ yet')
    expect(absentTopics(pattern, [info('b')], [])).toBeNull()
    expect(absentTopics(pattern, [], [{ name: 'a', id: '', left: false }])).toBeNull()
  })
})

describe('topics begin', () => {
  const nobody = { offsetsFrom: () => Promise.reject(new Error('no time was named')) }
  const topics = [listed('a', 0), listed('b', 1, true)]
  const ends = (offset: number) => new Map(numbersOf(topics).map((number) => [number, offset]))
  const starts = async (
    job: Declared,
    given: { from?: From; known?: boolean; awaited?: string },
  ) => {
    const { from = 'latest', known = true, awaited } = given
    const beginning = { job, from, known, isAwaited: (name: string) => name === awaited }
    const found = await startsOf(beginning, nobody, topics, { earliest: ends(5), latest: ends(9) })
    return [numberOf(0, 1), numberOf(1, 0)].map((number) => found.get(number))
  }

  test('where --from says, when the job has not read them before', async () => {
    expect(await starts(list, { known: false })).toEqual([9, 9])
    expect(await starts(pattern, { known: false })).toEqual([9, 9])
    const from = fromFlag('a:1:7,b:0:8', 'latest')
    expect(await starts(list, { known: false, from })).toEqual([7, 8])
    // A known topic is entered from its beginning where the ledger lacks a partition of it.
    expect(await starts(list, {})).toEqual([5, 9])
  })

  test('at their first record where they came while the job ran', async () => {
    expect(await starts(pattern, {})).toEqual([5, 5])
    expect(await starts(list, { awaited: 'b' })).toEqual([5, 5])
  })
})

describe('a session ends', () => {
  const topics = [listed('a', 0), listed('b', 1)]
  const now = [info('a', [0, 1]), info('b', [0, 1])]

  test('when topics come or go, or grow', () => {
    expect(changeOf(pattern, topics, now)).toBeNull()
    expect(changeOf(pattern, topics, now.slice(0, 1))).toBe('topic b is not there; looking again')
    expect(changeOf(pattern, topics, [...now, info('b2')])).toBe('topic b2 has come')
    expect(changeOf(pattern, topics, [now[0]!, info('b', [0, 1, 2])])).toBe(
      'topic b has 3 partitions now',
    )
  })

  test('for good when one is made again', () => {
    expect(() => changeOf(list, topics, [now[0]!, { ...now[1]!, id: 'other' }])).toThrow(
      /^topic b was deleted and made again/,
    )
  })
})
