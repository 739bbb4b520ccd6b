/**
 * The bridge between a topic that a test makes up and a real Redis.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { KafkaJSConnectionError } from 'kafkajs'
import { Bridge, type BridgeOptions } from '../../../actors/bridge/bridge.ts'
import { systemClock } from '../../../actors/clock.ts'
import type { FetchedPartition } from '../../../actors/fetched.ts'
import type { TopicReader } from '../../../actors/kafka.ts'
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
    connect: () => Promise.resolve([{ name: 'records', id: 'topic-id', partitions: PARTITIONS }]),
    assign: () => {},
    close: () => Promise.resolve(),
    topics: () => Promise.resolve([{ name: 'records', id: 'topic-id', partitions: PARTITIONS }]),
    offsetsFrom: () => Promise.resolve(new Map()),
    offsets: at(0),
    leaders: () => new Map([['1', PARTITIONS]]),
    fetch: async (_, from) => {
      await systemClock.sleep(5)
      return from.map(({ partition, offset }) => nothing(partition, offset))
    },
    release: () => {},
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
  const life = { begin: () => {}, explain: (reason: string | null) => void reasons.push(reason) }
  const bridge = new Bridge({
    job: { ...students, name: place.name, topic: 'records' },
    keys: place.keys,
    first: place.keys,
    store: place.store,
    connect: () => reader,
    from: 'earliest',
    address: 'kafka:9092',
    acceptLoss: false,
    fresh: false,
    clock: systemClock,
    log: createLog('bridge', 'info', (line) => void lines.push(line), false),
    life,
    ...more,
  })
  running = bridge.run(null, ended.signal)
  return running
}

/** Ends the bridge that runs, so that another one can be started. */
async function stop(): Promise<void> {
  ended.abort()
  await running
  ended = new AbortController()
}

const partitions = async () => (await measure(place.store, place.keys)).partitions
const untilBegun = () =>
  until('the ledger', async () => (await partitions()).length === PARTITIONS.length)

const ends = (earliest: number, latest: number): TopicReader['offsets'] => {
  return (end, asked) =>
    Promise.resolve(new Map(asked.map((p) => [p, end === 'earliest' ? earliest : latest])))
}

/** Each look brings one more offset of each partition, none of them with a record for us. */
const onward: TopicReader['fetch'] = async (_, from) => {
  await systemClock.sleep(5)
  return from.map((one) => ({ ...nothing(one.partition, one.offset), next: one.offset + 1 }))
}

