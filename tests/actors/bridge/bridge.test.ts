/**
 * The bridge between a topic that a test makes up and a real Redis.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { Bridge, type BridgeOptions } from '../../../actors/bridge/bridge.ts'
import { systemClock } from '../../../actors/clock.ts'
import type { FetchedPartition } from '../../../actors/fetched.ts'
import type { TopicReader } from '../../../actors/kafka.ts'
import type { Lifecycle } from '../../../actors/lifecycle.ts'
import { createLog } from '../../../actors/log.ts'
import { measure } from '../../../actors/measure.ts'
import { until } from '../../../faults/until.ts'
import students from '../../../jobs/students.ts'
import { openPlace, type Place } from '../../support/redis.ts'
import { rejection } from '../../support/rejection.ts'

let place: Place
let ended: AbortController
let running: Promise<void>
const lines: string[] = []
const reasons: (string | null)[] = []

beforeEach(async () => {
  place = await openPlace('bridge')
  ended = new AbortController()
  running = Promise.resolve()
  lines.length = 0
  reasons.length = 0
})
afterEach(async () => {
  ended.abort()
  await running.catch(() => {})
  await place.end()
})

const PARTITIONS = [0, 1, 2]

/** Nothing in it, unless a test says otherwise. */
function topic(given: Partial<TopicReader> = {}): TopicReader {
  const at = (offset: number) => () =>
    Promise.resolve(new Map(PARTITIONS.map((partition) => [partition, offset])))
  return {
    connect: () => Promise.resolve({ id: 'topic-id', partitions: PARTITIONS }),
    close: () => Promise.resolve(),
    topic: () => Promise.resolve({ id: 'topic-id', partitions: PARTITIONS }),
    offsets: at(0),
    leaders: () => new Map([['1', PARTITIONS]]),
    fetch: async (_, from) => {
      await systemClock.sleep(5)
      return from.map(({ partition, offset }) => nothing(partition, offset))
    },
    committedOffsets: () => Promise.resolve(new Map()),
    commitOffsets: () => Promise.resolve(),
    ...given,
  }
}

const nothing = (partition: number, offset: number): FetchedPartition => ({
  partition,
  error: null,
  high: offset,
  logStart: 0,
  batches: [],
  next: offset,
})

function start(reader: TopicReader, more: Partial<BridgeOptions> = {}): Promise<void> {
  const life = {
    state: 'running',
    explain: (reason: string | null) => void reasons.push(reason),
  } as unknown as Lifecycle
  const bridge = new Bridge({
    job: { ...students, name: place.name },
    keys: place.keys,
    store: place.store,
    connect: () => reader,
    from: 'earliest',
    address: 'kafka:9092',
    acceptLoss: false,
    fresh: false,
    clock: systemClock,
    log: createLog('bridge', 'info', (line) => void lines.push(line), false),
    life,
    signal: ended.signal,
    ...more,
  })
  running = bridge.run()
  return running
}

test('partitions take turns at being the first, to which alone Kafka gives a batch of any size', async () => {
  const orders: string[] = []
  const reader = topic()
  const { fetch } = reader
  reader.fetch = (node, from, waitMs) => {
    orders.push(from.map(({ partition }) => partition).join(''))
    return fetch(node, from, waitMs)
  }
  void start(reader)
  await until('some fetches', () => orders.length >= 4)
  expect(orders.slice(0, 4)).toEqual(['012', '120', '201', '012'])
})

test('a partition that Kafka does not give out is told for as long as that lasts', async () => {
  let broken = true
  const reader = topic()
  const { fetch } = reader
  reader.fetch = async (...args) => {
    const fetched = await fetch(...args)
    return fetched.map((one) =>
      one.partition === 1 && broken ? { ...one, error: 'CORRUPT_MESSAGE' } : one,
    )
  }
  void start(reader)
  const told = 'Kafka says CORRUPT_MESSAGE for partition 1 at offset 0'
  // Not only at the end of a session: the next one must not take it back by beginning.
  await until('the reason, again', () => reasons.filter((one) => one === told).length > 3)
  expect(reasons.slice(reasons.indexOf(told))).not.toContain(null)
  broken = false
  await until('the reason to be taken back', () => reasons.at(-1) === null)
})

test('records that Kafka deleted unread: the range is named, and counted where that is allowed', async () => {
  let first = 0
  const reader = topic({
    offsets: (end) =>
      Promise.resolve(new Map(PARTITIONS.map((p) => [p, end === 'earliest' ? first : 100]))),
  })
  void start(reader)
  await until('the ledger', async () => {
    return (await measure(place.store, place.keys)).partitions.length === PARTITIONS.length
  })
  ended.abort()
  await running
  ended = new AbortController()
  first = 40
  const refused = await rejection(start(reader))
  expect(refused.message).toMatch(
    /^records 0 to 39 of partition 0 of topic \S+ were deleted .* --accept-loss/,
  )
  void start(reader, { acceptLoss: true })
  const { totals, partitions } = await until('the loss to be counted', async () => {
    const snapshot = await measure(place.store, place.keys)
    return snapshot.totals.lost === 120 ? snapshot : null
  })
  expect(totals).toMatchObject({ appended: 0, committed: 0, waiting: 0 })
  expect(partitions.map(({ next, frontier }) => [next, frontier])).toEqual(
    PARTITIONS.map(() => [40, 40]),
  )
})

test('a stranger in the group of the job is told once, and its end too', async () => {
  let stranger = true
  let commits = 0
  let offset = 0
  const reader = topic({
    commitOffsets: () => {
      commits++
      if (!stranger) return Promise.resolve()
      return Promise.reject(Object.assign(new Error('no'), { type: 'UNKNOWN_MEMBER_ID' }))
    },
  })
  // Each offset without a record for us moves the frontier, so that there is something to tell.
  reader.fetch = async (_, from) => {
    await systemClock.sleep(100)
    offset++
    return from.map((one) => ({ ...nothing(one.partition, one.offset), next: one.offset + 1 }))
  }
  void start(reader)
  await until('some commits', () => commits >= 3, { timeoutMs: 20_000 })
  stranger = false
  const said = (text: string) => lines.filter((line) => line.includes(text)).length
  await until('the end to be told', () => said('takes the group offsets again') === 1)
  expect(said(`Kafka's tools can't tell how far the job is`)).toBe(1)
  expect(said('a consumer that is not ours is in group')).toBe(1)
  expect(offset).toBeGreaterThan(3)
})
