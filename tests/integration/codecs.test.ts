/**
 * How records stand in the topic: each codec, transactions of which some are aborted, a topic with
 * gaps that compaction left. The pipeline hands batches on unopened, so none may be special to it.
 */
import { expect, test } from 'bun:test'
import kafkajs, { type Message } from 'kafkajs'
import { compressSync } from 'snappy'
import { type Compression, compressionType } from '../../actors/producer/compression.ts'
import type { TestTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'
import { student } from './student.ts'

const RECORDS = 500

const students = (course: string): string[] =>
  Array.from({ length: RECORDS }, (_, i) => student({ course, lines_of_code: i }))

/** One of the windows' rows for each course; a course's records are in one window or in two. */
async function countsByCourse(pipeline: Pipeline): Promise<Record<string, number>> {
  const rows = await pipeline.windows()
  const counts = new Map<string, number>()
  for (const { key, values } of rows) {
    const course = String(key.course)
    // Each record is in two windows.
    counts.set(course, (counts.get(course) ?? 0) + Number(values.events) / 2)
  }
  return Object.fromEntries(counts)
}

async function expectVerified(pipeline: Pipeline): Promise<void> {
  expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
  const { backlog, totals } = await pipeline.status()
  expect(backlog).toMatchObject({ records: 0, entries: 0, kafkaLag: 0 })
  expect(totals.unaccounted).toBe(0)
}

const kcat = Bun.which('kcat')

test('every codec of Kafka, by kafkajs and by librdkafka', async () => {
  const topic = { partitions: 2 }
  await withPipeline({ label: 'codecs', job: 'students.ts', topic }, async (pipeline) => {
    await pipeline.begin()
    const expected: Record<string, number> = {}
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
      await sendCompressed(pipeline.topic, codec, students(codec))
      expected[codec] = RECORDS
      if (!kcat || codec === 'none') continue
      await sendByKcat(kcat, pipeline.topic, codec, students(`kcat ${codec}`))
      expected[`kcat ${codec}`] = RECORDS
    }
    // As Java's clients do it: blocks behind a header.
    await sendCompressed(pipeline.topic, 'snappy', students('xerial'), xerial)
    expected.xerial = RECORDS
    await pipeline.drained()
    expect(await countsByCourse(pipeline)).toEqual(expected)
    await expectVerified(pipeline)
  })
}, 60_000)

