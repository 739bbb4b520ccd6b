import { expect, test } from 'bun:test'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { encodeBatch, produceRequest, refusalsOf, templateOf } from '../../../bench/load/batch.ts'

const valueOf = ({ buffer, start, end }: RecordCursor) => buffer.toString('utf8', start, end)

const now = 1_760_000_000_123
const template = (name: string, padding = 0) =>
  templateOf({ key: `key ${name}`, rest: `"name":"${name}","pad":"${'x'.repeat(padding)}"}` })

test('an executor reads every record with its time', () => {
  // Lengths and offsets of one, two and three bytes.
  const names = Array.from({ length: 300 }, (_, i) => `n${i}`)
  const batch = encodeBatch(
    names.map((name, i) => template(name, i * 30)),
    now,
  )
  const cursor = new RecordCursor(batch, 0, names.length)
  for (const [index, name] of names.entries()) {
    expect(cursor.next()).toBe('record')
    expect(cursor.offset).toBe(index)
    expect(cursor.timestamp).toBe(now)
    const value = JSON.parse(valueOf(cursor)) as object
    expect(value).toMatchObject({ timestamp: 1_760_000_000.123, name })
  }
  expect(cursor.next()).toBe('end')
})

test('a template can be used again, and a whole second keeps its digits', () => {
  const one = template('a')
  for (const time of [now, 1_760_000_001_000]) {
    const cursor = new RecordCursor(encodeBatch([one], time), 0, 1)
    cursor.next()
    const { timestamp } = JSON.parse(valueOf(cursor)) as { timestamp: number }
    expect(timestamp).toBe(time / 1_000)
  }
})

test('a request says its length and carries the batches as they are', () => {
  const batch = encodeBatch([template('a')], now)
  const request = produceRequest(7, 'topic', new Map([[3, batch]]))
  expect(request.readInt32BE(0)).toBe(request.length - 4)
  expect(request.readInt32BE(8)).toBe(7)
  expect(request.subarray(-batch.length).equals(batch)).toBe(true)
  expect(request.readInt32BE(request.length - batch.length - 8)).toBe(3)
})

test('what Kafka refuses is found in its answer', () => {
  const answer = (codes: number[]) => {
    const head = Buffer.from([0, 0, 0, 7, 0, 0, 0, 1, 0, 1, 0x74, 0, 0, 0, codes.length])
    const partitions = codes.map((code, partition) => {
      const part = Buffer.alloc(30)
      part.writeInt32BE(partition, 0)
      part.writeInt16BE(code, 4)
      return part
    })
    return Buffer.concat([head, ...partitions, Buffer.alloc(4)])
  }
  expect(refusalsOf(answer([0, 0, 0]))).toEqual([])
  expect(refusalsOf(answer([0, 6, 0, 10]))).toEqual([6, 10])
})
