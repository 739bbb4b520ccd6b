import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { kafka } from '../../../actors/sinks/kafka.ts'
import type { Sink } from '../../../actors/sinks/sink.ts'
import { createTopic, type TestTopic } from '../../../faults/topic.ts'
import { until } from '../../../faults/until.ts'
import { testServices } from '../../support/services.ts'
import { topicIn } from './found.ts'
import { openClosed, type Place, T } from './place.ts'

const { environment, kafkaBrokers } = await testServices()

let it: Place
let sink: Sink
let topic: string
let output: TestTopic
beforeEach(async () => {
  it = await openClosed('kafka-sink')
  topic = `${it.job.name}-out`
  sink = kafka({ topic })
  output = await createTopic(topic, { kafkaBrokers, name: topic, partitions: 2 })
})
afterEach(async () => {
  await it.end()
  await output.delete()
})

const report = async () => (await readSinks(it.store, it.keys, { sinks: [sink] }, Date.now()))[0]!
const caughtUp = () => until('it to catch up', async () => (await report()).lagWindows === 0)

const open = () => {
  const { job, store } = it
  return sink.open({ job, environment, store, clock: null!, log: null!, kept: null })
}
const never = new AbortController().signal
const batchOf = (number: number, rows = 1) => ({
  expected: null,
  position: `${number}-0/${number}/${T}`,
  windows: [
    {
      start: T + number * 10_000,
      end: T + (number + 1) * 10_000,
      number,
      position: `${number}-0/${number}/${T}`,
      rows: Array.from({ length: rows }, (_, i) => ({
        start: T + number * 10_000,
        end: T + (number + 1) * 10_000,
        group: `["${i}"]`,
        key: { who: String(i) },
        values: { total: i, events: 1 },
      })),
    },
  ],
})

test('has each row once, and its position with them', async () => {
  await it.close(2)
  const first = it.deliver(sink, { environment })
  await caughtUp()
  await it.close(1, 2_500)
  await caughtUp()
  await first.end()
  expect(await topicIn(output.kafka, topic)).toEqual(await it.expected())
  const place = await it.store.redis.hget(it.keys.taken, 'kafka')
  // Of the two it is the one in Kafka that counts.
  await it.store.redis.del(it.keys.taken)
  await it.close(1)
  it.deliver(sink, { environment })
  await until('the fourth', async () => (await report()).windows === 4)
  expect(await topicIn(output.kafka, topic)).toEqual(await it.expected())
  expect(place).toMatch(/\/3\//)
})

test('who comes later fences who was there, in the middle of a transaction too', async () => {
  const zombie = await open()
  await zombie.write(batchOf(1), never)
  const successor = await open()
  expect(await successor.position!()).toBe(batchOf(1).position)
  const late = zombie.write(batchOf(2), never)
  expect(await late.catch((error: Error) => error.name)).toBe('SinkFenced')
  await successor.write(batchOf(2), never)
  const found = await topicIn(output.kafka, topic)
  expect([...found.values()].map((rows) => rows.length)).toEqual([1, 1])
  await zombie.close()
  await successor.close()
})

test('what was not committed is not seen, and does not move the position', async () => {
  const connection = await open()
  await connection.write(batchOf(1), never)
  const over = AbortSignal.abort(new Error('the lease is over'))
  const given = connection.write(batchOf(2, 3), over)
  expect(await given.catch((error: Error) => error.message)).toBe('the lease is over')
  await connection.close()
  const again = await open()
  expect(await again.position!()).toBe(batchOf(1).position)
  await again.write(batchOf(3), never)
  const found = await topicIn(output.kafka, topic)
  expect([...found.keys()]).toEqual([T + 10_000, T + 30_000])
  await again.close()
})

test('has each telling of a window that is told more than once', async () => {
  const connection = await open()
  const telling = (revision: number) => {
    const [window] = batchOf(1).windows
    const rows = [{ ...window!.rows[0]!, values: { total: revision, events: 1 } }]
    return { ...window!, rows, revision: { revision, isOpen: revision === 0, isFinal: false } }
  }
  const { position } = batchOf(1)
  await connection.write({ expected: null, position, windows: [telling(0), telling(1)] }, never)
  await connection.close()
  const rows = [0, 1].map((total) =>
    JSON.stringify({ end: T + 20_000, key: { who: '0' }, values: { total, events: 1 } }),
  )
  expect(await topicIn(output.kafka, topic)).toEqual(new Map([[T + 10_000, rows]]))
})

test('a topic that does not exist is named', async () => {
  sink = kafka({ topic: `${topic}-nowhere` })
  const { delivery } = it.deliver(sink, { environment })
  // A busy Kafka may refuse the transaction's beginning first, for another reason.
  const complaint = await until('the complaint', () =>
    delivery.complaint?.includes('does not exist') ? delivery.complaint : null,
  )
  expect(complaint).toContain(`topic ${topic}-nowhere is down; trying again: `)
})

test('what is declared wrong is told in one line', () => {
  expect(() => kafka({ topic: 'a b' })).toThrow('sink kafka: topic must be 1 to 249 letters')
  expect(() => kafka({ topic: 'records' }).address(it.job, {})).toThrow(
    'sink kafka: topic records is the one that the job reads',
  )
  const other = kafka({ topic: 'records', prefix: 'OUT_' })
  expect(other.address(it.job, { OUT_KAFKA_BROKERS: 'far:1' })).toBe('far:1, topic records')
  expect(() => other.address(it.job, { OUT_KAFKA_BROKERS: 'far' })).toThrow(
    'sink kafka: OUT_KAFKA_BROKERS must be host:port[,host:port]',
  )
})
