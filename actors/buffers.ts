/**
 * Large buffers that are used again. One is lent, and overwritten only after its reader gave it back; who
 * never does, such as a session that ended by an error, leaves it to the garbage collector. Memory that
 * was in use before costs nothing, where fresh memory costs a page fault for each 4 KiB of it.
 */

/** What large buffers are a multiple of, so that one that is hardly larger than another fits as well. */
const stepBytes = 64 * 1024

export interface BufferLimits {
  /** How many are kept for the next one to have. */
  spareMax: number
  /** A buffer beyond this is not kept: it was for a single large record batch. */
  keptBytesMax: number
}

export class Buffers {
  readonly #limits: BufferLimits
  /** What was lent and can be given back, once. */
  readonly #lent = new WeakSet<ArrayBufferLike>()
  readonly #spare: Buffer[] = []

  constructor(limits: BufferLimits) {
    this.#limits = limits
  }

  /** A buffer of this length, with whatever was in it. */
  take(bytes: number): Buffer {
    const fitting = this.#spare.findIndex(({ length }) => length >= bytes)
    const [spare] = fitting < 0 ? [] : this.#spare.splice(fitting, 1)
    const whole = bytes < stepBytes ? bytes : Math.ceil(bytes / stepBytes) * stepBytes
    const buffer = spare ?? Buffer.allocUnsafeSlow(whole)
    this.#lent.add(buffer.buffer)
    return buffer.subarray(0, bytes)
  }

  /** Takes back what `part` is a part of: from now on it may be overwritten. Other memory is left alone. */
  giveBack(part: Buffer): void {
    const { buffer } = part
    const { spareMax, keptBytesMax } = this.#limits
    if (!this.#lent.delete(buffer) || buffer.byteLength > keptBytesMax) return
    this.#spare.push(Buffer.from(buffer))
    this.#spare.sort((a, b) => a.length - b.length)
    // Most are of one length, which was asked for: the smaller ones go.
    if (this.#spare.length > spareMax) this.#spare.shift()
  }
}

/**
 * Frees the memory of a chunk that was copied, for the next one to have. The garbage collector would get
 * to it tens of megabytes later; who read it in spite of that would find it empty.
 */
export function discard({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}
