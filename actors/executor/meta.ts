/**
 * What Kafka says of a record beside its value, for a job's functions that ask for it. Read out of the
 * record's bytes only when it is asked for: most jobs never do, and none pays for what it does not use.
 */
import type { Meta } from '../job.ts'
import type { RecordCursor } from './records.ts'

/** A record where a cursor stands; stays good when the cursor moves on. */
export class RecordMeta implements Meta {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly #buffer: Buffer
  readonly #recordAt: number
  readonly #valueEnd: number

  constructor(topic: string, partition: number, cursor: RecordCursor) {
    this.topic = topic
    this.partition = partition
    this.offset = cursor.offset
    this.timestamp = cursor.timestamp
    this.#buffer = cursor.buffer
    this.#recordAt = cursor.recordAt
    this.#valueEnd = cursor.end
  }

  get key(): string | null {
    const reader = new Reader(this.#buffer, this.#recordAt)
    reader.varint() // length
    reader.at++ // attributes
    reader.varint() // timestamp delta
    reader.varint() // offset delta
    return reader.text()
  }

  get headers(): Readonly<Record<string, string | null>> {
    const reader = new Reader(this.#buffer, this.#valueEnd)
    const headers: [name: string, value: string | null][] = []
    for (let left = reader.varint(); left > 0; left--) {
      headers.push([reader.text() ?? '', reader.text()])
    }
    // fromEntries defines own fields, so that a header named __proto__ is one like any other.
    return Object.fromEntries(headers)
  }
}

class Reader {
  readonly #buffer: Buffer
  at: number

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer
    this.at = at
  }

  /** Zigzag; lengths and deltas that are skipped, so that losing digits beyond 2⁵³ does no harm. */
  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#buffer[this.at++]
      if (byte === undefined || scale > 2 ** 63) throw new Error('a record is cut off')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      scale *= 128
    }
  }

  text(): string | null {
    const length = this.varint()
    if (length < 0) return null
    const from = this.at
    this.at += length
    if (this.at > this.#buffer.length) throw new Error('a record is cut off')
    return this.#buffer.toString('utf8', from, this.at)
  }
}
