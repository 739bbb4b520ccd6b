/** Kafka's Metadata, version 10: bytes as the protocol guide has them. */
import { expect, test } from 'bun:test'
import { decodeMetadata, metadataRequest } from '../../actors/metadata.ts'

const id = (byte: number) => Buffer.alloc(16, byte)
const int = (value: number, bytes: 2 | 4) => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeIntBE(value, 0, bytes)
  return buffer
}
/** Length + 1 as a varint; of what is shorter than 127 it is one byte. */
const text = (value: string) => Buffer.concat([Buffer.from([value.length + 1]), Buffer.from(value)])
const list = (...items: Buffer[]) => Buffer.concat([Buffer.from([items.length + 1]), ...items])
const noTags = Buffer.from([0])

const partition = (number: number, tags = noTags) =>
  Buffer.concat([
    int(0, 2),
    int(number, 4),
    int(1, 4),
    int(5, 4),
    list(int(1, 4), int(2, 4)),
    list(int(1, 4)),
    list(),
    tags,
  ])
const topic = (name: string, error: number, internal: boolean, ...partitions: Buffer[]) =>
  Buffer.concat([
    int(error, 2),
    text(name),
    id(error === 0 ? 7 : 0),
    Buffer.from([internal ? 1 : 0]),
    list(...partitions),
    int(0, 4),
    noTags,
  ])
const answer = (...topics: Buffer[]) =>
  Buffer.concat([
    noTags,
    int(0, 4),
    list(Buffer.concat([int(1, 4), text('host'), int(9092, 4), Buffer.from([0]), noTags])),
    text('cluster'),
    int(1, 4),
    list(...topics),
    noTags,
  ])

test('an answer says of each topic its identity, partitions and what is wrong', () => {
  // A tag that we do not know: number 3, of two bytes.
  const tagged = partition(1, Buffer.from([1, 3, 2, 9, 9]))
  const raw = answer(
    topic('orders', 0, false, partition(0), tagged),
    topic('gone', 3, false),
    topic('__consumer_offsets', 0, true, partition(0)),
  )
  const seven = '07'.repeat(16)
  const none = '00'.repeat(16)
  expect(decodeMetadata(raw)).toEqual([
    { name: 'orders', id: seven, error: 0, internal: false, partitions: [0, 1] },
    { name: 'gone', id: none, error: 3, internal: false, partitions: [] },
    { name: '__consumer_offsets', id: seven, error: 0, internal: true, partitions: [0] },
  ])
})

test('a request asks for topics by their names, or for all', () => {
  const asked = Buffer.concat([
    noTags,
    Buffer.from([3]),
    id(0),
    text('a'),
    noTags,
    id(0),
    text('bc'),
    noTags,
    Buffer.from([0, 0, 0, 0]),
  ])
  expect(metadataRequest(['a', 'bc'])).toEqual(asked)
  expect(metadataRequest(null)).toEqual(Buffer.from([0, 0, 0, 0, 0, 0]))
})
