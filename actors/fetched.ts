/**
 * A fetch response down to whole record batches: what the bridge hands on, unopened, and how far a
 * partition was read. Batches are checked by their CRC, because the offsets that the ledger goes by
 * stand in their headers: a damaged one must neither skip records nor repeat them. Its bytes are
 * handed on like the others', and the executor rejects its records by name. Pure.
 *
 * Layout: Kafka protocol guide, Fetch API version 11 and "Record Batch".
 */
import { crc32c } from '@node-rs/crc32'
import { createErrorFromCode } from 'kafkajs/src/protocol/error'
import { RefusalError } from './errors.ts'
import { HEADER_BYTES, int64 } from './record-batch.ts'
import { numberOf, partitionOf } from './topics.ts'

/** A record batch of format v2, whole, as it stands in the log. */
export interface RawBatch {
  /** Offsets, half-open; `to` is the last record's plus one, also where compaction took records. */
  from: number
  to: number
  records: number
  bytes: Buffer
  /** Its CRC does not match. */
  isDamaged?: true
}

export interface FetchedPartition {
  /** Its number (topics.ts). */
  partition: number
  /** Kafka's error type, such as OFFSET_OUT_OF_RANGE; null where there was none. */
  error: string | null
  /** The end of what can be read: last stable offset, which no open transaction hides. */
  high: number
  logStart: number
  /** Batches that hold records for us: no control batches, none of aborted transactions. */
  batches: RawBatch[]
  /** Where the next fetch goes on, past batches that were left out as well. */
  next: number
}

const CONTROL = 0x20
const TRANSACTIONAL = 0x10

/** `offsets`: number of the partition (topics.ts) → where the fetch began. */
export function decodeFetch(
  raw: Buffer,
  offsets: Map<number, number>,
  indexOf: (topic: string) => number = () => 0,
): { clientSideThrottleTime: number; partitions: FetchedPartition[] } {
  let at = 4 // Throttle time: the broker has already held the answer back.
  const errorCode = raw.readInt16BE(at)
  if (errorCode !== 0) throw createErrorFromCode(errorCode)
  at += 2 + 4 // error, session id
  const partitions: FetchedPartition[] = []
  // Kafka gives at least one whole batch, however large: of the first partition that has any.
  let whole = true
  const topics = raw.readInt32BE(at)
  at += 4
  for (let topic = 0; topic < topics; topic++) {
    const end = at + 2 + raw.readInt16BE(at)
    const index = indexOf(raw.toString('utf8', at + 2, end))
    at = end
    const count = raw.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++) {
      const number = numberOf(index, raw.readInt32BE(at))
      const decoded = decodePartition(raw, at, { number, offset: offsets.get(number) ?? 0, whole })
      partitions.push(decoded.fetched)
      if (decoded.size > 0) whole = false
      at = decoded.end
    }
  }
  return { clientSideThrottleTime: 0, partitions }
}

function decodePartition(
  raw: Buffer,
  start: number,
  { number, offset, whole }: { number: number; offset: number; whole: boolean },
) {
  const errorCode = raw.readInt16BE(start + 4)
  const high = int64(raw, start + 14)
  const logStart = int64(raw, start + 22)
  const abortedCount = Math.max(raw.readInt32BE(start + 30), 0)
  let at = start + 34
  const aborted: Aborted[] = []
  for (let i = 0; i < abortedCount; i++, at += 16) {
    aborted.push({ producer: raw.readBigInt64BE(at), from: int64(raw, at + 8) })
  }
  at += 4 // preferred read replica
  const size = Math.max(raw.readInt32BE(at), 0)
  at += 4
  const stretch = { partition: number, data: raw.subarray(at, at + size), offset, high, whole }
  const { batches, next } = splitBatches(stretch, aborted)
  const error = errorCode === 0 ? null : createErrorFromCode(errorCode).type
  return {
    fetched: { partition: number, error, high, logStart, batches, next },
    size,
    end: at + size,
  }
}

interface Aborted {
  producer: bigint
  from: number
}

