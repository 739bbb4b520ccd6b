/**
 * Packing: record batches become stream entries of bounded size. Batches are put together while they
 * are small, and one batch is split over several entries where its records cost a lot, so that
 * executors can share it; each of those carries the whole batch. Entries tile the offsets: each
 * begins where the one before ended, over gaps that compaction or transactions left. Pure.
 */
import { bounds } from '../config.ts'
import type { RawBatch } from '../fetched.ts'

export interface PackedEntry {
  from: number
  to: number
  /** Records by the batch headers; an estimate where the entry has a part of a batch. */
  records: number
  payload: Buffer
}

export interface PackLimits {
  bytes: number
  records: number
}

/** Packs batches that follow `position`, the partition's next offset. */
export function pack(position: number, batches: RawBatch[], limits: PackLimits): PackedEntry[] {
  const entries: PackedEntry[] = []
  let group: RawBatch[] = []
  let from = position
  let bytes = 0
  let records = 0
  const flush = () => {
    const last = group.at(-1)
    if (!last) return
    entries.push({ from, to: last.to, records, payload: join(group) })
    from = last.to
    group = []
    bytes = 0
    records = 0
  }
  for (const batch of batches) {
    const count = recordsFrom(batch, from)
    if (bytes + batch.bytes.length > limits.bytes || records + count > limits.records) flush()
    if (count > limits.records) {
      entries.push(...split(from, batch, count, limits.records))
      from = batch.to
      continue
    }
    group.push(batch)
    bytes += batch.bytes.length
    records += count
  }
  flush()
  return entries
}

/** Batches mostly lie in what was fetched as they lay at Kafka: one behind the other, to be sent as they are. */
function join(batches: RawBatch[]): Buffer {
  const parts = batches.map(({ bytes }) => bytes)
  const first = parts[0]!
  let length = 0
  for (const part of parts) {
    const follows = part.buffer === first.buffer && part.byteOffset === first.byteOffset + length
    if (!follows) return Buffer.concat(parts)
    length += part.length
  }
  return Buffer.from(first.buffer, first.byteOffset, length)
}

/** A fetch can begin inside a batch: its records before `position` are not ours. */
const recordsFrom = (batch: RawBatch, position: number): number =>
  Math.min(batch.records, batch.to - Math.max(batch.from, position))

function split(position: number, batch: RawBatch, records: number, recordsMax: number) {
  const parts = Math.ceil(records / recordsMax)
  const first = Math.max(batch.from, position)
  const entries: PackedEntry[] = []
  let from = position
  let told = 0
  for (let part = 1; part <= parts; part++) {
    const to = part === parts ? batch.to : first + Math.floor(((batch.to - first) * part) / parts)
    const upTo = Math.round((records * part) / parts)
    entries.push({ from, to, records: upTo - told, payload: batch.bytes })
    from = to
    told = upTo
  }
  return entries
}

/** Whether the payload lies beside the stream. */
export const isLarge = ({ payload }: PackedEntry) => payload.length > bounds.inlineBytesMax
