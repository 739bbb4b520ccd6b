/**
 * kafkajs does not check the CRC-32C of record batches. This hook, and no other file, reaches into
 * its decoder for one batch: a batch whose checksum is wrong, or that can't be unpacked, comes as
 * records whose value says so, one for each of its offsets.
 */
import { createRequire } from 'node:module'
import { crc32c } from '@node-rs/crc32'
import decodeBatch from 'kafkajs/src/protocol/recordBatch/v0/decoder'

/** Where a batch's fields stand; the checksum is over all that follows it. */
const LENGTH_AT = 8
const EPOCH_AT = 12
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const COUNT_AT = 57

interface Decoder {
  buffer: Buffer
  offset: number
}
interface DecodedBatch {
  records: unknown[]
}
type Decode = (decoder: Decoder) => Promise<DecodedBatch>

/** The value of a record that can't be read. Known by its identity. */
const CORRUPT = Buffer.from('corrupt')
const PARTIAL = 'KafkaJSPartialMessageError'

export const isCorrupt = (value: Buffer | null): boolean => value === CORRUPT

let checking = false

/** After this kafkajs's consumers check batches; before the first fetch of the process. */
export function checkBatches(): void {
  if (checking) return
  checking = true
  const { cache, resolve } = createRequire(import.meta.url)
  const path = resolve('kafkajs/src/protocol/recordBatch/v0/decoder')
  const held = cache[path]
  if (!held) throw new Error('kafkajs does not decode batches where it should')
  held.exports = checked(decodeBatch)
}

/** The decoder with a check in front of it. */
export function checked(decode: Decode): Decode {
  return async (decoder) => {
    const at = decoder.offset
    const rest = decoder.buffer.subarray(at)
    const size = EPOCH_AT + rest.readInt32BE(LENGTH_AT)
    // The end of a fetch may cut a batch off: it comes whole with the next.
    if (rest.length < size) return decode(decoder)
    const batch = rest.subarray(0, size)
    const whole = isWhole(batch)
    const to = whole ? headerEnd(batch) : damagedEnd(batch, rest.subarray(size))
    // In place, so that kafkajs decodes a batch in which nothing else was damaged.
    if (!whole) batch.writeInt32BE(to - first(batch) - 1, LAST_OFFSET_DELTA_AT)
    if (whole || isWhole(batch)) {
      try {
        return await decode(decoder)
      } catch (error) {
        if (error instanceof Error && error.name === PARTIAL) throw error
      }
    }
    decoder.offset = at + size
    return corruptBatch(first(batch), to)
  }
}

const isWhole = (batch: Buffer): boolean =>
  crc32c(batch.subarray(ATTRIBUTES_AT)) === batch.readUInt32BE(CRC_AT)

const first = (batch: Buffer): number => Number(batch.readBigInt64BE(0))

const headerEnd = (batch: Buffer): number =>
  first(batch) + batch.readInt32BE(LAST_OFFSET_DELTA_AT) + 1

/**
 * Where a damaged batch ends: where the next one begins, or where two of its own fields say so. Where
 * neither does, it is left for a fetch that brings the next one.
 */
function damagedEnd(batch: Buffer, behind: Buffer): number {
  if (behind.length > MAGIC_AT && behind[MAGIC_AT] === 2) {
    const next = first(behind)
    if (next > first(batch)) return next
  }
  const count = batch.readInt32BE(COUNT_AT)
  if (count > 0 && headerEnd(batch) === first(batch) + count) return headerEnd(batch)
  const error = new Error('a damaged batch does not say where it ends')
  error.name = PARTIAL
  throw error
}

/** A record for each offset; nothing else of the batch can be believed. */
function corruptBatch(from: number, to: number): DecodedBatch {
  const batchContext = { producerId: '-1', inTransaction: false, isControlBatch: false }
  const records = Array.from({ length: to - from }, (_, i) => ({
    magicByte: 2,
    attributes: 0,
    timestamp: '0',
    offset: String(from + i),
    key: null,
    value: CORRUPT,
    headers: {},
    isControlRecord: false,
    batchContext,
  }))
  return { records }
}
