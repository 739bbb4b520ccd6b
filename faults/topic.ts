/**
 * Topics under names of their own: create one, fill it, ask for its offsets, delete it.
 */
import { type Admin, type IHeaders, type Kafka, type Message, Partitioners } from 'kafkajs'
import { kafkaClient } from '../actors/kafka-client.ts'
import { uniqueName } from './names.ts'
import { until } from './until.ts'

export interface TopicOptions {
  partitions?: number
  /** Of the topic, such as { 'max.message.bytes': '16777216' }. */
  config?: Record<string, string>
  kafkaBrokers: string
  /** Made up from the label when absent. */
  name?: string
}

export interface TestRecord {
  value: string | Buffer | null
  key?: string | Buffer | null
  /** Absent: all of one call in turn over the partitions. */
  partition?: number
  /** Epoch milliseconds. */
  timestamp?: number
  headers?: IHeaders
}

export interface TestTopic {
  name: string
  kafkaBrokers: string
  kafka: Kafka
  /** Appends in order; resolves when Kafka has all of them. */
  produce(records: Iterable<TestRecord | string>): Promise<void>
  /** High watermark of each partition. */
  ends(): Promise<bigint[]>
  delete(): Promise<void>
  /** Deletes and creates it again under the same name, which starts at offset 0 anew. */
  recreate(): Promise<void>
}

/** Bytes and records of one request: large enough to be quick, small enough for any topic. */
const BATCH = { records: 5_000, bytes: 512 * 1024 }

export async function createTopic(label: string, options: TopicOptions): Promise<TestTopic> {
  const { kafkaBrokers } = options
  const kafka = kafkaClient({ KAFKA_BROKERS: kafkaBrokers.split(',') }, 'millrace-tests')
  const name = options.name ?? uniqueName(label)
  const partitions = options.partitions ?? 1
  const create = () =>
    withAdmin(kafka, async (admin) => {
      const configEntries = Object.entries(options.config ?? {}).map(([name, value]) => ({
        name,
        value,
      }))
      const topics = [
        { topic: name, numPartitions: partitions, replicationFactor: 1, configEntries },
      ]
      // To wait for leaders here would fail where the broker has not heard of its topic yet.
      await admin.createTopics({ topics, waitForLeaders: false })
      // Until every partition answers: a refused one makes kafkajs send the others' records twice.
      await until('the partitions to answer', () => admin.fetchTopicOffsets(name))
    })
  const remove = () => withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [name] }))
  await create()
  return {
    name,
    kafkaBrokers,
    kafka,
    produce: (records) => produceAll(kafka, name, partitions, records),
    ends: () => withAdmin(kafka, (admin) => endsOf(admin, name)),
    delete: remove,
    async recreate() {
      await remove()
      // A broker that has not heard of it yet would take records into what is about to go.
      const gone = async (admin: Admin) => !(await admin.listTopics()).includes(name)
      await withAdmin(kafka, (admin) => until('the topic to be gone', () => gone(admin)))
      await create()
    },
  }
}

async function produceAll(
  kafka: Kafka,
  topic: string,
  partitions: number,
  records: Iterable<TestRecord | string>,
): Promise<void> {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  try {
    for (const messages of batches(records, partitions)) await producer.send({ topic, messages })
  } finally {
    await producer.disconnect()
  }
}

function* batches(
  records: Iterable<TestRecord | string>,
  partitions: number,
): Generator<Message[]> {
  let batch: Message[] = []
  let bytes = 0
  let count = 0
  for (const record of records) {
    const given = typeof record === 'string' ? { value: record } : record
    const message = messageOf(given, count++ % partitions)
    const size = message.value?.length ?? 0
    if (batch.length > 0 && (batch.length >= BATCH.records || bytes + size > BATCH.bytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(message)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

function messageOf(record: TestRecord, partition: number): Message {
  return {
    value: record.value,
    key: record.key ?? null,
    partition: record.partition ?? partition,
    ...(record.timestamp === undefined ? {} : { timestamp: String(record.timestamp) }),
    ...(record.headers === undefined ? {} : { headers: record.headers }),
  }
}

async function endsOf(admin: Admin, topic: string): Promise<bigint[]> {
  const offsets = await admin.fetchTopicOffsets(topic)
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => BigInt(high))
}

async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}
