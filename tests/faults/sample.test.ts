import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Feed, newest, sampleOfFile, sampleOfTopic } from '../../faults/sample.ts'
import { createTopic, type TestRecord } from '../../faults/topic.ts'
import { testServices } from '../support/services.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-sample-'))
afterAll(() => rmSync(dir, { recursive: true }))
beforeAll(testServices, 120_000)

const partition = (number: number, low: number, high: number) => ({ partition: number, low, high })

const record = (i: number): TestRecord => ({
  value: `{"i":${i}}`,
  key: i % 2 ? `key ${i}` : null,
  partition: i % 2,
  timestamp: 1_700_000_000_000 + i,
  headers: { number: String(i) },
})

describe('which records are the newest', () => {
  test('partitions share evenly, and the large ones fill up for the small', () => {
    const ranges = newest([partition(0, 0, 100), partition(1, 50, 53), partition(2, 0, 100)], 43)
    expect(ranges).toEqual(
      new Map([
        [1, { from: 50, to: 53 }],
        [0, { from: 80, to: 100 }],
        [2, { from: 80, to: 100 }],
      ]),
    )
  })

  test('fewer than asked for are all; empty partitions give none', () => {
    expect(newest([partition(0, 7, 9), partition(1, 5, 5)], 100)).toEqual(
      new Map([[0, { from: 7, to: 9 }]]),
    )
  })
})

test('a file: a record a line, blank ones skipped; no file and no record are said', () => {
  const file = join(dir, 'records.ndjson')
  writeFileSync(file, '{"a":1}\n\n{"a":2}\n')
  expect(sampleOfFile(file).records.map(({ value }) => value)).toEqual(['{"a":1}', '{"a":2}'])
  writeFileSync(file, '\n')
  expect(() => sampleOfFile(file)).toThrow('holds no record')
  expect(() => sampleOfFile(join(dir, 'none'))).toThrow("can't be read")
})

test('a topic: the newest, with key, headers, partition and time; the topic stays as it is', async () => {
  const { kafkaBrokers } = await testServices()
  const topic = await createTopic('sample', { partitions: 2, kafkaBrokers })
  await topic.produce(Array.from({ length: 100 }, (_, i) => record(i)))
  const before = await topic.ends()
  const { records, partitions } = await sampleOfTopic(topic.kafka, topic.name, 10)
  expect(partitions).toBe(2)
  expect(records.map(({ value }) => String(value))).toEqual(
    Array.from({ length: 10 }, (_, i) => `{"i":${90 + i}}`),
  )
  const last = records.at(-1)!
  expect({ ...last, value: null, key: String(last.key) }).toEqual({
    value: null,
    key: 'key 99',
    partition: 1,
    timestamp: 1_700_000_000_099,
    headers: { number: Buffer.from('99') },
  })
  expect(await topic.ends()).toEqual(before)
  const admin = topic.kafka.admin()
  await admin.connect()
  const { groups } = await admin.listGroups()
  await admin.disconnect()
  expect(groups.filter(({ groupId }) => groupId.startsWith('millrace-faults-'))).toEqual([])
  await topic.delete()
}, 60_000)

test('a feed hands records on in their order, one caller at a time, and begins again', async () => {
  const sample = { records: ['a', 'b', 'c'].map((value) => ({ value })), partitions: 1 }
  const feed = new Feed(sample)
  const sent: string[] = []
  const send = async (records: TestRecord[]) => {
    await Promise.resolve()
    sent.push(records.map(({ value }) => String(value)).join(''))
  }
  await Promise.all([feed.next(2, send), feed.next(3, send)])
  expect(sent).toEqual(['ab', 'cab'])
})
