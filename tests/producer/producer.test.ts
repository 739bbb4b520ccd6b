/**
 * `bun run producer` as a process, with a real Kafka and without one.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createServer } from 'node:net'
import { fillTopic } from '../../bench/fill.ts'
import { compressions } from '../../actors/producer/compression.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { registerCodecs } from '../../verify/codecs.ts'
import type { Ranges } from '../../verify/ranges.ts'
import { readTopic, topicOffsets } from '../../verify/topic.ts'
import type { TopicRecord } from '../../verify/recount.ts'
import { watchForLeaks } from '../support/leaks.ts'
import { uniqueName } from '../../faults/names.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'

let config: { KAFKA_BROKERS: string[] }
let noLeaks: () => Promise<void>

beforeAll(async () => {
  registerCodecs()
  const services = await testServices()
  config = { KAFKA_BROKERS: services.kafkaBrokers.split(',') }
  noLeaks = await watchForLeaks()
})
afterAll(() => noLeaks())

function start(flags: string[], brokers = config.KAFKA_BROKERS.join(',')) {
  const child = Bun.spawn(['bun', 'actors/producer/main.ts', ...flags], {
    env: { ...process.env, KAFKA_BROKERS: brokers },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const stdout = new Response(child.stdout).text()
  let text = ''
  const read = async () => {
    for await (const chunk of child.stderr) text += new TextDecoder().decode(chunk)
    return text
  }
  return { child, stdout, stderr: read(), said: () => text, code: child.exited }
}

async function recordsIn(topic: string): Promise<number> {
  const offsets = await topicOffsets(kafkaClient(config, 'tests'), topic)
  return offsets.reduce((sum, { high }) => sum + high, 0)
}

async function readAll(topic: string): Promise<TopicRecord[]> {
  const kafka = kafkaClient(config, 'tests')
  const records: TopicRecord[] = []
  const ranges: Ranges = new Map()
  for (const { partition, high } of await topicOffsets(kafka, topic)) {
    if (high > 0) ranges.set(partition, [{ from: 0, to: high }])
  }
  const take = (taken: TopicRecord[]) => {
    records.push(...taken)
    return Promise.resolve()
  }
  await readTopic({ kafka, topic, ranges, take, together: 256 })
  return records
}

describe('with Kafka', () => {
  test('makes the topic and sends exactly the count', async () => {
    const topic = uniqueName('producer-count')
    const flags = ['--topic', topic, '--rate', '50000', '--count', '12345', '--partitions', '3']
    const { code, stdout } = start([...flags, '--seed', '9'])
    expect(await code).toBe(0)
    expect(await stdout).toContain(`12,345 records to ${topic}`)
    expect(await stdout).toContain('seed 9')
    expect(await recordsIn(topic)).toBe(12_345)
    expect(await topicOffsets(kafkaClient(config, 'tests'), topic)).toHaveLength(3)
  })

  test.each(compressions)('sends what others can read: %s', async (compression) => {
    const topic = uniqueName(`producer-${compression}`)
    const flags = ['--topic', topic, '--rate', '20000', '--count', '2000', '--seed', '3']
    const { code, stdout } = start([...flags, '--compression', compression, '--json'])
    expect(await code).toBe(0)
    expect(JSON.parse(await stdout)).toMatchObject({
      topic,
      records: 2_000,
      notAcknowledged: 0,
      seed: 3,
    })
    const records = await readAll(topic)
    expect(records).toHaveLength(2_000)
    for (const { value } of records) expect(JSON.parse(String(value))).toHaveProperty('student_id')
  })

  test('ends cleanly on SIGTERM and tells what Kafka has', async () => {
    const topic = uniqueName('producer-stop')
    const { child, code, stdout, stderr } = start(['--topic', topic, '--rate', '5000'])
    await until('records to arrive', async () => (await recordsIn(topic)) > 3_000)
    child.kill('SIGTERM')
    expect(await code).toBe(0)
    const told = /([\d,]+) records to/.exec(await stdout)?.[1]?.replaceAll(',', '')
    expect(Number(told)).toBe(await recordsIn(topic))
    expect(await stderr).toBe('')
  })

  test('fill: as many as asked for, spread over the event time', async () => {
    const topic = uniqueName('fill')
    const endMs = 1_760_000_000_000
    const filled = await fillTopic({ config, topic, count: 10_500, spanMs: 100_000, endMs })
    expect(filled).toMatchObject({ records: 10_500, partitions: 4 })
    const records = await readAll(topic)
    expect(records).toHaveLength(10_500)
    const times = records.map(({ value }) => {
      const { timestamp } = JSON.parse(String(value)) as { timestamp: number }
      return Math.round(timestamp * 1_000)
    })
    const oldest = Math.min(...times)
    const newest = Math.max(...times)
    expect(oldest).toBeGreaterThanOrEqual(endMs - 102_000)
    expect(oldest).toBeLessThan(endMs - 98_000)
    expect(newest).toBeLessThanOrEqual(endMs)
    expect(newest).toBeGreaterThan(endMs - 2_000)
    expect(records.reduce((sum, { value }) => sum + value!.length, 0)).toBe(filled.bytes)
  })
})

describe('without Kafka', () => {
  test('says so in one line, with the address, and ends when asked to', async () => {
    const address = `127.0.0.1:${await closedPort()}`
    const { child, code, stdout, stderr, said } = start([], address)
    await until('the outage to be told', () => said().includes('does not answer'))
    child.kill('SIGINT')
    expect(await code).toBe(0)
    const lines = (await stderr).trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(`Kafka at ${address} does not answer`)
    expect(lines[0]).not.toContain('    at ')
    expect(await stdout).toContain('0 records')
  })

  test.each([
    [['--rate', 'fast'], '--rate must be a number'],
    [['--malformed', '2'], '--malformed must be a number from 0 to 1'],
    [['--compression', 'rar'], '--compression must be one of none, gzip, snappy, lz4, zstd'],
    [['--topic', 'a b'], '--topic must be 1 to 249'],
    [['--nonsense'], 'nonsense'],
    [['extra'], 'unexpected argument "extra"'],
  ])('refuses %p with code 2', async (flags, message) => {
    const { code, stderr } = start(flags)
    expect(await code).toBe(2)
    expect((await stderr).trim().split('\n')).toHaveLength(1)
    expect(await stderr).toContain(message)
  })
})

/** A port that was free a moment ago. */
function closedPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