test('aborted transactions never count, and nothing waits behind their markers', async () => {
  const topic = { partitions: 2 }
  await withPipeline({ label: 'transactions', job: 'students.ts', topic }, async (pipeline) => {
    await pipeline.begin()
    const { kafka, name } = pipeline.topic
    const producer = kafka.producer({
      transactionalId: name,
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await producer.connect()
    try {
      const send = async (course: string, end: 'commit' | 'abort', codec: Compression = 'none') => {
        const transaction = await producer.transaction()
        await transaction.send({
          topic: name,
          compression: compressionType(codec),
          messages: students(course).map((value, i) => ({ value, partition: i % 2 })),
        })
        await transaction[end]()
      }
      await send('first, aborted', 'abort')
      await send('committed', 'commit')
      await send('aborted', 'abort', 'gzip')
      await pipeline.topic.produce(students('plain'))
      await send('committed in gzip', 'commit', 'gzip')
      // An open one hides what comes behind it, and holds the end of what can be read.
      const open = await producer.transaction()
      await open.send({
        topic: name,
        messages: [{ value: student({ course: 'open' }), partition: 0 }],
      })
      await pipeline.topic.produce([{ value: student({ course: 'behind' }), partition: 0 }])
      const behind = { committed: 3 * RECORDS }
      await until('what is in front of the open transaction', async () => {
        const { totals } = await pipeline.snapshot()
        return totals.committed >= behind.committed && totals
      })
      expect((await pipeline.snapshot()).totals.committed).toBe(behind.committed)
      await open.commit()
      const before = await pipeline.topic.ends()
      await send('last, aborted', 'abort')
      // Kafka answers first, and writes the markers then, before which nothing of it can be read.
      await until('the last markers', async () => {
        const ends = await pipeline.topic.ends()
        return ends.every((end, p) => end > before[p]! + BigInt(RECORDS / 2))
      })
    } finally {
      await producer.disconnect()
    }
    const { partitions } = await pipeline.drained()
    const counts = await countsByCourse(pipeline)
    const plain = { committed: RECORDS, plain: RECORDS, 'committed in gzip': RECORDS }
    expect(counts).toEqual({ ...plain, open: 1, behind: 1 })
    // The last thing in both partitions is the marker of an abort.
    expect(partitions.map(({ next }) => BigInt(next))).toEqual(await pipeline.topic.ends())
    await expectVerified(pipeline)
  })
}, 60_000)

test('a compacted topic: gaps between offsets and at the end are no loss', async () => {
  const config = {
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0.01',
    'segment.ms': '100',
    'max.compaction.lag.ms': '200',
    'delete.retention.ms': '0',
  }
  const topic = { partitions: 1, config }
  await withPipeline({ label: 'compacted', job: 'students.ts', topic }, async (pipeline) => {
    const messages = Array.from({ length: 200 }, (_, i) => ({ key: `${i % 10}`, value: student() }))
    await sendMessages(pipeline.topic, messages)
    // Only segments that are not written to any more are compacted.
    await until('compaction', () => compacted(pipeline.topic), { timeoutMs: 40_000, everyMs: 500 })
    await pipeline.begin()
    await pipeline.drained()
    await expectVerified(pipeline)
    expect((await pipeline.status()).totals.committed).toBeLessThan(200)
  })
}, 90_000)

async function compacted(topic: TestTopic): Promise<boolean> {
  await sendMessages(topic, [{ key: 'roll', value: student({ course: 'roll' }) }])
  return (await readCount(topic)) < 150
}

/** How many records a consumer finds. */
async function readCount(topic: TestTopic): Promise<number> {
  const [end] = await topic.ends()
  const consumer = topic.kafka.consumer({ groupId: `${topic.name}-${crypto.randomUUID()}` })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: topic.name, fromBeginning: true })
    let count = 0
    await new Promise<void>((resolve) => {
      void consumer.run({
        eachMessage: ({ message }) => {
          count++
          if (BigInt(message.offset) === end! - 1n) resolve()
          return Promise.resolve()
        },
      })
    })
    return count
  } finally {
    await consumer.disconnect()
  }
}

async function sendMessages(topic: TestTopic, messages: Message[]): Promise<void> {
  const producer = topic.kafka.producer()
  await producer.connect()
  try {
    await producer.send({ topic: topic.name, messages })
  } finally {
    await producer.disconnect()
  }
}

type Compress = (records: Buffer) => Buffer

async function sendCompressed(
  topic: TestTopic,
  codec: Compression,
  values: string[],
  compress?: Compress,
): Promise<void> {
  const compression = compressionType(codec)
  const { CompressionCodecs, CompressionTypes } = kafkajs
  const registered = CompressionCodecs[CompressionTypes.Snappy]
  if (compress) {
    CompressionCodecs[CompressionTypes.Snappy] = () => ({
      compress: ({ buffer }: { buffer: Buffer }) => Promise.resolve(compress(buffer)),
      decompress: () => Promise.reject(new Error('for writing only')),
    })
  }
  const producer = topic.kafka.producer()
  await producer.connect()
  try {
    const messages = values.map((value, i) => ({ value, partition: i % 2 }))
    await producer.send({ topic: topic.name, compression, messages })
  } finally {
    await producer.disconnect()
    if (compress) CompressionCodecs[CompressionTypes.Snappy] = registered
  }
}

/** The framing of xerial's snappy-java: magic, version, compatible version, blocks of 32 KB. */
function xerial(records: Buffer): Buffer {
  const header = Buffer.from('82534e41505059000000000100000001', 'hex')
  const parts: Buffer[] = [header]
  for (let at = 0; at < records.length; at += 32 * 1024) {
    const block = compressSync(records.subarray(at, at + 32 * 1024))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

async function sendByKcat(
  kcat: string,
  topic: TestTopic,
  codec: string,
  values: string[],
): Promise<void> {
  const options = ['-P', '-b', topic.kafkaBrokers, '-t', topic.name, '-z', codec, '-p', '-1']
  const child = Bun.spawn([kcat, ...options], {
    stdin: Buffer.from(`${values.join('\n')}\n`),
    stdout: 'ignore',
    stderr: 'pipe',
    timeout: 20_000,
  })
  const [told] = await Promise.all([new Response(child.stderr).text(), child.exited])
  if (child.exitCode !== 0) throw new Error(`kcat: ${told}`)
}
