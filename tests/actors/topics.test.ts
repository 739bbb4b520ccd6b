/** Numbers of partitions, and which topic of a ledger is which. */
import { describe, expect, test } from 'bun:test'
import {
  type Declared,
  type KnownTopic,
  knownTopics,
  listTopics,
  numberOf,
  partitionOf,
  placeText,
  STRIDE,
  type TopicInfo,
  topicIndexOf,
  topicOf,
  topicText,
} from '../../actors/topics.ts'

const one: Declared = { name: 'rooms', topic: 'a', topics: null }
const several = (...topics: string[]): Declared => ({
  name: 'rooms',
  topic: topics.join(', '),
  topics,
})
const pattern: Declared = { name: 'rooms', topic: '/^o/', topics: /^o/ }
const found = (name: string, id = `id-${name}`, partitions = [0, 1]): TopicInfo => ({
  name,
  id,
  partitions,
})
const known = (name: string, id = `id-${name}`, left = false): KnownTopic => ({ name, id, left })

describe('numbers', () => {
  test('of the first topic are Kafka’s own; each says its topic and partition', () => {
    expect([0, 1, 99].map((p) => numberOf(0, p))).toEqual([0, 1, 99])
    expect(numberOf(1, 0)).toBe(STRIDE)
    for (const [topic, partition] of [
      [0, STRIDE - 1],
      [1, 0],
      [999, 17],
    ] as const) {
      const number = numberOf(topic, partition)
      expect([topicIndexOf(number), partitionOf(number)]).toEqual([topic, partition])
      // Hashes of places take the double of it as a word of 32 bits.
      expect(2 * number + 2).toBeLessThan(2 ** 32)
    }
  })

  test('are named with their topic where there are several', () => {
    const topics = [known('a'), known('b')]
    expect(placeText(3, [])).toBe('partition 3')
    expect(placeText(STRIDE + 3, topics)).toBe('partition 3 of topic b')
    expect(topicOf(STRIDE + 3, topics, one)).toBe('b')
    expect(topicOf(3, [], one)).toBe('a')
  })
})

test('the ledger’s fields say what is known', () => {
  const topics = [known('a.b-c_d'), known('b', '', true)]
  const fields = topics.map((topic, i): [string, string] => [`topic:${i}`, topicText(topic)])
  expect(fields[1]![1]).toBe('b||left')
  expect(knownTopics({ ...Object.fromEntries(fields), topicId: 'x', '0:next': '1' })).toEqual(
    topics,
  )
  expect(knownTopics({ topicId: 'x' })).toEqual([])
})

describe('topics get their indexes', () => {
  const indexes = (job: Declared, all: TopicInfo[], before: KnownTopic[], begun: string | null) =>
    listTopics(job, all, before, begun).topics.map(({ name, index, isNew }) => [name, index, isNew])

  test('in the order of first sight, and keep them', () => {
    expect(indexes(several('b', 'a'), [found('b'), found('a')], [], null)).toEqual([
      ['b', 0, true],
      ['a', 1, true],
    ])
    const before = [known('b'), known('a')]
    expect(
      indexes(several('c', 'a', 'b'), [found('c'), found('a'), found('b')], before, 'id-b'),
    ).toEqual([
      ['c', 2, true],
      ['a', 1, false],
      ['b', 0, false],
    ])
  })

  test('the ledger of one topic is that topic’s, wherever it stands in the list', () => {
    const job = several('b', 'a')
    expect(indexes(job, [found('b'), found('a')], [], 'id-a')).toEqual([
      ['b', 1, true],
      ['a', 0, false],
    ])
    // A broker that tells no identity.
    expect(indexes(one, [found('a', '')], [], 'id-a')).toEqual([['a', 0, false]])
    expect(() => indexes(job, [found('b'), found('a')], [], 'id-c')).toThrow(
      /none of the topics b, a is the one/,
    )
  })

  test('one that was made again is refused by its name, the only one or among several', () => {
    expect(() => indexes(one, [found('a', 'other')], [], 'id-a')).toThrow(/^topic a was deleted/)
    const before = [known('a'), known('b')]
    const again = [found('a'), found('b', 'other')]
    expect(() => indexes(several('a', 'b'), again, before, 'id-a')).toThrow(/^topic b was deleted/)
    // Also one that had been left.
    const left = [known('o1'), known('o2', 'id-o2', true)]
    expect(() => indexes(pattern, [found('o1'), found('o2', 'other')], left, 'id-o1')).toThrow(
      /^topic o2 was deleted/,
    )
  })

  test('one that is asked for no more is refused, unless it was left', () => {
    const all = [found('a')]
    expect(() => indexes(several('a', 'c'), all, [known('a'), known('b')], 'id-a')).toThrow(
      /has read topic b, and a, c is all that it reads now; start once with --accept-change/,
    )
    expect(() => indexes(one, all, [known('a'), known('b')], 'id-a')).toThrow(/has read topic b,/)
    const left = [known('a'), known('b', 'id-b', true)]
    expect(indexes(one, all, left, 'id-a')).toEqual([['a', 0, false]])
    // Named again, it goes on where it was.
    const listing = listTopics(several('a', 'b'), [found('a'), found('b')], left, 'id-a')
    expect(listing.topics[1]).toMatchObject({ index: 1, isNew: false })
    expect(listing.known[1]!.left).toBe(false)
  })

  test('one that matches and is there no more is gone', () => {
    const listing = listTopics(pattern, [found('o2')], [known('o1'), known('o2')], 'id-o1')
    expect(listing.gone).toEqual([0])
    expect(listing.topics.map(({ index }) => index)).toEqual([1])
  })

  test('partitions that would run into the next topic’s are refused', () => {
    expect(() => indexes(one, [found('a', 'x', [0, STRIDE])], [], null)).toThrow(/65536 partitions/)
  })
})
