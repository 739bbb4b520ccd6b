/**
 * The records that an executor has in hand, noted where its death can't take them: in a small file
 * that is mapped into memory. A note is a store of eight bytes, no call, so every record gets one;
 * the kernel keeps it when the process crashes, hangs or is killed, and the supervisor reads it.
 *
 *   executor: only · add · clear ──► file ──► supervisor: readHand → `hand` in Redis → suspicion
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { messageOf } from '../errors.ts'
import type { Entry } from './inbox.ts'

/** As many as a job's `concurrency` may be. */
const OFFSETS_MAX = 1_024
/** The number of offsets, the offsets, and then the entry's name behind its length. */
const NAME_AT = (1 + OFFSETS_MAX) * 8
const NAME_BYTES_MAX = 255
const FILE_BYTES = 12 * 1_024

/** What was in hand: an entry's id, its partition, and offsets in it. */
export interface InHand {
  entry: string
  partition: number
  offsets: number[]
}

/** An empty file that only we may read; its name must be new. */
export function createHandFile(path: string): void {
  const file = openSync(path, 'wx', 0o600)
  writeSync(file, new Uint8Array(FILE_BYTES))
  closeSync(file)
}

/** What the file says; null where nothing is in hand, undefined where it can't be read. */
export function readHand(path: string): InHand | null | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch {
    return undefined
  }
  if (bytes.length < FILE_BYTES) return undefined
  const count = Math.min(bytes.readDoubleLE(0), OFFSETS_MAX)
  if (count === 0) return null
  const [entry, partition] = bytes
    .toString('latin1', NAME_AT + 1, NAME_AT + 1 + bytes[NAME_AT]!)
    .split('|')
  const offsets = Array.from({ length: count }, (_, i) => bytes.readDoubleLE((i + 1) * 8))
  return { entry: entry!, partition: Number(partition), offsets }
}

/** As the functions take it: `entry id|offset,offset,…`; '' for nothing in hand. */
export const handText = (hand: InHand | null): string =>
  hand ? `${hand.entry}|${hand.offsets.join(',')}` : ''

export class Hand {
  readonly #bytes: Uint8Array
  readonly #numbers: Float64Array
  #entry: Entry | null = null
  #count = 0

  /** @throws where the file can't be mapped */
  constructor(path: string) {
    try {
      this.#bytes = Bun.mmap(path, { shared: true })
    } catch (error) {
      throw new Error(`${path} can't be mapped: ${messageOf(error)}`, { cause: error })
    }
    this.#numbers = new Float64Array(this.#bytes.buffer, this.#bytes.byteOffset, 1 + OFFSETS_MAX)
  }

  /** This record and no other. */
  only(entry: Entry, offset: number): void {
    if (entry !== this.#entry) this.#name(entry)
    this.#numbers[1] = offset
    if (this.#count !== 1) this.#numbers[0] = this.#count = 1
  }

  /** This record beside those of the same entry that are in hand already. */
  add(entry: Entry, offset: number): void {
    if (entry !== this.#entry) this.#name(entry)
    if (this.#count === OFFSETS_MAX) return
    this.#numbers[this.#count + 1] = offset
    // The number last: a death in between must not count what is not written.
    this.#numbers[0] = ++this.#count
  }

  clear(): void {
    if (this.#count !== 0) this.#numbers[0] = this.#count = 0
  }

  #name(entry: Entry): void {
    this.clear()
    this.#entry = entry
    const name = Buffer.from(`${entry.id}|${entry.partition}`, 'latin1').subarray(0, NAME_BYTES_MAX)
    this.#bytes[NAME_AT] = name.length
    this.#bytes.set(name, NAME_AT + 1)
  }
}