/** A partition's record data as one response has it. */
interface Stretch {
  partition: number
  data: Buffer
  /** Where the fetch began, and the end of what can be read. */
  offset: number
  high: number
  /** The first batch can't be cut off. */
  whole: boolean
}

/** Cuts a partition's record data into batches; the last one may be cut off and is left for later. */
function splitBatches(stretch: Stretch, aborted: Aborted[]): { batches: RawBatch[]; next: number } {
  const { data, offset } = stretch
  const batches: RawBatch[] = []
  const starting = [...aborted].sort((a, b) => a.from - b.from)
  const abortedProducers = new Set<bigint>()
  let next = offset
  for (let at = 0; at + HEADER_BYTES <= data.length; ) {
    const end = at + 12 + data.readInt32BE(at + 8)
    if (end > data.length || end < at + HEADER_BYTES) {
      // What made no progress once would make none for ever.
      const stuck = next === offset && (stretch.whole || end < at + HEADER_BYTES)
      if (stuck) throw damaged(stretch, at, `it says that it has ${end - at} bytes`)
      break
    }
    const batch = data.subarray(at, end)
    if (batch[16] !== 2) throw new RefusalError('the topic holds messages of Kafka before 0.11')
    const from = int64(batch, 0)
    if (!isIntact(batch)) {
      const to = endOfDamaged(stretch, at, end)
      // With what comes behind it, the next fetch will tell where it ends.
      if (to === null && next > offset) break
      if (to === null) throw damaged(stretch, at, 'where it ends is not to be told')
      batch.writeInt32BE(to - from - 1, 23)
      if (to > offset && !isIntact(batch)) {
        batches.push({ from, to, records: to - from, bytes: batch, isDamaged: true })
        next = to
        // It may have ended a transaction: the next fetch tells afresh which are aborted.
        break
      }
    }
    at = end
    const to = endOf(batch)
    if (to <= offset) continue
    next = Math.max(next, to)
    while (starting.length > 0 && starting[0]!.from < to) {
      abortedProducers.add(starting.shift()!.producer)
    }
    const attributes = batch.readInt16BE(21)
    const producer = batch.readBigInt64BE(43)
    if (attributes & CONTROL) {
      if (isAbortMarker(batch)) abortedProducers.delete(producer)
    } else if (!(attributes & TRANSACTIONAL && abortedProducers.has(producer))) {
      const records = batch.readInt32BE(57)
      // Compaction can leave a batch without records: there is nothing to hand on.
      if (records > 0) batches.push({ from, to, records, bytes: batch })
    }
  }
  return { batches, next }
}

const isIntact = (batch: Buffer): boolean => crc32c(batch.subarray(21)) === batch.readUInt32BE(17)

const endOf = (batch: Buffer): number => int64(batch, 0) + batch.readInt32BE(23) + 1

/**
 * Where a damaged batch ends, which its own header can't be believed to know: where the next one
 * begins, or what two of its fields agree on. Null where there is neither.
 */
function endOfDamaged({ data, high }: Stretch, at: number, end: number): number | null {
  const from = int64(data, at)
  const follows = end + 17 <= data.length && data[end + 16] === 2 ? int64(data, end) : null
  if (follows !== null && follows > from && follows < high) return follows
  const records = data.readInt32BE(at + 57)
  const to = endOf(data.subarray(at, end))
  return records > 0 && to === from + records && to <= high ? to : null
}

const damaged = ({ partition, data }: Stretch, at: number, how: string): RefusalError =>
  new RefusalError(
    `Kafka's record batch at offset ${int64(data, at)} of partition ${partitionOf(partition)} is damaged: ${how}; ` +
      `delete the partition's records up to behind it, and start with --accept-loss`,
  )

/**
 * A control record's key is its version and its type, 0 for abort. The record's fields before it
 * are varints; a control batch is never compressed.
 */
function isAbortMarker(batch: Buffer): boolean {
  let at = HEADER_BYTES
  const skipVarint = () => {
    while (batch[at]! & 0x80) at++
    at++
  }
  skipVarint() // length
  at++ // attributes
  skipVarint() // timestamp delta
  skipVarint() // offset delta
  skipVarint() // key length
  return batch.readInt16BE(at + 2) === 0
}
