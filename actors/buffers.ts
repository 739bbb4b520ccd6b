/**
 * Large buffers that are used again. One is lent, and overwritten only after its reader gave it back; who
 * never does, such as a session that ended by an error, leaves it to the garbage collector. Memory that
 * was in use before costs nothing, where fresh memory costs a page fault for each 4 KiB of it.
 */

/** One is filled while the other is read. */
const spareMax = 2
/** A buffer beyond this is not kept: it was for a single large record batch. */
const keptBytesMax = 8 * 1024 * 1024

export class Buffers {
  /** What was lent and can be given back, once. */
  readonly #lent = new WeakSet<ArrayBufferLike>()
  readonly #spare: Buffer[] = []

  /** A buffer of this length, with whatever was in it. */
  take(bytes: number): Buffer {
    const fitting = this.#spare.findIndex(({ length }) => length >= bytes)
    const [spare] = fitting < 0 ? [] : this.#spare.splice(fitting, 1)
    const buffer = spare ?? Buffer.allocUnsafeSlow(bytes)
    this.#lent.add(buffer.buffer)
    return buffer.subarray(0, bytes)
  }

  /** Takes back what `part` is a part of: from now on it may be overwritten. Other memory is left alone. */
  giveBack(part: Buffer): void {
    const { buffer } = part
    if (!this.#lent.delete(buffer) || buffer.byteLength > keptBytesMax) return
    this.#spare.push(Buffer.from(buffer))
    this.#spare.sort((a, b) => a.length - b.length)
    // Most are of one length, which was asked for: the smaller ones go.
    if (this.#spare.length > spareMax) this.#spare.shift()
  }
}
