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
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const ATTRIBUTES = { transactional: 0x10, control: 0x20 }

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
    const batch = decoder.buffer.subarray(at)
    const size = EPOCH_AT + batch.readInt32BE(LENGTH_AT)
    // The end of a fetch may cut a batch off: it comes whole with the next.
    if (batch.length < size) return decode(decoder)
    const whole = batch.subarray(0, size)
    if (crc32c(whole.subarray(ATTRIBUTES_AT)) === whole.readUInt32BE(CRC_AT)) {
      try {
        return await decode(decoder)
      } catch (error) {
        if (error instanceof Error && error.name === PARTIAL) throw error
      }
    }
    decoder.offset = at + size
    return corruptBatch(whole)
  }
}

function corruptBatch(batch: Buffer): DecodedBatch {
  const first = batch.readBigInt64BE(0)
  const attributes = batch.readInt16BE(ATTRIBUTES_AT)
  const isControlRecord = (attributes & ATTRIBUTES.control) > 0
  const batchContext = {
    firstOffset: String(first),
    firstTimestamp: String(batch.readBigInt64BE(27)),
    maxTimestamp: String(batch.readBigInt64BE(35)),
    producerId: String(batch.readBigInt64BE(43)),
    producerEpoch: batch.readInt16BE(51),
    firstSequence: batch.readInt32BE(53),
    lastOffsetDelta: batch.readInt32BE(LAST_OFFSET_DELTA_AT),
    inTransaction: (attributes & ATTRIBUTES.transactional) > 0,
    isControlBatch: isControlRecord,
  }
  const length = Math.max(0, batchContext.lastOffsetDelta + 1)
  const records = Array.from({ length }, (_, i) => ({
    magicByte: 2,
    attributes: 0,
    timestamp: batchContext.firstTimestamp,
    offset: String(first + BigInt(i)),
    key: null,
    value: CORRUPT,
    headers: {},
    isControlRecord,
    batchContext,
  }))
  return { ...batchContext, records }
}
