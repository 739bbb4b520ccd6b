/** One record as Kafka keeps it: a record batch of format 2 that holds nothing else. */
import { crc32c } from '@node-rs/crc32'

export interface PlainRecord {
  offset: number
  /** Epoch ms. */
  timestamp: number
  key: string | null
  headers: Readonly<Record<string, string | null>>
  value: Buffer | null
}

const HEADER_BYTES = 61

export function recordBatch({ offset, timestamp, key, headers, value }: PlainRecord): Buffer {
  const entries = Object.entries(headers)
  const body = Buffer.concat([
    // Attributes; deltas of time and offset, which are the batch's own.
    Buffer.from([0, 0, 0]),
    field(key === null ? null : Buffer.from(key)),
    field(value),
    varint(entries.length),
    ...entries.flatMap(([name, text]) => [
      field(Buffer.from(name)),
      field(text === null ? null : Buffer.from(text)),
    ]),
  ])
  const record = Buffer.concat([varint(body.length), body])
  const batch = Buffer.concat([Buffer.alloc(HEADER_BYTES), record])
  batch.writeBigInt64BE(BigInt(offset), 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch[16] = 2
  batch.writeBigInt64BE(BigInt(timestamp), 27)
  batch.writeBigInt64BE(BigInt(timestamp), 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(1, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

function field(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])
}

/** Zigzag, seven bits a byte, low ones first. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -value * 2 - 1 : value * 2
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}
