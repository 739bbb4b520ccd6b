/**
 * What more than one file needs of a record batch's layout: Kafka's "Record Batch", version 2.
 */

/** Before its records. */
export const HEADER_BYTES = 61

/** Of its attributes: the codec of its records. */
export const CODEC_BITS = 0x07

/** Offsets are below 2⁵³ for any topic that can be: 285 years at a million records a second. */
export function int64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
}
