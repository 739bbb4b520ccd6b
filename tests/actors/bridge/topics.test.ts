/** Several topics in one ledger: their fields, entries, shares, watermark and rejects. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { Inbox } from '../../../actors/executor/inbox.ts'
import { STRIDE } from '../../../actors/topics.ts'
import { Shard } from '../../support/shard.ts'

let it: Shard

beforeEach(async () => {
  it = await Shard.open('topics', { windowSizeMs: 1_000, windowSlideMs: 1_000 })
})
afterEach(() => it.end())

/** The second topic's first partitions. */
const B0 = STRIDE
const B1 = STRIDE + 1

/** Topic a with two partitions, b with two. */
async function open(): Promise<void> {
  await it.call('list', 0, '', 'a|id-a|read', 1, '', 'b|id-b|read')
  await it.call('open', 'id-a', 'shape', ...[0, 1, B0, B1].flatMap((p) => [p, 0, 0]))
}

const share = (me: string, ...reads: string[]) => it.call('share', me, 60_000, 0, 1, ...reads)

describe('list', () => {
  test('writes all that is expected, or nothing', async () => {
    expect(await it.call('list', 0, '', 'a|id-a|read')).toEqual([1])
    expect(await it.call('list', 1, '', 'b||read', 0, '', 'c||read')).toEqual([0])
    expect(await it.ledger()).toEqual({ 'topic:0': 'a|id-a|read' })
    expect(await it.call('list', 0, 'a|id-a|read', 'a|id-a|left')).toEqual([1])
    expect((await it.ledger())['topic:0']).toBe('a|id-a|left')
  })
})

describe('open', () => {
  test('takes partitions of topics that the ledger names only', async () => {
    expect(await it.call('open', 'id-a', 'shape', 0, 0, 0, B0, 0, 0)).toEqual(['topics'])
    expect(await it.ledger()).toEqual({})
    await open()
    expect(await it.call('open', 'id-a', 'shape', B1, 5, 9)).toEqual(['ok', String(B1), '0'])
  })

  test('a job of one topic has no field of it, and no name in its entries', async () => {
    await it.register(0)
    await it.append(0, 0, [{ from: 0, to: 1 }])
    expect(Object.keys(await it.ledger()).filter((field) => field.startsWith('topic:'))).toEqual([])
    const [[, fields]] = (await it.redis.xrange(it.keys.entries, '-', '+')) as [[string, string[]]]
    expect(fields).toEqual(['p', '0', 'from', '0', 'to', '1', 'n', '1', 'b', '1', 'd', 'x'])
  })
})

test('an entry names its topic; one of before is of the topic that was first', async () => {
  await it.register(0)
  await it.call('enter', 'e1')
  await it.append(0, 0, [{ from: 0, to: 1 }])
  const inbox = new Inbox(it.store, it.store, it.keys, 'e1', 'a, b')
  // Of one topic it is that one; of several nobody has named them yet.
  expect(await inbox.findTopic(false)).toBe(true)
  expect(await inbox.findTopic(true)).toBe(false)
  await it.call('list', 0, '', 'a|id-a|read', 1, '', 'b|id-b|read')
  await it.call('open', 'topic-id', 'shape', B0, 0, 0)
  expect(await inbox.findTopic(true)).toBe(true)
  await it.append(B0, 0, [{ from: 0, to: 1 }])
  const { entries } = await inbox.read(10, 100)
  expect(entries.map(({ topic, partition }) => [topic, partition])).toEqual([
    ['a', 0],
    ['b', B0],
  ])
})

describe('shares', () => {
  test('are of all topics that are read', async () => {
    expect(await share('one')).toEqual(['*'])
    await open()
    expect(await share('one', '*')).toEqual(['*'])
    await share('two')
    const kept = (await share('one', '*')) as string[]
    await share('one', ...kept)
    const taken = (await share('two')) as string[]
    expect([...kept, ...taken].map(Number).sort((a, b) => a - b)).toEqual([0, 1, B0, B1])
    expect(kept).toHaveLength(2)

    await it.call('list', 1, 'b|id-b|read', 'b|id-b|left')
    const [mine, others] = [await share('one', ...kept), await share('two', ...taken)]
    await share('one', ...(mine as string[]))
    const all = [
      await share('one', ...(mine as string[])),
      await share('two', ...(others as string[])),
    ]
    expect(new Set(all.flat())).toEqual(new Set(['0', '1']))
  })
})

describe('the watermark', () => {
  /** Appends one record and commits it with this event time. */
  async function record(partition: number, at: number): Promise<void> {
    await it.append(partition, 0, [{ from: 0, to: 1 }])
    const [entry] = await it.read('e1')
    await it.commit({ slices: [{ entry: entry!, max: at }] })
  }

  test('waits for every topic, and for one that was left until what was read of it is done', async () => {
    await open()
    await record(0, 10_000)
    await record(1, 11_000)
    await record(B0, 5_000)
    expect(await it.advance()).toMatchObject({ watermark: null, holder: String(B1) })
    await it.append(B1, 0, [{ from: 0, to: 1 }])
    await it.call('list', 1, 'b|id-b|read', 'b|id-b|left')
    expect(await it.advance()).toMatchObject({ watermark: null, holder: String(B1) })
    const [entry] = await it.read('e1')
    await it.commit({ slices: [{ entry: entry!, max: 6_000 }] })
    expect(await it.advance()).toMatchObject({ watermark: 10_000, holder: '0' })
    const { partitions, topics } = await it.measure()
    expect(partitions.map(({ partition, left }) => [partition, left ?? false])).toEqual([
      [0, false],
      [1, false],
      [B0, true],
      [B1, true],
    ])
    expect(topics.map(({ name }) => name)).toEqual(['a', 'b'])
  })

  test('is not held for ever by a topic without any record', async () => {
    await open()
    for (const p of [0, 1]) await record(p, 10_000)
    expect((await it.advance({ idleAfter: 60_000 })).watermark).toBeNull()
    await it.call('seen', B0, 0, B1, 0)
    expect((await it.advance({ idleAfter: 0 })).watermark).not.toBeNull()
  })
})

test('a reject has the name of its topic', async () => {
  await open()
  await it.append(B1, 0, [{ from: 0, to: 1 }])
  const [entry] = await it.read('e1')
  await it.commit({
    slices: [{ entry: entry! }],
    rejects: [[B1, 0, 'json', 'no', Buffer.from('{')]],
    rejected: 1,
  })
  const [[, fields]] = (await it.redis.xrange(it.keys.rejects, '-', '+')) as [[string, string[]]]
  expect(fields.slice(0, 6)).toEqual(['topic', 'b', 'p', String(B1), 'o', '0'])
})