/** A topic with an end that moves on with what was fetched. */
function growing(): TopicReader {
  let last = 1_000
  return topic({
    offsets: (end, asked) => ends(0, last)(end, asked),
    fetch: async (...args) => {
      const fetched = await onward(...args)
      last = Math.max(last, ...fetched.map(({ next }) => next))
      return fetched
    },
  })
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
  const reader = topic({ offsets: (end, asked) => ends(first, 100)(end, asked) })
  void start(reader)
  await untilBegun()
  await stop()
  first = 40
  const refused = await rejection(start(reader))
  expect(refused.message).toMatch(
    /^records 0 to 39 of partition 0 of topic \S+ were deleted .* --accept-loss/,
  )
  void start(reader, { acceptLoss: true })
  const { totals, partitions: held } = await until('the loss to be counted', async () => {
    const snapshot = await measure(place.store, place.keys)
    return snapshot.totals.lost === 120 ? snapshot : null
  })
  expect(totals).toMatchObject({ appended: 0, committed: 0, waiting: 0 })
  expect(held.map(({ next, frontier }) => [next, frontier])).toEqual(PARTITIONS.map(() => [40, 40]))
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

test('a fetch that fails while an append waits ends the session, not the process', async () => {
  const release = Promise.withResolvers<void>()
  let waiting = 0
  let failed = false
  let fetches = 0
  let sessions = 0
  const reader = growing()
  const { fetch } = reader
  reader.fetch = async (...args) => {
    fetches++
    if (fetches !== 2) return fetch(...args)
    await until('an append that waits', () => waiting > 0)
    failed = true
    throw new KafkaJSConnectionError('Connection lost')
  }
  const { store } = place
  const slow: typeof store = {
    ...store,
    call: async (name, ...args) => {
      if (name === 'append') {
        waiting++
        await release.promise
      }
      return store.call(name, ...args)
    },
  }
  const connect = () => {
    sessions++
    return reader
  }
  void start(reader, { store: slow, connect })
  // This looks at it only after the turn in which an error that nobody handles ends a process.
  await until('the second fetch to fail', () => failed)
  expect([sessions, fetches]).toEqual([1, 2])
  release.resolve()
  await until('the next session to go on', async () => {
    return (await partitions()).every(({ next }) => next > 2)
  })
  expect(sessions).toBe(2)
  expect(reasons).toContain('Kafka at kafka:9092 does not answer')
})

describe('the memory of a fetch', () => {
  // So much that each partition has a call of its own.
  const payload = (partition: number) => Buffer.alloc(300_000, partition + 1)
  /** One record in each partition. */
  function lending() {
    const state = { sessions: 0, fetches: 0, released: 0 }
    const reader = topic({ offsets: ends(0, 1_000) })
    const { fetch } = reader
    reader.fetch = async (node, from, waitMs) => {
      state.fetches++
      if (from.every(({ offset }) => offset > 0)) return fetch(node, from, waitMs)
      return from.map(({ partition, offset }) => {
        if (offset > 0) return nothing(partition, offset)
        const batch = { from: offset, to: offset + 1, records: 1, bytes: payload(partition) }
        return { ...nothing(partition, offset), high: 1_000, batches: [batch], next: offset + 1 }
      })
    }
    reader.release = (fetched) => {
      for (const { bytes } of fetched.flatMap(({ batches }) => batches)) {
        bytes.fill(0xff)
        state.released++
      }
    }
    const connect = () => {
      state.sessions++
      return reader
    }
    return { connect, reader, state }
  }
  const appending = (act: (partition: unknown) => Promise<void>): Place['store'] => ({
    ...place.store,
    call: async (name, base, args) => {
      if (name === 'append') await act(args[0])
      return place.store.call(name, base, args)
    },
  })

  test('is given back when all of it is appended, and not before', async () => {
    const { connect, reader, state } = lending()
    const last = Promise.withResolvers<void>()
    let others = 0
    const store = appending(async (partition) => {
      if (partition === 2) await last.promise
      else others++
    })
    void start(reader, { store, connect })
    await until('the next fetch', () => state.fetches > 1 && others === 2)
    await until('two to be appended', async () => {
      return (await partitions()).filter(({ next }) => next > 0).length === 2
    })
    expect(state.released).toBe(0)
    last.resolve()
    await until('it to be given back', () => state.released === 3)
    const { redis } = place.store
    const keys = PARTITIONS.map((partition) => place.keys.payload(partition, 0, 1))
    expect(await redis.mgetBuffer(keys)).toEqual(PARTITIONS.map(payload))
  })

  test('is not given back after an append that nobody knows the end of', async () => {
    const { connect, reader, state } = lending()
    let asked = 0
    const store = appending(async (partition) => {
      if (partition === 1 && asked++ === 0) throw new Error('Command timed out')
    })
    void start(reader, { store, connect })
    await until('the next session to append it', async () => {
      return (await partitions()).filter(({ next }) => next > 0).length === 3
    })
    await until('fetches after it', () => state.fetches > 4)
    // The second session had partition 1 to append; the first gave nothing back.
    expect(state).toMatchObject({ sessions: 2, released: 1 })
  })
})

describe("Kafka's ends that another bridge went beyond", () => {
  /** Answers 5 to who asks first, and `later` from then on. */
  function heldUp(later: number): { reader: TopicReader; offsets: number[] } {
    let answers = 0
    const reader = topic({
      offsets: (end, asked) => ends(0, end === 'latest' && answers++ > 0 ? later : 5)(end, asked),
    })
    const offsets: number[] = []
    const { fetch } = reader
    reader.fetch = (node, from, waitMs) => {
      offsets.push(...from.map(({ offset }) => offset))
      return fetch(node, from, waitMs)
    }
    return { reader, offsets }
  }

  beforeEach(async () => {
    void start(topic())
    await untilBegun()
    await stop()
    for (const p of PARTITIONS) await place.store.call('append', place.keys.base, [p, 0, 8, 8, 0])
  })

  test('are asked again, and it goes on', async () => {
    const { reader, offsets } = heldUp(10)
    void start(reader)
    await until('a fetch', () => offsets.length > 0)
    expect(offsets.slice(0, 3)).toEqual([8, 8, 8])
  })

  test('are asked again, and where they are less still, it refuses', async () => {
    const { reader, offsets } = heldUp(7)
    const refused = await rejection(start(reader))
    expect(refused.message).toContain(`ends at offset 7, but job ${place.name} has read up to 8`)
    expect(refused.message).toContain('the topic was emptied or replaced')
    expect(offsets).toEqual([])
  })
})

describe.each([
  ['while nothing comes', () => topic({ offsets: ends(0, 1_000) })],
  ['by an append', growing],
])('noticed %s', (_, reader) => {
  test('a partition that an older ledger lacks is begun again', async () => {
    void start(reader(), { from: 'latest' })
    await untilBegun()
    await forget(2)
    const again = await until('it to be registered', async () => {
      const found = await partitions()
      return found.length === PARTITIONS.length ? found : null
    })
    // Of a topic that it reads already, a partition is read from its beginning.
    expect(again.map(({ start: first }) => first)).toEqual([1_000, 1_000, 0])
    expect(again[2]!.next).toBeLessThan(1_000)
    expect(lines.join('')).toContain('the ledger knows nothing of partition 2; looking again')
  })

  test('a ledger that is gone as a whole is refused', async () => {
    const refused = rejection(start(reader()))
    await untilBegun()
    await place.store.redis.unlink(place.keys.ledger)
    expect((await refused).message).toContain(`the ledger of job ${place.name} is gone`)
    // Nor does it look like one to whoever comes next.
    expect(await place.store.redis.exists(place.keys.ledger)).toBe(0)
  })
})

/** The ledger as it was before the partition was added to the topic. */
async function forget(partition: number): Promise<void> {
  const { redis } = place.store
  const fields = await redis.hkeys(place.keys.ledger)
  await redis.hdel(
    place.keys.ledger,
    ...fields.filter((field) => field.startsWith(`${partition}:`)),
  )
}

test('a list waits for all its topics, and the others begin where they stood by then', async () => {
  const info = (name: string) => ({ name, id: `id-${name}`, partitions: [0] })
  const several = ['records', 'more']
  let there = [info('records')]
  let last = 7
  const reader = topic({
    connect: () => Promise.resolve(there),
    topics: () => Promise.resolve(there),
    offsets: (end, asked) => ends(0, last)(end, asked),
    leaders: (asked) => new Map([['1', asked]]),
  })
  const job = { ...students, name: place.name, topic: several.join(', '), topics: several }
  void start(reader, { job, from: 'latest' })
  await until('it to say what it waits for', () =>
    reasons.includes('topic more does not exist yet'),
  )
  expect((await partitions()).map(({ start }) => start)).toEqual([7])
  last = 9
  there = [info('records'), info('more')]
  await until('both', async () => (await partitions()).length === 2)
  expect((await partitions()).map(({ partition, start }) => [partition, start])).toEqual([
    [0, 7],
    [65_536, 0],
  ])
})
