/**
 * Kafka's Metadata request of version 10, the first with topic ids; kafkajs ends at 6. From 9 on the
 * protocol is "flexible": compact strings and arrays (length + 1 as a varint) and empty tag sections,
 * of which the first belongs to the header. Pure.
 */

export const METADATA_VERSION = 10

export interface TopicMetadata {
  name: string
  id: string
  /** Kafka's code; 0 for none. */
  error: number
  /** Kafka's own, such as __consumer_offsets. */
  internal: boolean
  partitions: number[]
}

/** The request's body with the header's tags; null asks for all topics. Makes none. */
export function metadataRequest(names: readonly string[] | null): Buffer {
  const topics = (names ?? []).flatMap((text) => {
    const name = Buffer.from(text)
    // No id: looked up by name. Then the topic's tags.
    return [Buffer.alloc(16), varint(name.length + 1), name, Buffer.from([0])]
  })
  return Buffer.concat([
    Buffer.from([0]),
    varint(names === null ? 0 : names.length + 1),
    ...topics,
    Buffer.from([0, 0, 0, 0]), // create no topic; no authorized operations of either kind; tags
  ])
}

export function decodeMetadata(raw: Buffer): TopicMetadata[] {
  const reader = new Reader(raw)
  reader.at = 1 + 4 // header's tags, throttle time
  reader.each(() => {
    reader.at += 4 // node
    reader.text() // host
    reader.at += 4 // port
    reader.text() // rack
    reader.tags()
  })
  reader.text() // cluster
  reader.at += 4 // controller
  return reader.each(() => topicFrom(reader))
}

function topicFrom(reader: Reader): TopicMetadata {
  const error = reader.int16()
  const name = reader.text()
  const id = reader.hex(16)
  const internal = reader.hex(1) !== '00'
  const partitions = reader.each(() => {
    reader.at += 2 // error
    const partition = reader.int32()
    reader.at += 8 // leader, its epoch
    for (const _ of ['replicas', 'in sync', 'offline']) reader.each(() => reader.int32())
    reader.tags()
    return partition
  })
  reader.at += 4 // authorized operations
  reader.tags()
  return { name, id, error, internal, partitions }
}

class Reader {
  at = 0
  readonly #raw: Buffer

  constructor(raw: Buffer) {
    this.#raw = raw
  }

  int16(): number {
    this.at += 2
    return this.#raw.readInt16BE(this.at - 2)
  }

  int32(): number {
    this.at += 4
    return this.#raw.readInt32BE(this.at - 4)
  }

  hex(bytes: number): string {
    this.at += bytes
    return this.#raw.toString('hex', this.at - bytes, this.at)
  }

  text(): string {
    const bytes = Math.max(this.#length(), 0)
    this.at += bytes
    return this.#raw.toString('utf8', this.at - bytes, this.at)
  }

  each<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(this.#length(), 0) }, read)
  }

  /** Whatever they are, they are none that we know. */
  tags(): void {
    for (let left = this.#varint(); left > 0; left--) {
      this.#varint() // tag
      const bytes = this.#varint() // moves `at` itself, so it comes first
      this.at += bytes
    }
  }

  #length(): number {
    return this.#varint() - 1
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#raw.readUInt8(this.at++)
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}
