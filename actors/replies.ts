/**
 * How a reply of Redis is put together: a string that comes in many chunks, as payloads do, is copied into
 * one buffer of its length (buffers.ts) as they come, and the memory of each chunk is free at once.
 * ioredis itself keeps the chunks until it has them all, and puts them together in fresh memory: with
 * chunks that wait for the garbage collector, a quarter of an executor's time went into collecting them.
 *
 * Takes the place of ioredis's decoder on all connections. It speaks RESP2, which is what ours are asked
 * for; a connection that begins to speak another is left to ioredis from there on.
 */
import { Decoder } from 'ioredis/built/resp/decoder'
import { SimpleError } from 'ioredis/built/resp/errors'
import { Buffers, discard } from './buffers.ts'

/** What large strings lie in; who has read one may give it back. As many as an executor has in hand. */
export const payloads = new Buffers({ spareMax: 16, keptBytesMax: 1024 * 1024 })

/** Smaller ones are not worth it. */
const LARGE_BYTES = 64 * 1024

/** ioredis's own, by which its callers know a refusal; its types do not know what it takes. */
const RefusedError = SimpleError as new (message: string) => SimpleError

/** Where replies go; ioredis gives it to each connection's decoder. */
export type Receiver = Pick<Decoder, 'onReply' | 'onErrorReply'>

const [CR, PLUS, MINUS, COLON, DOLLAR, STAR, ZERO] = [13, 43, 45, 58, 36, 42, 48]
const types = new Set([PLUS, MINUS, COLON, DOLLAR, STAR])

const LINE_END_BYTES = 2

interface OpenArray {
  items: unknown[]
  length: number
}

/** The replies of one connection, in chunks as the network cuts them. */
export class Replies {
  readonly #receiver: Receiver
  /** Arrays that are not there whole, the innermost last. */
  readonly #open: OpenArray[] = []
  /** The beginning of a line that was cut. */
  #line: Buffer | null = null
  /** Length of the string that comes next; where it was cut, what is there of it. */
  #length: number | null = null
  #cut: Buffer | null = null
  #filled = 0
  /** Of a line's end, bytes that are still to come. */
  #skip = 0

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  /** Tells of the replies that end in this chunk; answers with what is of another protocol, from its first byte. */
  take(chunk: Buffer): Buffer | null {
    let at = 0
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at)
        this.#skip -= skipped
        at += skipped
      } else if (this.#length !== null) {
        at = this.#string(chunk, at, this.#length)
      } else if (this.#isForeign(chunk[at]!)) {
        return chunk.subarray(at)
      } else {
        at = this.#head(chunk, at)
      }
    }
    return null
  }

  #isForeign(type: number): boolean {
    return this.#line === null && this.#open.length === 0 && !types.has(type)
  }

  /** One line, which is a value or says what follows. */
  #head(chunk: Buffer, at: number): number {
    let end = at
    while (end < chunk.length && chunk[end] !== CR) end++
    const isCut = end === chunk.length
    if (isCut || this.#line) {
      const part = chunk.subarray(at, end)
      // A copy, so that the rest of the chunk is free.
      this.#line = Buffer.concat(this.#line ? [this.#line, part] : [part])
    }
    if (isCut) return end
    this.#skip = LINE_END_BYTES
    const line = this.#line
    this.#line = null
    if (line) this.#said(line, 0, line.length)
    else this.#said(chunk, at, end)
    return end
  }

  #said(bytes: Buffer, at: number, end: number): void {
    const from = at + 1
    switch (bytes[at]) {
      case DOLLAR:
        return this.#lengthOf(bytes, from, end)
      case COLON:
        return this.#value(integer(bytes, from, end))
      case STAR:
        return this.#array(integer(bytes, from, end))
      case PLUS:
        return this.#value(bytes.subarray(from, end))
      case MINUS:
        return this.#error(new RefusedError(bytes.toString('utf8', from, end)))
      default:
        throw new Error(`Redis's reply has no type that begins with byte ${bytes[at]}`)
    }
  }

  #lengthOf(bytes: Buffer, from: number, end: number): void {
    const length = integer(bytes, from, end)
    if (length < 0) this.#value(null)
    else this.#length = length
  }

  #array(length: number): void {
    if (length <= 0) this.#value(length < 0 ? null : [])
    else this.#open.push({ items: [], length })
  }

  /** What the chunk has of a string. */
  #string(chunk: Buffer, at: number, length: number): number {
    if (!this.#cut && chunk.length - at >= length)
      return this.#ended(chunk.subarray(at, at + length), at)
    this.#cut ??= length < LARGE_BYTES ? Buffer.allocUnsafe(length) : payloads.take(length)
    const count = Math.min(length - this.#filled, chunk.length - at)
    const isAll = count === chunk.length
    this.#cut.set(isAll ? chunk : chunk.subarray(at, at + count), this.#filled)
    this.#filled += count
    if (isAll) discard(chunk)
    if (this.#filled < length) return at + count
    return this.#ended(this.#cut, at + count - length)
  }

  /** `at` is where the string began, or would have in this chunk. */
  #ended(string: Buffer, at: number): number {
    this.#length = this.#cut = null
    this.#filled = 0
    this.#skip = LINE_END_BYTES
    this.#value(string)
    return at + string.length
  }

  #error(error: SimpleError): void {
    if (this.#open.length > 0) this.#value(error)
    else this.#receiver.onErrorReply(error)
  }

  #value(given: unknown): void {
    let value = given
    for (let array = this.#open.at(-1); array; array = this.#open.at(-1)) {
      array.items.push(value)
      if (array.items.length < array.length) return
      this.#open.pop()
      value = array.items
    }
    this.#receiver.onReply(value)
  }
}

/** As ioredis reads it: whole numbers beyond 2⁵³ are rounded. */
function integer(bytes: Buffer, from: number, end: number): number {
  const sign = bytes[from]
  let value = 0
  for (let i = sign === MINUS || sign === PLUS ? from + 1 : from; i < end; i++) {
    value = value * 10 + bytes[i]! - ZERO
  }
  return sign === MINUS ? -value : value
}

const known = new WeakMap<Decoder, Replies | null>()

const pass = Decoder.prototype.write
Decoder.prototype.write = function receive(chunk: Buffer) {
  const replies = known.get(this)
  if (replies === null) return pass.call(this, chunk)
  const ours = replies ?? new Replies(this)
  if (!replies) known.set(this, ours)
  const foreign = ours.take(chunk)
  if (!foreign) return
  known.set(this, null)
  pass.call(this, foreign)
}
